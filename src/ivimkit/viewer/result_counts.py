"""ResultCounts: how many voxels of a result have each status, and values to be faded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ivimkit.figures.reliability import HATCHED, Doubt, doubtful_voxels
from ivimkit.figures.status_panels import Grade, grades
from ivimkit.fitting.result import FitResult
from ivimkit.scan.blocks import boxes
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
        return cls._of(result, found)

    @classmethod
    def by_parts(cls, result: FitResult) -> ResultCounts:
        """Return the same of a large result, of which a few slices are looked at at a time."""
        found = dict.fromkeys(result.maps, Doubtful(0, False))
        for slab in boxes(result.shape):
            part = FittedVoxels.of(result, slab).result
            for name in found:
                found[name] += Doubtful.of(doubtful_voxels(part, name))
        return cls._of(result, found)

    @classmethod
    def _of(cls, result: FitResult, doubtful: Mapping[str, Doubtful]) -> ResultCounts:
        return cls(result.codes.inside.total, tuple(grades(result)), doubtful)
