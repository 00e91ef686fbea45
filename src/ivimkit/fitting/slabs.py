"""Slabs of a scan: the voxels that are fitted, and are in memory, at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError
from ivimkit.fitting.memory_budget import MemoryBudget
from ivimkit.rounding import megabytes
from ivimkit.scan.voxel_reader import VoxelReader

__all__ = ["Slab", "slabs_of"]


@dataclass(frozen=True)
class Slab:
    """Voxels that are fitted together: some planes of a scan.

    Parameters
    ----------
    voxels : slice
        Which voxels of the reader they are, in the order of its index.
    around : slice
        The same voxels and those that they need as neighbours.
    flat : slice
        Flat positions of the planes, in the memory order of the scan.
    """

    voxels: slice
    around: slice
    flat: slice

    @property
    def within(self) -> slice:
        """The voxels among those of `around`."""
        first = self.voxels.start - self.around.start
        return slice(first, first + self.voxels.stop - self.voxels.start)


def slabs_of(
    reader: VoxelReader, budget: MemoryBudget, bytes_per_voxel: float, halo: Sequence[int] = ()
) -> list[Slab]:
    """Return the slabs of a scan, each as thick as memory allows; one if all of it fits.

    Planes are those along the axis that is the slowest in memory.

    Parameters
    ----------
    reader : VoxelReader
        The voxels.
    budget : MemoryBudget
        What may be taken.
    bytes_per_voxel : float
        What each voxel needs.
    halo : sequence of int
        Number of planes on each side whose voxels are needed as neighbours, by axis; none by
        default.

    Raises
    ------
    InputError
        If there is not even room for one plane and its neighbours.
    """
    size, n = math.prod(reader.shape), reader.n_voxels
    most = math.floor(budget.n_bytes / bytes_per_voxel)
    if n <= most:
        every = slice(0, n)
        return [Slab(every, every, slice(0, size))]
    axis = 0 if reader.order == "C" else len(reader.shape) - 1
    n_planes = reader.shape[axis]
    plane, reach = size // n_planes, halo[axis] if halo else 0
    # Number of voxels before each plane.
    before = np.searchsorted(reader.index, plane * np.arange(n_planes + 1))
    slabs, start = [], 0
    while start < n_planes:
        low = int(before[max(start - reach, 0)])
        stop = _end(before, low + most, reach)
        if stop <= start:
            need = int(before[min(start + 1 + reach, n_planes)]) - low
            raise InputError(_too_little(budget, need * bytes_per_voxel, reach))
        high = int(before[min(stop + reach, n_planes)])
        slabs.append(
            Slab(
                slice(int(before[start]), int(before[stop])),
                slice(low, high),
                slice(start * plane, stop * plane),
            )
        )
        start = stop
    return slabs


def _end(before: NDArray[np.intp], most: int, reach: int) -> int:
    """Return the plane before which a slab ends, if its last voxel comes before another one."""
    n_planes = len(before) - 1
    last = int(np.searchsorted(before, most, side="right")) - 1
    return n_planes if last == n_planes else last - reach


def _too_little(budget: MemoryBudget, needed: float, reach: int) -> str:
    what = "one slice" + (f" and the {2 * reach} around it" if reach else "")
    return (
        f"a fit of {what} needs {megabytes(needed)} of memory, and may take "
        f"{megabytes(budget.n_bytes)}; expected room for it. Allow more (--mem-mb)"
    )
