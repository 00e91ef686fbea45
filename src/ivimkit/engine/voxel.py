"""What is done for one voxel on every device: indexing and bookkeeping, no formula.

They are templates: `fit_voxel` and `estimate_voxel` are put in by `ivimkit.engine.bind`, and so
are these functions into the drivers of a device, as if they were written there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import pasted
from ivimkit.kernels.screen import screen, spread
from ivimkit.status import BOUND_SHIFT, FAILED, FitStatus

__all__ = ["close_row", "estimate_row", "fit_row", "open_row"]


def fit_voxel(*_: Any) -> int:
    """Stand for the voxel function of a method."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def estimate_voxel(*_: Any) -> int:
    """Stand for the voxel function of an estimator."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


_NON_FINITE = int(FitStatus.NON_FINITE)
_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
_FAILED = int(FAILED)


@pasted
def open_row(
    v: int,
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    low: NDArray[np.float64],
    clean: NDArray[np.float64],
    variation: NDArray[np.float64],
) -> int:
    """Copy row `v` of `signals` to `clean`, note its spread, return 0 if it can be fitted."""
    for j in range(b.size):
        # A value without weight may be anything, and 0 times NaN is NaN.
        clean[j] = signals[v, j] if root_weight[j] > 0.0 else 0.0
    total, positive = screen(root_weight, clean)
    finite = math.isfinite(total)
    for k in range(low.size):
        finite = finite and math.isfinite(low[k])
    if not finite:
        return _NON_FINITE
    if positive == 0.0:
        return _NO_SIGNAL
    variation[v] = spread(root_weight, clean)
    return 0


@pasted
def close_row(
    v: int,
    code: int,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    out: NDArray[np.float64],
    variation: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    """Write the status of voxel `v` with what is on a bound; if it failed, leave no numbers."""
    if code & _FAILED:
        for k in range(out.shape[1]):
            out[v, k] = math.nan
        variation[v] = math.nan
    else:
        for k in range(low.size):
            if low[k] < high[k]:
                if out[v, k] <= low[k]:
                    code |= 1 << (BOUND_SHIFT + 2 * k)
                elif out[v, k] >= high[k]:
                    code |= 1 << (BOUND_SHIFT + 2 * k + 1)
    status[v] = code


def fit_row(
    v: int,
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    sigma: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    first_start: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    clean: NDArray[np.float64],
    found: NDArray[np.float64],
    out: NDArray[np.float64],
    variation: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    """Fit row `v` of `signals`, with its bounds; `work`, `clean` and `found` are scratch."""
    code = open_row(v, b, root_weight, signals, low, clean, variation)
    if code == 0:
        code = fit_voxel(
            b,
            root_weight,
            clean,
            sigma[min(v, sigma.size - 1)],
            low,
            high,
            first_start,
            options,
            table,
            work,
            found,
        )
        for k in range(out.shape[1]):
            out[v, k] = found[k]
    close_row(v, code, low, high, out, variation, status)


def estimate_row(
    v: int,
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    first_start: NDArray[np.float64],
    method_options: NDArray[np.float64],
    method_table: NDArray[np.float64],
    method_work: NDArray[np.float64],
    found: NDArray[np.float64],
    status: NDArray[np.int32],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    clean: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Tell how sure the numbers are that a method found in row `v` of `signals`."""
    for k in range(out.shape[1]):
        out[v, k] = math.nan
    if status[v] & _FAILED == 0:
        for j in range(b.size):
            clean[j] = signals[v, j] if root_weight[j] > 0.0 else 0.0
        row = min(v, lower.shape[0] - 1)
        status[v] |= estimate_voxel(
            b,
            root_weight,
            clean,
            sigma[min(v, sigma.size - 1)],
            found[v],
            status[v],
            lower[row],
            upper[row],
            first_start,
            method_options,
            method_table,
            method_work,
            options,
            table,
            work,
            out[v],
        )
