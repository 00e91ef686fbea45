"""Blocks of volumes: some planes at a time, as maps and scans may be larger than memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "boxes", "boxes_of", "finite", "positions"]

Box = tuple[slice | Sequence[int] | EllipsisType, ...]
"""Part of a map: a slice for each of its axes, or one list of positions among slices; dots for a
map without axes."""

MAX_BLOCK_VOXELS = 1 << 20
"""Voxels in a block; at least one plane is."""


def boxes_of(array: NDArray[Any]) -> Iterator[Box]:
    """Yield the boxes that an array is looked at in: whole planes, in the order of its memory.

    Parameters
    ----------
    array : ndarray
        A map, in memory or on disk.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.scan.blocks import boxes_of
    >>> len(list(boxes_of(np.zeros((8, 8, 2)))))
    1
    """
    if not array.ndim:
        yield (...,)
        return
    axis = max(range(array.ndim), key=lambda k: abs(array.strides[k]) * (array.shape[k] > 1))
    yield from boxes(array.shape, axis)


def boxes(shape: Sequence[int], axis: int = -1) -> Iterator[tuple[slice, ...]]:
    """Yield boxes of whole planes, one after the other along an axis.

    Parameters
    ----------
    shape : sequence of int
        Of the volume.
    axis : int
        Axis that the planes are perpendicular to; the last one by default.
    """
    n = shape[axis]
    plane = math.prod(shape) // max(n, 1)
    step = max(MAX_BLOCK_VOXELS // max(plane, 1), 1)
    box = [slice(0, length) for length in shape]
    for start in range(0, n, step):
        box[axis] = slice(start, min(start + step, n))
        yield tuple(box)


def finite(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the values that are finite, in one row."""
    array = np.asarray(values)
    # Not the other way round: a map may be larger than the values in it, and than memory.
    found: NDArray[Any] = array[np.isfinite(array)]
    return found.astype(np.float64, copy=False)


def positions(inside: NDArray[np.bool_], box: Box, shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the flat positions, in C order of the whole, of some voxels of a block.

    Parameters
    ----------
    inside : ndarray of bool, shape of the box
        The voxels.
    box : tuple
        The box, as `boxes_of` yields it.
    shape : tuple of int
        Shape of the whole.
    """
    if not shape:
        return np.flatnonzero(inside)
    starts = [one.start for one in box if isinstance(one, slice)]
    places = [own + start for own, start in zip(np.nonzero(inside), starts, strict=True)]
    return np.asarray(np.ravel_multi_index(places, shape), dtype=np.intp)
