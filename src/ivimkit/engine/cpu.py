"""The CPU drivers: loops over voxels, indexing and memory, no formula.

They are templates: `fit_row`, `fit_voxels`, `estimate_row` and `signal_kernel` are put in by
`ivimkit.engine.bind`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine.voxel import close_row, open_row

__all__ = [
    "estimate_chunk",
    "evaluate_chunk",
    "fit_chunk",
    "fit_chunk_side_by_side",
    "gradient_chunk",
]


def fit_row(*_: Any) -> None:
    """Stand for `ivimkit.engine.voxel.fit_row` with the voxel function of a method."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def fit_voxels(*_: Any) -> None:
    """Stand for the function of a method that fits many voxels side by side."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def estimate_row(*_: Any) -> None:
    """Stand for `ivimkit.engine.voxel.estimate_row` with the voxel function of an estimator."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def signal_kernel(*_: Any) -> tuple[float, Any]:
    """Stand for the kernel of a model."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def fit_chunk(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
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
    """Fit the rows of `signals`; sigma and bounds are one, or one per voxel.

    `work`, `clean` and `found` are scratch.
    """
    low, high = lower[0], upper[0]
    for v in range(signals.shape[0]):
        if lower.shape[0] > 1:
            low, high = lower[v], upper[v]
        fit_row(
            v,
            b,
            root_weight,
            signals,
            sigma,
            low,
            high,
            first_start,
            options,
            table,
            work,
            clean,
            found,
            out,
            variation,
            status,
        )


def fit_chunk_side_by_side(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
    fits: NDArray[np.float64],
    clean: NDArray[np.float64],
    out: NDArray[np.float64],
    variation: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    """Fit the rows of `signals`, with one set of bounds; `work` to `clean` are scratch."""
    for v in range(signals.shape[0]):
        status[v] = open_row(v, b, root_weight, signals, low, clean, variation)
    fit_voxels(
        b, root_weight, signals, low, high, options, table, work, memory, state, order, fits,
        clean, out, status,
    )  # fmt: skip
    for v in range(signals.shape[0]):
        close_row(v, status[v], low, high, out, variation, status)


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
    first_start = start[0]
    clean = np.zeros(b.size)
    for v in range(signals.shape[0]):
        estimate_row(
            v,
            b,
            root_weight,
            signals,
            sigma,
            lower,
            upper,
            first_start,
            method_options,
            method_table,
            method_work,
            found,
            status,
            options,
            table,
            work,
            clean,
            out,
        )


def evaluate_chunk(
    b: NDArray[np.float64], params: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the signal of the rows of `params` at all b-values to `out`."""
    x = b.reshape((1, b.size))
    for v in range(params.shape[0]):
        for j in range(b.size):
            out[v, j] = signal_kernel(x, j, params[v])[0]


def gradient_chunk(
    b: NDArray[np.float64], params: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the slopes of the signal of the rows of `params` at all b-values to `out`."""
    x = b.reshape((1, b.size))
    for v in range(params.shape[0]):
        for j in range(b.size):
            slopes = signal_kernel(x, j, params[v])[1]
            for k in range(out.shape[2]):
                out[v, j, k] = slopes[k]
