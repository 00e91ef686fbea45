"""The CPU drivers: loops over voxels, indexing and memory, no formula.

They are templates: `fit_voxel` and `signal_kernel` are put in by `ivimkit.engine.bind`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.screen import screen, spread
from ivimkit.status import BOUND_SHIFT, FAILED, FitStatus

__all__ = ["estimate_chunk", "evaluate_chunk", "fit_chunk", "gradient_chunk"]


def fit_voxel(*_: Any) -> int:
    """Stand for the voxel function of a method."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def signal_kernel(*_: Any) -> tuple[float, Any]:
    """Stand for the kernel of a model."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


_NON_FINITE = int(FitStatus.NON_FINITE)
_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
_FAILED = int(FAILED)


def fit_chunk(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    start: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work_rows: int,
    out: NDArray[np.float64],
    variation: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    """Fit the rows of `signals`; sigma, bounds and starts are one, or one per voxel."""
    n_par = lower.shape[1]
    n_out = out.shape[1]
    last_sigma = sigma.size - 1
    work = np.zeros((work_rows, table.shape[1]))
    first_start = start[0]
    # Views of rows are counted references; a copy of a short row costs less.
    clean = np.zeros(b.size)
    found = np.zeros(n_out)
    low, high = lower[0], upper[0]
    for v in range(signals.shape[0]):
        if lower.shape[0] > 1:
            low, high = lower[v], upper[v]
        for j in range(b.size):
            # A value without weight may be anything, and 0 times NaN is NaN.
            clean[j] = signals[v, j] if root_weight[j] > 0.0 else 0.0
        total, positive = screen(root_weight, clean)
        finite = math.isfinite(total)
        for k in range(n_par):
            finite = finite and math.isfinite(low[k])
        code = 0
        if not finite:
            code = _NON_FINITE
        elif positive == 0.0:
            code = _NO_SIGNAL
        else:
            code = fit_voxel(
                b,
                root_weight,
                clean,
                sigma[min(v, last_sigma)],
                low,
                high,
                first_start,
                options,
                table,
                work,
                found,
            )
            variation[v] = spread(root_weight, clean)
        if code & _FAILED:
            for k in range(out.shape[1]):
                out[v, k] = math.nan
            variation[v] = math.nan
        else:
            for k in range(n_out):
                out[v, k] = found[k]
            for k in range(n_par):
                if low[k] < high[k]:
                    if found[k] <= low[k]:
                        code |= 1 << (BOUND_SHIFT + 2 * k)
                    elif found[k] >= high[k]:
                        code |= 1 << (BOUND_SHIFT + 2 * k + 1)
        status[v] = code


def estimate_voxel(*_: Any) -> int:
    """Stand for the voxel function of an estimator."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def estimate_chunk(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    start: NDArray[np.float64],
    method_options: NDArray[np.float64],
    method_table: NDArray[np.float64],
    method_rows: int,
    found: NDArray[np.float64],
    status: NDArray[np.int32],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work_rows: int,
    out: NDArray[np.float64],
) -> None:
    """Tell how sure the numbers are that a method found in the rows of `signals`."""
    method_work = np.zeros((method_rows, method_table.shape[1]))
    work = np.zeros((work_rows, table.shape[1]))
    last_sigma = sigma.size - 1
    last_bounds = lower.shape[0] - 1
    first_start = start[0]
    clean = np.zeros(b.size)
    for v in range(signals.shape[0]):
        for k in range(out.shape[1]):
            out[v, k] = math.nan
        if status[v] & _FAILED:
            continue
        for j in range(b.size):
            clean[j] = signals[v, j] if root_weight[j] > 0.0 else 0.0
        row = min(v, last_bounds)
        status[v] |= estimate_voxel(
            b,
            root_weight,
            clean,
            sigma[min(v, last_sigma)],
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


def evaluate_chunk(
    b: NDArray[np.float64], params: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the signal of the rows of `params` at all b-values to `out`."""
    for v in range(params.shape[0]):
        for j in range(b.size):
            out[v, j] = signal_kernel(b[j], params[v])[0]


def gradient_chunk(
    b: NDArray[np.float64], params: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the slopes of the signal of the rows of `params` at all b-values to `out`."""
    for v in range(params.shape[0]):
        for j in range(b.size):
            slopes = signal_kernel(b[j], params[v])[1]
            for k in range(out.shape[2]):
                out[v, j, k] = slopes[k]
