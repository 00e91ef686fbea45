"""The CPU drivers: loops over voxels, indexing and memory, without formulas.

They are templates: `fit_row`, `fit_voxels`, `estimate_row` and `signal_kernel` are put in by
`ivimkit.engine.bind`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine.row_steps import close_row, open_row
from ivimkit.kernels.voxel import Tables, Voxel, Voxels

__all__ = [
    "estimate_chunk",
    "evaluate_chunk",
    "fit_batch",
    "fit_chunk",
    "gradient_chunk",
]


def fit_row(*_: Any) -> None:
    """Stand for `ivimkit.engine.row_steps.fit_row` with the voxel function of a method."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def fit_voxels(*_: Any) -> None:
    """Stand for the function of a method that fits many voxels together."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def estimate_row(*_: Any) -> None:
    """Stand for `ivimkit.engine.row_steps.estimate_row` with the function of an estimator."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def signal_kernel(*_: Any) -> tuple[float, Any]:
    """Stand for the kernel of a model."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def fit_chunk(
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    start: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    clean: NDArray[np.float64],
    found: NDArray[np.float64],
    out: NDArray[np.float64],
    variation: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    """Fit the rows of `signals`; sigma and bounds have one row, or one per voxel.

    `work`, `clean` and `found` are scratch.
    """
    low, high = lower[0], upper[0]
    for v in range(signals.shape[0]):
        if lower.shape[0] > 1:
            low, high = lower[v], upper[v]
        noise = sigma[min(v, sigma.size - 1)]
        voxel = Voxel(x, root_weight, clean, noise, low, high, start, options, table, work)
        fit_row(v, voxel, signals, found, out, variation, status)


def fit_batch(
    part: int,
    is_first: bool,
    is_last: bool,
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    scratch: tuple[NDArray[np.float64], ...],
    counters: NDArray[np.int64],
    clean: NDArray[np.float64],
    out: NDArray[np.float64],
    variation: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    """Do a step of a fit of the rows of `signals` together, with one set of bounds.

    `scratch`, `counters` and `clean` are scratch.
    """
    if is_first:
        for v in range(signals.shape[0]):
            status[v] = open_row(v, root_weight, signals, lower, clean, variation)
    voxels = Voxels(x, root_weight, signals, sigma, lower, upper, options, table)
    fit_voxels(part, voxels, scratch, counters, out, status)
    if is_last:
        for v in range(signals.shape[0]):
            close_row(v, status[v], lower, upper, out, variation, status)


def estimate_chunk(
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    start: NDArray[np.float64],
    method_options: NDArray[np.float64],
    method_table: NDArray[np.float64],
    method_scratch: int,
    found: NDArray[np.float64],
    status: NDArray[np.int32],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    scratch: int,
    out: NDArray[np.float64],
) -> None:
    """Estimate the uncertainty of the parameters fitted to the rows of `signals`."""
    work = np.zeros(method_scratch)
    clean = np.zeros(x.shape[1])
    tables = Tables(options, table, np.zeros(scratch))
    for v in range(signals.shape[0]):
        row = min(v, lower.shape[0] - 1)
        noise = sigma[min(v, sigma.size - 1)]
        voxel = Voxel(
            x, root_weight, clean, noise, lower[row], upper[row], start, method_options,
            method_table, work,
        )  # fmt: skip
        estimate_row(v, voxel, signals, found, status, tables, out)


def evaluate_chunk(
    x: NDArray[np.float64], params: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the signal of the rows of `params` at all columns of x to `out`."""
    for v in range(params.shape[0]):
        for j in range(x.shape[1]):
            out[v, j] = signal_kernel(x, j, params[v])[0]


def gradient_chunk(
    x: NDArray[np.float64], params: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the slopes of the signal of the rows of `params` at all columns of x to `out`."""
    for v in range(params.shape[0]):
        for j in range(x.shape[1]):
            slopes = signal_kernel(x, j, params[v])[1]
            for k in range(out.shape[2]):
                out[v, j, k] = slopes[k]
