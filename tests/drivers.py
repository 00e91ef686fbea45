"""Loops around kernels, compiled by `ivimkit.engine.bind` and so kept on disk between test runs.

They stand in a module of a fixed name because the cache remembers where a driver comes from.
`kernel` is put in by `bind`.
"""

from __future__ import annotations

import math

from ivimkit.kernels.covariance import invert
from ivimkit.kernels.two_decays.fitted_decays import Box, Fit
from ivimkit.kernels.voxel import Voxel

__all__ = [
    "fill_matrix",
    "finish_one",
    "fit_rows",
    "normal_inverse",
    "rate_all",
    "refine_all",
    "share_out",
]


def kernel(*_):
    """Stand in for what `bind` puts here."""
    raise NotImplementedError


def refine_all(b, root_weight, signals, start, box, table, out):
    """Refine all signals from one start; rows of `out` are fits."""
    bounds = Box(box[0], box[1], box[2], box[3], box[4], box[5], box[6], box[7])
    for v in range(signals.shape[0]):
        fit = kernel(b, root_weight, signals[v], start[0], start[1], bounds, table)
        out[v, 0], out[v, 1], out[v, 2], out[v, 3] = fit[0], fit[1], fit[2], fit[3]
        out[v, 4], out[v, 5], out[v, 6] = fit[4], fit[5], fit[6]
        out[v, 7], out[v, 8] = fit[7], fit[8]


def finish_one(b, root_weight, signal, start, end, box, table, out):
    """Finish a fit that stands at `start` with the given end."""
    bounds = Box(box[0], box[1], box[2], box[3], box[4], box[5], box[6], box[7])
    begin = Fit(start[0], start[1], start[2], start[3], math.inf, 0.0, 0.0, 1, end)
    fit = kernel(b, root_weight, signal, begin, bounds, table)
    out[0], out[1], out[2], out[3], out[4] = fit[0], fit[1], fit[2], fit[3], fit[4]
    out[5], out[6], out[7], out[8] = fit[5], fit[6], fit[7], fit[8]


def rate_all(x, root_weight, signals, boxes, options, table, work, out):
    """Fit the one rate that is unknown, each signal in its own bounds; rows of `out` are fits."""
    for v in range(signals.shape[0]):
        box = boxes[v]
        bounds = Box(box[0], box[1], box[2], box[3], box[4], box[5], box[6], box[7])
        voxel = Voxel(
            x, root_weight, signals[v], math.nan, options, options, options, options, table, work
        )
        fit = kernel(voxel, bounds)
        out[v, 0], out[v, 1], out[v, 2], out[v, 3] = fit[0], fit[1], fit[2], fit[3]
        out[v, 4], out[v, 5], out[v, 6] = fit[4], fit[5], fit[6]
        out[v, 7], out[v, 8] = fit[7], fit[8]


def fill_matrix(flat, first, rows, columns):
    """Write ten times its row plus its column to each place of a matrix in flat scratch."""
    matrix = kernel(flat[first:], rows, columns)
    for i in range(matrix.shape[0]):
        for k in range(matrix.shape[1]):
            matrix[i, k] = 10.0 * i + k


def normal_inverse(x, root_weight, params, n, work, inverse):
    """Write the inverse of the normal matrix at `params` to `inverse`."""
    kernel(x, root_weight, params, n, work)
    if invert(work, n, n):
        for i in range(n):
            for k in range(n):
                inverse[i, k] = work[n + i, k]


def fit_rows(x, root_weight, rows, low, high, start, options, table, work, out, status):
    """Fit rows of signals of a model of several compartments."""
    for v in range(rows.shape[0]):
        voxel = Voxel(x, root_weight, rows[v], 0.0, low, high, start, options, table, work)
        status[v] = kernel(voxel, out[v])


def share_out(n, gram, dots, total, share, passive, trial, factor):
    """Solve one non-negative least-squares problem."""
    kernel(n, gram, dots, total, share, passive, trial, factor)


def doubled(start, stop, values):
    """A loop that another process can import."""
    for v in range(start, stop):
        values[v] *= 2.0
