"""Slices side by side in one image: Siemens mosaics and UIH grids."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["mosaic_positions", "n_across", "tile_of"]


def n_across(n_slices: int) -> int:
    """Return the number of tiles in a row of a mosaic: the smallest square that has room."""
    return math.isqrt(n_slices - 1) + 1 if n_slices > 1 else 1


def mosaic_positions(
    origin: NDArray[np.float64],
    row: NDArray[np.float64],
    column: NDArray[np.float64],
    step: NDArray[np.float64],
    n_slices: int,
) -> NDArray[np.float64]:
    """Return the positions of the slices of a Siemens mosaic, shape (n_slices, 3), mm.

    Image Position is computed by the scanner as if the whole mosaic were one image centred where
    the slice is: the first voxel of a slice lies half of the difference in width and height
    further in.

    Parameters
    ----------
    origin : ndarray, shape (3,)
        Image Position of the mosaic, mm.
    row, column : ndarray, shape (3,)
        By how much the mosaic is wider and higher than a tile, along its rows and columns, mm.
    step : ndarray, shape (3,)
        From one slice to the next, mm.
    n_slices : int
        Number of slices.
    """
    first = origin + (row + column) / 2
    positions: NDArray[np.float64] = first + np.arange(n_slices)[:, None] * step
    return positions


def tile_of(
    image: NDArray[np.generic], number: int, shape: tuple[int, int]
) -> NDArray[np.generic]:
    """Return one slice of a mosaic, shape (rows, columns), counted from 0 along the rows."""
    rows, columns = shape
    down, across = divmod(number, image.shape[1] // columns)
    return image[down * rows : (down + 1) * rows, across * columns : (across + 1) * columns]
