"""SlabReader: voxels of a scan that is not in memory, read some planes at a time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.lazy_signal import LazySignal
from ivimkit.scan.value_weights import Weights
from ivimkit.scan.voxel_reader import Column, VoxelReader

__all__ = ["SlabReader"]

_MAX_HELD = 2
"""Slabs in memory: two, as threads work on both sides of a border."""

_ROWS = 1 << 16
"""Voxels that are read at a time."""


class SlabReader(VoxelReader):
    """A reader like `VoxelReader`, of a scan that is not in memory.

    A slab, some planes along the last axis, is read as a whole, and the last two are kept: voxels
    in the order of `index` cost one reading of each plane. Those that are needed in another order,
    or more than once, are read by `in_memory`.

    Parameters
    ----------
    signal : LazySignal
        The scan.
    mask, columns, value_weights
        As of `VoxelReader`.
    """

    def __init__(
        self,
        signal: LazySignal,
        mask: NDArray[np.bool_],
        columns: Sequence[Column],
        value_weights: Weights | None = None,
    ) -> None:
        self.order = "F"
        self.index = np.flatnonzero(mask.ravel(order="F"))
        self._shape, self._columns, self._rows = mask.shape, tuple(columns), None
        used = sorted({v for column in columns for group in column.groups for v in group})
        self._set_weights(value_weights, used)
        self._signal = signal
        # What lies between the first and the last volume is read with them.
        self._volumes_read = slice(used[0], used[-1] + 1)
        self._thickness = signal.thickness()
        self._voxels = self._thickness * math.prod(self._shape[:-1])
        self._held = _Held()

    def read(self, start: int, stop: int, out: NDArray[np.float64]) -> None:
        """Write the averaged signal of the voxels `start` to `stop` to `out`.

        Parameters
        ----------
        start, stop, out
            As of `VoxelReader.read`.
        """
        where = self.index[start:stop]
        slabs = where // self._voxels
        for number in np.unique(slabs):
            rows = np.flatnonzero(slabs == number)
            if len(rows) == len(where):
                super().read(start, stop, out)
                return
            values = np.empty((len(rows), self.n_columns))
            VoxelReader.read(self.at(where[rows]), 0, len(rows), values)
            out[rows, : self.n_columns] = values

    def in_memory(self) -> VoxelReader:
        """Return a reader of the same voxels, in the same order, whose values are in memory."""
        values = np.empty((self.n_voxels, self.n_columns))
        # Slab after slab, whatever the order.
        order = np.argsort(self.index, kind="stable")
        ascending = self.take(order)
        rows = np.empty((min(_ROWS, self.n_voxels), self.n_columns))
        for start in range(0, self.n_voxels, _ROWS):
            places = order[start : start + _ROWS]
            ascending.read(start, start + len(places), rows)
            values[places] = rows[: len(places)]
        columns = [Column(((k,),)) for k in range(self.n_columns)]
        return VoxelReader(values, np.ones(self.n_voxels, dtype=bool), columns)

    def _get(self, volume: int, where: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        first = int(where.start if isinstance(where, slice) else where[0]) // self._voxels
        values = self._held.slab(first, self._load)[:, volume - self._volumes_read.start]
        before = first * self._voxels
        if isinstance(where, slice):
            return values[where.start - before : where.stop - before].astype(np.float64)
        return values[where - before].astype(np.float64)

    def _load(self, number: int) -> NDArray[np.generic]:
        """Return a slab as one row per voxel, the values of a volume side by side in memory."""
        planes = slice(number * self._thickness, (number + 1) * self._thickness)
        slab = self._signal[..., planes, self._volumes_read]
        return np.asfortranarray(slab).reshape((-1, slab.shape[-1]), order="F")


class _Held:
    """The slabs that were read last, which the copies of a reader and threads share."""

    def __init__(self) -> None:
        self._slabs: dict[int, NDArray[np.generic]] = {}
        self._lock = threading.Lock()

    def slab(self, number: int, load: Callable[[int], NDArray[np.generic]]) -> NDArray[np.generic]:
        """Return a slab, and read it unless it is here."""
        with self._lock:
            found = self._slabs.get(number)
            if found is None:
                if len(self._slabs) >= _MAX_HELD:
                    # The slab that was read first.
                    self._slabs.pop(next(iter(self._slabs)))
                found = self._slabs[number] = load(number)
            return found
