"""ShownGrid: the voxels of a study that the page has in its memory; of a large scan, every few."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.blocks import boxes
from ivimkit.scan.geometry import Geometry

__all__ = ["MAX_THINNED_VOXELS", "MAX_WHOLE_VOXELS", "Box", "ShownGrid", "is_large"]

MAX_WHOLE_VOXELS = 1 << 24
"""Voxels of a scan up to which the page has all of them: 67 MB per map, as float32."""

MAX_THINNED_VOXELS = 1 << 23
"""Voxels of an image of a larger scan: fewer, so that a browser draws it in a few seconds."""

# Voxels whose sides differ by less are equally fine along both.
_SAME_SIDE = 1.01

Box = tuple[slice, ...]
"""A part of the maps: one slice per axis."""


def is_large(shape: Sequence[int]) -> bool:
    """Return whether the page cannot have all voxels of a scan of that shape."""
    return math.prod(shape) > MAX_WHOLE_VOXELS


@dataclass(frozen=True)
class ShownGrid:
    """The first voxel of every block of voxels of a grid.

    Parameters
    ----------
    whole : tuple of int
        Shape of the grid, three axes.
    stride : tuple of int
        Shape of a block; ones if every voxel is shown. Blocks at the end may be cut off.
    """

    whole: tuple[int, int, int]
    stride: tuple[int, int, int] = (1, 1, 1)

    @classmethod
    def of(cls, whole: tuple[int, int, int], sides: Sequence[float]) -> ShownGrid:
        """Choose the blocks of a scan: of a large one, as small as is allowed, and as cubic.

        Parameters
        ----------
        whole : tuple of int
            Shape of the grid.
        sides : sequence of float
            Lengths of the sides of a voxel.

        Returns
        -------
        ShownGrid

        Examples
        --------
        >>> from ivimkit.viewer.shown_grid import ShownGrid
        >>> ShownGrid.of((256, 256, 54), (1.0, 1.0, 3.0)).stride
        (1, 1, 1)
        >>> ShownGrid.of((512, 512, 200), (1.0, 1.0, 3.0)).stride
        (3, 3, 1)
        """
        stride = [1, 1, 1]
        most = MAX_THINNED_VOXELS if is_large(whole) else math.inf
        while math.prod(_blocks(whole, stride)) > most:
            length = [
                side * step if n > step else math.inf
                for side, step, n in zip(sides, stride, whole, strict=True)
            ]
            finest = _SAME_SIDE * min(length)
            stride = [
                step + 1 if own <= finest else step
                for own, step in zip(length, stride, strict=True)
            ]
        x, y, z = stride
        return cls(whole, (x, y, z))

    @property
    def is_whole(self) -> bool:
        """Whether every voxel is shown."""
        return self.stride == (1, 1, 1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels shown along each axis."""
        return _blocks(self.whole, self.stride)

    def box(self, n_axes: int) -> Box:
        """Return the shown voxels as a part of arrays with so many of the axes."""
        return tuple(slice(None, None, step) for step in self.stride[:n_axes])

    def parts(self, n_axes: int) -> Iterator[tuple[Box, Box]]:
        """Go through the shown voxels part by part.

        Parameters
        ----------
        n_axes : int
            Number of axes of the maps.

        Yields
        ------
        tuple of Box
            Where they are in an image that is shown, and in the whole grid.
        """
        for slab in boxes(self.shape[:n_axes]):
            yield (
                slab,
                tuple(
                    slice(part.start * step, part.stop * step, step)
                    for part, step in zip(slab, self.stride, strict=False)
                ),
            )

    def geometry(self, whole: Geometry) -> Geometry:
        """Return where the blocks are: their middle, and their size."""
        if self.is_whole:
            return whole
        scale = np.diag([*map(float, self.stride), 1.0])
        scale[:3, 3] = (np.array(self.stride) - 1) / 2
        return Geometry(whole.affine @ scale)

    def highest(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Return the highest number in each block, so that no region is lost.

        Parameters
        ----------
        labels : ndarray of int, shape of the grid

        Returns
        -------
        ndarray of int
            In the shape that is shown.
        """
        for axis, step in enumerate(self.stride):
            if step > 1:
                starts = np.arange(0, labels.shape[axis], step)
                labels = np.maximum.reduceat(labels, starts, axis=axis)
        return labels

    def filled(self, shown: NDArray[Any]) -> NDArray[Any]:
        """Return numbers of blocks as those of all their voxels, in the shape of the grid."""
        for axis, (step, n) in enumerate(zip(self.stride, self.whole, strict=True)):
            if step > 1:
                cut = (slice(None),) * axis + (slice(n),)
                shown = shown.repeat(step, axis=axis)[cut]
        return shown


def _blocks(whole: Sequence[int], stride: Sequence[int]) -> tuple[int, int, int]:
    x, y, z = (-(-n // step) for n, step in zip(whole, stride, strict=True))
    return x, y, z
