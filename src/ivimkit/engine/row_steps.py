"""The steps for one voxel, the same on every device: indexing and bookkeeping, without formulas.

These functions are templates: `ivimkit.engine.bind` puts `fit_voxel` and `estimate_voxel` in, and
pastes them into the drivers of a device.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import pasted
from ivimkit.kernels.screen import screen, spread
from ivimkit.kernels.voxel import Found, Tables, Voxel
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
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    low: NDArray[np.float64],
    clean: NDArray[np.float64],
    variation: NDArray[np.float64],
) -> int:
    """Copy row `v` of `signals` to `clean`, store its spread, return 0 if it can be fitted."""
    for j in range(clean.size):
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
    """Write the status of voxel `v` with flags of bounds; if it failed, set its values to NaN."""
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
    voxel: Voxel,
    signals: NDArray[np.float64],
    found: NDArray[np.float64],
    out: NDArray[np.float64],
    variation: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    """Fit row `v` of `signals`; the signal of the voxel is written here, `found` is scratch."""
    code = open_row(v, voxel.root_weight, signals, voxel.lower, voxel.signal, variation)
    if code == 0:
        code = fit_voxel(voxel, found)
        for k in range(out.shape[1]):
            out[v, k] = found[k]
    close_row(v, code, voxel.lower, voxel.upper, out, variation, status)


def estimate_row(
    v: int,
    voxel: Voxel,
    signals: NDArray[np.float64],
    found: NDArray[np.float64],
    status: NDArray[np.int32],
    tables: Tables,
    out: NDArray[np.float64],
) -> None:
    """Estimate the uncertainty of the parameters fitted to row `v` of `signals`.

    The voxel has the plan of the method; its signal is written here.
    """
    for k in range(out.shape[1]):
        out[v, k] = math.nan
    if status[v] & _FAILED == 0:
        for j in range(voxel.signal.size):
            voxel.signal[j] = signals[v, j] if voxel.root_weight[j] > 0.0 else 0.0
        status[v] |= estimate_voxel(voxel, Found(found[v], status[v]), tables, out[v])
