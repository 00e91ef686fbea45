"""Loops around kernels, compiled by `ivimkit.engine.bind` and so kept on disk between test runs.

They stand in a module of a fixed name because the cache remembers where a driver comes from.
`kernel` is put in by `bind`.
"""

from __future__ import annotations

__all__ = ["doubled", "fill_matrix"]


def kernel(*_):
    """Stand in for what `bind` puts here."""
    raise NotImplementedError


def fill_matrix(flat, first, rows, columns):
    """Write ten times its row plus its column to each place of a matrix in flat scratch."""
    matrix = kernel(flat[first:], rows, columns)
    for i in range(matrix.shape[0]):
        for k in range(matrix.shape[1]):
            matrix[i, k] = 10.0 * i + k


def doubled(start, stop, values):
    """A loop that another process can import."""
    for v in range(start, stop):
        values[v] *= 2.0
