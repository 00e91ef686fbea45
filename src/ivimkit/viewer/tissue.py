"""Tissue: where the voxels with a fit are, for the page to begin there and not in the air."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.blocks import boxes
from ivimkit.status import FitStatus
from ivimkit.viewer.study import Study

__all__ = ["Tissue"]

Voxel = tuple[int, int, int]


@dataclass(frozen=True)
class Tissue:
    """The voxels inside the mask of a study.

    Parameters
    ----------
    start : tuple of int
        One of them, near their middle in the slice that has most of them.
    low, high : tuple of int
        First and last voxel of the box around them.
    """

    start: Voxel
    low: Voxel
    high: Voxel

    @classmethod
    def of(cls, study: Study) -> Tissue:
        """Find them; all voxels if none is in the mask.

        Parameters
        ----------
        study : Study
            The study. Of a large one some slices are looked at at a time.

        Returns
        -------
        Tissue
        """
        status, grid = study.results[0].status.reshape(study.grid, order="A"), study.grid
        along = [np.zeros(n, dtype=np.int64) for n in grid]
        for slab in boxes(grid):
            inside = _inside(status[slab])
            for axis, part in enumerate(slab):
                others = tuple(other for other in range(3) if other != axis)
                along[axis][part] += np.count_nonzero(inside, axis=others)
        if not along[2].any():
            return cls(*(_voxel(find(n) for n in grid) for find in _FINDS))
        filled = [np.flatnonzero(counts) for counts in along]
        low, high = (_voxel(int(places[end]) for places in filled) for end in (0, -1))
        fullest = np.flatnonzero(along[2] == along[2].max())
        z = int(fullest[np.argmin(np.abs(fullest - (low[2] + high[2]) / 2))])
        places = np.argwhere(_inside(status[:, :, z]))
        x, y = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))].tolist()
        return cls((x, y, z), low, high)


# Of an axis without a voxel with a fit: its middle, its first and its last.
_FINDS = (lambda n: n // 2, lambda n: 0, lambda n: n - 1)


def _inside(status: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (status & int(FitStatus.OUTSIDE_MASK)) == 0
    return inside


def _voxel(indices: Iterable[int]) -> Voxel:
    x, y, z = indices
    return x, y, z
