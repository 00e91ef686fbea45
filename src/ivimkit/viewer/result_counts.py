"""ResultCounts: how many voxels of a result have each status, and values to be faded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ivimkit.figures.reliability import HATCHED, Doubt, doubtful_voxels
from ivimkit.figures.status_panels import Grade, grades
from ivimkit.fitting.result import FitResult
from ivimkit.status import gravest
from ivimkit.viewer.shown_grid import slabs
from ivimkit.viewer.voxel_box import FittedVoxels

__all__ = ["Doubtful", "ResultCounts"]


@dataclass(frozen=True)
class Doubtful:
    """The voxels of a map that are faded: how many, and whether any is not reliable at all."""

    n: int
    hatched: bool

    @classmethod
    def of(cls, found: Doubt) -> Doubtful:
        """Count them."""
        return cls(int(np.count_nonzero(found)), bool((found == HATCHED).any()))

    def __add__(self, other: Doubtful) -> Doubtful:
        return Doubtful(self.n + other.n, self.hatched or other.hatched)


@dataclass(frozen=True)
class ResultCounts:
    """Numbers of voxels of a result.

    Parameters
    ----------
    voxels : int
        Those in the mask.
    grades : tuple of Grade
        See `ivimkit.figures.status_panels.grades`.
    doubtful : mapping of str to Doubtful
        Those of each map.
    """

    voxels: int
    grades: tuple[Grade, ...]
    doubtful: Mapping[str, Doubtful]

    @classmethod
    def of(cls, result: FitResult) -> ResultCounts:
        """Look at the whole result."""
        found = {name: Doubtful.of(doubtful_voxels(result, name)) for name in result.maps}
        return cls(int(np.count_nonzero(result.mask)), tuple(grades(result)), found)

    @classmethod
    def by_parts(cls, result: FitResult) -> ResultCounts:
        """Return the same of a large result, of which a few slices are looked at at a time."""
        codes: dict[int, int] = {}
        found = dict.fromkeys(result.maps, Doubtful(0, False))
        for slab in slabs(result.shape):
            part = FittedVoxels.of(result, slab).result
            numbers, n = np.unique(part.status, return_counts=True)
            for code, more in zip(numbers.tolist(), n.tolist(), strict=True):
                codes[code] = codes.get(code, 0) + more
            for name in found:
                found[name] += Doubtful.of(doubtful_voxels(part, name))
        return cls(sum(codes.values()), _grades(result, codes), found)


def _grades(result: FitResult, codes: Mapping[int, int]) -> tuple[Grade, ...]:
    """Return the grades of so many voxels of each status."""
    status = np.array([*codes], dtype=result.status.dtype)
    n = np.array([*codes.values()], dtype=np.int64)
    worst = gravest(status, result.model)
    # Their order and colours are those of one voxel of each status.
    one_each = grades(dataclasses.replace(result, status=status, dwi=None))
    return tuple(
        dataclasses.replace(
            grade,
            shown=int(n[worst == grade.flag].sum()),
            total=int(n[(status & grade.flag != 0) if grade.flag else status == 0].sum()),
        )
        for grade in one_each
    )
