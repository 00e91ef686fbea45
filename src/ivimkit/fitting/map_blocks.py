"""Blocks of maps: some planes of a result at a time, as its maps may be larger than memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.fitting.map_names import MapsByName, StoredMaps

__all__ = ["Box", "MapsWithin", "boxes_of", "finite", "positions"]

Box = tuple[slice | Sequence[int] | EllipsisType, ...]
"""Part of a map: a slice for each of its axes, or one list of positions among slices; dots for a
map without axes."""

MAX_BLOCK_VOXELS = 1 << 22
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
    >>> from ivimkit.fitting.map_blocks import boxes_of
    >>> len(list(boxes_of(np.zeros((8, 8, 2)))))
    1
    """
    if not array.ndim:
        yield (...,)
        return
    axis = max(range(array.ndim), key=lambda k: abs(array.strides[k]) * (array.shape[k] > 1))
    n = array.shape[axis]
    plane = math.prod(array.shape) // max(n, 1)
    step = max(MAX_BLOCK_VOXELS // max(plane, 1), 1)
    box = [slice(0, length) for length in array.shape]
    for start in range(0, n, step):
        box[axis] = slice(start, min(start + step, n))
        yield tuple(box)


class MapsWithin(MapsByName[NDArray[Any]]):
    """The maps inside a box; each is looked up when it is asked for.

    Parameters
    ----------
    maps : mapping of str to ndarray
        The maps.
    box : tuple
        The box, as `boxes_of` yields it.
    """

    def __init__(self, maps: Mapping[str, NDArray[Any]], box: Box) -> None:
        self._maps, self._box = maps, box

    def __getitem__(self, name: str) -> NDArray[Any]:
        if isinstance(self._maps, StoredMaps):
            return self._maps.part(name, self._box)
        return np.asarray(self._maps[name][self._box])

    def __contains__(self, name: object) -> bool:
        return name in self._maps

    def __iter__(self) -> Iterator[str]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)


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
