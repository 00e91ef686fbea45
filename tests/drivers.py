"""Loops around kernels, compiled by `ivimkit.engine.bind` and so kept on disk between test runs.

They stand in a module of a fixed name because the cache remembers where a driver comes from.
`kernel` is put in by `bind`.
"""

from __future__ import annotations

import math

__all__ = ["finish_one", "fit_rows", "rate_all", "refine_all", "share_out"]


def kernel(*_):
    """Stand in for what `bind` puts here."""
    raise NotImplementedError


def refine_all(b, root_weight, signals, start, box, table, out):
    """Refine all signals from one start; rows of `out` are fits."""
    bounds = (box[0], box[1], box[2], box[3], box[4], box[5], box[6], box[7])
    for v in range(signals.shape[0]):
        fit = kernel(b, root_weight, signals[v], start[0], start[1], bounds, table)
        out[v, 0], out[v, 1], out[v, 2], out[v, 3] = fit[0], fit[1], fit[2], fit[3]
        out[v, 4], out[v, 5], out[v, 6] = fit[4], fit[5], fit[6]
        out[v, 7], out[v, 8] = fit[7], fit[8]


def finish_one(b, root_weight, signal, start, end, box, table, out):
    """Finish a fit that stands at `start` with the given end."""
    bounds = (box[0], box[1], box[2], box[3], box[4], box[5], box[6], box[7])
    begin = (start[0], start[1], start[2], start[3], math.inf, 0.0, 0.0, 1, end)
    fit = kernel(b, root_weight, signal, begin, bounds, table)
    out[0], out[1], out[2], out[3], out[4] = fit[0], fit[1], fit[2], fit[3], fit[4]
    out[5], out[6], out[7], out[8] = fit[5], fit[6], fit[7], fit[8]


def rate_all(b, root_weight, signals, boxes, n1, n2, table, work, out):
    """Fit the one rate that is unknown, each signal in its own bounds; rows of `out` are fits."""
    for v in range(signals.shape[0]):
        box = boxes[v]
        bounds = (box[0], box[1], box[2], box[3], box[4], box[5], box[6], box[7])
        fit = kernel(b, root_weight, signals[v], bounds, n1, n2, table, work)
        out[v, 0], out[v, 1], out[v, 2], out[v, 3] = fit[0], fit[1], fit[2], fit[3]
        out[v, 4], out[v, 5], out[v, 6] = fit[4], fit[5], fit[6]
        out[v, 7], out[v, 8] = fit[7], fit[8]


def fit_rows(x, root_weight, rows, low, high, start, options, table, work, out, status):
    """Fit rows of signals of a model of several compartments."""
    for v in range(rows.shape[0]):
        status[v] = kernel(
            x, root_weight, rows[v], 0.0, low, high, start, options, table, work, out[v]
        )


def share_out(n, gram, dots, total, share, passive, trial, factor):
    """Solve one non-negative least-squares problem."""
    kernel(n, gram, dots, total, share, passive, trial, factor)
