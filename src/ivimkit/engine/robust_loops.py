"""Loop over voxels that are fitted robustly, to find the values that do not belong to them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.robust_fit import robust_fit, robust_rows

__all__ = ["robust_chunk"]


def signal_kernel(*_: Any) -> tuple[float, Any]:
    """Stand for the kernel of a model."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def robust_chunk(
    start: int,
    stop: int,
    x: NDArray[np.float64],
    signals: NDArray[np.float64],
    scale: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    params: NDArray[np.float64],
    fitted: NDArray[np.float64],
) -> None:
    """Fit the rows of `signals` from `params`, and write the fitted signal to `fitted`.

    Rows whose parameters are not finite are left as they are.
    """
    n = params.shape[1]
    work = np.zeros((robust_rows(n), n + 1))
    for v in range(start, stop):
        total = 0.0
        for k in range(n):
            total += params[v, k]
        if not math.isfinite(total):
            continue
        row = min(v, lower.shape[0] - 1)
        robust_fit(
            x, signals[v], scale[v], sigma[v], lower[row], upper[row], params[v], work
        )  # fmt: skip
        for j in range(x.shape[1]):
            fitted[v, j] = signal_kernel(x, j, params[v])[0]
