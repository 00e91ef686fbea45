"""VoxelMaps: maps as one value per fitted voxel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.fitting.map_names import StoredMaps

__all__ = ["VoxelMaps"]


class VoxelMaps(StoredMaps):
    """Maps stored as one value per fitted voxel and expanded to the volume on request.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n_voxels,)
        The values.
    index : ndarray of int, shape (n_voxels,)
        Flat positions of the voxels.
    shape : tuple of int
        Spatial shape.
    order : {"C", "F"}
        The order of `index`.
    """

    def __init__(
        self,
        columns: Mapping[str, NDArray[np.float64]],
        index: NDArray[np.intp],
        shape: tuple[int, ...],
        order: str,
    ) -> None:
        super().__init__(columns)
        self._index = index
        self._shape = shape
        self._order: Any = order

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        values = self._of(name)
        flat = np.full(int(np.prod(self._shape)), np.nan)
        flat[self._index] = values
        return flat.reshape(self._shape, order=self._order)

    def part(self, name: str, box: tuple[Any, ...]) -> NDArray[np.float64]:
        """Return a map inside a box, without expanding all of it."""
        slowest = box[::-1] if self._order == "F" else box
        if not isinstance(slowest[0], slice):
            return np.asarray(self[name][box])
        # Whole planes of it, and then what is wanted of them.
        lengths = self._shape[::-1] if self._order == "F" else self._shape
        planes = range(*slowest[0].indices(lengths[0]))
        plane = math.prod(lengths[1:])
        first, last = planes.start * plane, planes.stop * plane
        low, high = np.searchsorted(self._index, (first, last))
        flat = np.full(last - first, np.nan)
        flat[self._index[low:high] - first] = self._of(name)[low:high]
        inner = (slice(None), *slowest[1:])
        shape = (len(planes), *lengths[1:])
        if self._order == "F":
            return np.asarray(flat.reshape(shape[::-1], order="F")[inner[::-1]])
        return np.asarray(flat.reshape(shape)[inner])

    def at(self, voxel: tuple[int, ...]) -> dict[str, float]:
        """Return the value of each map at one voxel, without expanding any of them."""
        order = self._order
        flat = int(np.ravel_multi_index(voxel, self._shape, order=order)) if voxel else 0
        place = int(np.searchsorted(self._index, flat))
        if place == len(self._index) or self._index[place] != flat:
            return dict.fromkeys(self._stored, np.nan)
        return {name: float(column[place]) for name, column in self._stored.items()}

    def within(self, box: tuple[slice, ...]) -> dict[str, NDArray[np.float64]]:
        """Return the maps inside a box of voxels, without expanding any of them."""
        axes = [np.arange(n)[part] for n, part in zip(self._shape, box, strict=True)]
        order = self._order
        flat = np.ravel_multi_index(np.ix_(*axes), self._shape, order=order)
        place = np.minimum(np.searchsorted(self._index, flat), len(self._index) - 1)
        found = self._index[place] == flat
        return {
            name: np.where(found, column[place], np.nan) for name, column in self._stored.items()
        }
