"""ScratchMaps: maps and status of a scan larger than memory, on disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ivimkit.fitting.map_names import StoredMaps
from ivimkit.fitting.slabs import Slab
from ivimkit.status import FitStatus
from ivimkit.writing import ScratchArray, check_scratch

__all__ = ["ScratchMaps", "ScratchWriter"]

_BYTES_PER_NUMBER = 4


class ScratchMaps(StoredMaps):
    """Maps that are on disk, as float32, and are read where they are looked at.

    Parameters
    ----------
    stored : mapping of str to ndarray, shape (...)
        The maps.
    """

    def __getitem__(self, name: str) -> NDArray[Any]:
        found: NDArray[Any] = self._of(name)
        return found


class ScratchWriter:
    """Writes maps and status slab by slab.

    Parameters
    ----------
    names : sequence of str
        The maps.
    index : ndarray of int, shape (n_voxels,)
        Flat positions of the voxels, ascending.
    shape : tuple of int
        Spatial shape.
    order : {"C", "F"}
        The order of `index`.
    flags : dtype
        Type of the status.
    folder : Path
        Where the files are.

    Raises
    ------
    InputError
        If there is not enough room.
    """

    def __init__(
        self,
        names: Sequence[str],
        index: NDArray[np.intp],
        shape: tuple[int, ...],
        order: Literal["C", "F"],
        flags: DTypeLike,
        folder: Path,
    ) -> None:
        per_voxel = len(names) * _BYTES_PER_NUMBER + np.dtype(flags).itemsize
        check_scratch(folder, math.prod(shape) * per_voxel)
        self._index = index
        self._maps = {name: ScratchArray(shape, np.float32, order, folder) for name in names}
        self._status = ScratchArray(shape, flags, order, folder)

    def append(
        self, slab: Slab, columns: Mapping[str, NDArray[Any]], status: NDArray[Any]
    ) -> None:
        """Write the next slab: one value per voxel, nothing elsewhere."""
        places = self._index[slab.voxels] - slab.flat.start
        n = slab.flat.stop - slab.flat.start
        for name, scratch in self._maps.items():
            scratch.append(_spread(columns[name], places, n, np.nan, np.float32))
        outside = int(FitStatus.OUTSIDE_MASK)
        self._status.append(_spread(status, places, n, outside, status.dtype))

    def finished(self) -> tuple[ScratchMaps, NDArray[Any]]:
        """Return what was written."""
        maps = ScratchMaps({name: scratch.finished() for name, scratch in self._maps.items()})
        return maps, self._status.finished()


def _spread(
    values: NDArray[Any], places: NDArray[np.intp], n: int, fill: float, dtype: DTypeLike
) -> NDArray[Any]:
    """Return values at their places, and something else everywhere else."""
    flat = np.full(n, fill, dtype=dtype)
    with np.errstate(over="ignore"):
        flat[places] = values
    return flat
