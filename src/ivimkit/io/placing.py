"""Placement: an image put on the voxels of a scan by position.

Masks, labels, and maps of the noise and of fixed parameters are all placed here, so that a file
has the same position whatever it is used for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import ShapeError
from ivimkit.fitting.result import FitResult
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry

__all__ = ["Grid", "Placement", "no_overlap"]


@dataclass(frozen=True)
class Grid:
    """The voxels that an image is put on.

    Parameters
    ----------
    shape : tuple of int
        Spatial shape, up to three axes.
    geometry : Geometry
        Where they are.
    """

    shape: tuple[int, ...]
    geometry: Geometry

    @classmethod
    def of(cls, like: FitResult | DWI) -> Grid:
        """Return the voxels of a result or a scan.

        Raises
        ------
        ShapeError
            If they have more than three axes.
        """
        if len(like.shape) > 3:
            raise ShapeError(
                f"the maps have {len(like.shape)} axes; expected up to three for regions from "
                "files. Make the labels as an array (ivimkit.Labels)"
            )
        return cls(like.shape, like.geometry)

    @property
    def volume(self) -> tuple[int, ...]:
        """Shape with three axes."""
        return self.shape + (1,) * (3 - len(self.shape))


@dataclass(frozen=True)
class Placement:
    """How the voxels of an image become those of a scan.

    Parameters
    ----------
    grid : Grid
        The voxels of the scan.
    how : {"same", "by voxel", "other form", "reordered", "resampled"}
        What to do: nothing; nothing, as one of them has no position; nothing, as the image is at
        the position of the other form of the scan's header; turn, cut or pad without changing a
        value; or interpolate.
    to_image : ndarray, shape (4, 4)
        From index in the scan to index in the image; whole numbers unless resampled.
    """

    grid: Grid
    how: str
    to_image: NDArray[np.float64]

    @classmethod
    def of(cls, name: str, shape: tuple[int, ...], geometry: Geometry, grid: Grid) -> Placement:
        """Find the position of an image relative to a scan, from the headers alone.

        Parameters
        ----------
        name : str
            Name of the image in messages.
        shape : tuple of int
            Its shape, three axes.
        geometry : Geometry
            Where its voxels are.
        grid : Grid
            The voxels of the scan.

        Returns
        -------
        Placement

        Raises
        ------
        ShapeError
            If one of them has no position and the shapes differ, or they do not overlap.
        """
        volume, own = grid.volume, grid.geometry
        if not (geometry.placed and own.placed):
            if shape != volume:
                what = "the scan" if geometry.placed else name
                raise ShapeError(
                    f"{name} has shape {shape} and the scan {volume}, and {what} does not say "
                    "where it is (NIfTI codes 0); expected the same shape, or positions in both "
                    "files. Save it on the grid of the scan"
                )
            how = "same" if not geometry.placed and not own.placed else "by voxel"
            return cls(grid, how, np.eye(4))
        if shape == volume and geometry.is_at(own, volume):
            return cls(grid, "same", np.eye(4))
        if own.other_affine is not None:
            turned = _whole_map(geometry, Geometry(own.other_affine), volume)
            if turned is not None:
                there = cls(grid, "other form", turned)
                if there.covers(shape):
                    return there
        to_image = _whole_map(geometry, own, volume)
        if to_image is not None:
            placed = cls(grid, "reordered", to_image)
        else:
            placed = cls(grid, "resampled", np.linalg.inv(geometry.affine) @ own.affine)
        if not placed._reaches(shape):
            raise ShapeError(no_overlap(name, shape, volume))
        return placed

    @property
    def by_position(self) -> bool:
        """Whether voxels move within the array."""
        return self.how in ("reordered", "resampled")

    def numbers(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return whole numbers or a mask on the voxels of the scan, 0 outside the image.

        Parameters
        ----------
        array : ndarray, shape (x, y, z)
            The image.

        Returns
        -------
        ndarray
            With the type of the array and the shape of the scan with three axes: values of the
            nearest voxels.
        """
        if self.how in ("same", "by voxel"):
            return array
        if self.how != "resampled":
            return self._reordered(array, 0)
        # Not mode="constant", which treats the outer half of the border voxels as outside.
        return self._looked_up(array, order=0, mode="grid-constant")

    def values(self, array: NDArray[Any]) -> NDArray[np.float64]:
        """Return a map of real numbers on the voxels of the scan, NaN outside the image.

        Values are interpolated linearly between neighbours that are not NaN; NaN where these have
        less than half of the weight.

        Parameters
        ----------
        array : ndarray, shape (x, y, z)
            The image.

        Returns
        -------
        ndarray
            With the shape of the scan with three axes.
        """
        known = np.asarray(array, dtype=np.float64)
        if self.how in ("same", "by voxel"):
            return known
        if self.how != "resampled":
            return self._reordered(known, np.nan)
        there = ~np.isnan(known)
        inside = self._looked_up(np.ones(known.shape, np.uint8), order=0, mode="grid-constant")
        total = self._looked_up(np.where(there, known, 0.0), order=1, mode="nearest")
        weight = self._looked_up(there.astype(np.float64), order=1, mode="nearest")
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where((inside > 0) & (weight >= 0.5), total / weight, np.nan)

    def message(self, name: str, shape: tuple[int, ...], geometry: Geometry, kind: str) -> str:
        """Say what was done; empty if nothing was.

        Parameters
        ----------
        name : str
            Its name.
        shape : tuple of int
            Its shape, three axes.
        geometry : Geometry
            Where its voxels are.
        kind : str
            The kind of interpolation, like ``"nearest neighbour"``.
        """
        own = self.grid.geometry
        if self.how == "by voxel":
            if geometry.placed:
                return ""
            return (
                f"{name} does not say where it is (NIfTI codes 0); expected a position. It is "
                "used voxel by voxel, as it has the shape of the scan"
            )
        if self.how == "other form":
            other = "qform" if own.form == "sform" else "sform"
            return (
                f"{name} lies where the {other} of the scan says, not where its {own.form}, "
                "which counts, does; expected one place. It is used voxel by voxel, as it is on "
                f"the voxels of the scan by that {other}"
            )
        if self.how == "same":
            return ""
        done = (
            "its voxels are those of the scan in another order, or some of them, and are used "
            "unchanged"
            if self.how == "reordered"
            else f"it is resampled to the scan, {kind}"
        )
        return (
            f"{name} has another geometry than the scan "
            f"({_difference(shape, geometry, self.grid)}); expected the same. By position, {done}"
        )

    def covers(self, shape: tuple[int, ...]) -> bool:
        """Return whether an image of this shape has exactly the voxels of the scan.

        Only for grids that differ by whole voxels.
        """
        ends = np.array([[0, 0, 0], np.array(self.grid.volume) - 1]).T
        seen = self.to_image[:3, :3] @ ends + self.to_image[:3, 3:]
        low, high = seen.min(axis=1), seen.max(axis=1)
        return bool((low == 0).all() and (high == np.array(shape) - 1).all())

    def _reordered(self, array: NDArray[Any], fill: float) -> NDArray[Any]:
        """Turn, cut and pad, without changing a value."""
        turn = self.to_image[:3, :3].astype(int)
        order = [int(np.flatnonzero(turn[:, axis])[0]) for axis in range(3)]
        out = np.full(self.grid.volume, fill, dtype=array.dtype)
        here, there = [], []
        for axis, length in enumerate(self.grid.volume):
            source = order[axis]
            index = turn[source, axis] * np.arange(length) + int(self.to_image[source, 3])
            inside = (index >= 0) & (index < array.shape[source])
            here.append(np.flatnonzero(inside))
            there.append(index[inside])
        out[np.ix_(*here)] = array.transpose(order)[np.ix_(*there)]
        return out

    def _looked_up(self, array: NDArray[Any], *, order: int, mode: str) -> NDArray[Any]:
        from scipy import ndimage  # A third of a second, and few images need it.

        transform: Any = ndimage.affine_transform
        out: NDArray[Any] = transform(
            array, self.to_image, output_shape=self.grid.volume, order=order, mode=mode
        )
        return out

    def _reaches(self, shape: tuple[int, ...]) -> bool:
        """Return whether the bounding boxes of image and scan can share a voxel."""
        ends = [(-0.5, n - 0.5) for n in self.grid.volume]
        corners = np.array(np.meshgrid(*ends)).reshape(3, -1)
        seen = self.to_image[:3, :3] @ corners + self.to_image[:3, 3:]
        longest = np.array(shape) - 0.5
        return bool((seen.max(axis=1) > -0.5).all() and (seen.min(axis=1) < longest).all())


def _whole_map(
    image: Geometry, scan: Geometry, volume: tuple[int, ...]
) -> NDArray[np.float64] | None:
    """Return the voxel of an image for each voxel of a scan, if the grids agree.

    None if they are rotated, or shifted by other than whole voxels.
    """
    rounded = np.rint(np.linalg.inv(image.affine) @ scan.affine)
    turn = np.abs(rounded[:3, :3])
    if not ((turn.sum(axis=0) == 1).all() and (turn.sum(axis=1) == 1).all()):
        return None
    return rounded if Geometry(image.affine @ rounded).is_at(scan, volume) else None


def no_overlap(name: str, shape: tuple[int, ...], volume: tuple[int, ...]) -> str:
    """Raise the error for an image that does not overlap with the scan; shapes have three axes."""
    hint = (
        " It has the shape of the scan: if it was drawn there, save it with the scan's header"
        if shape == volume
        else ""
    )
    return (
        f"{name} and the scan do not overlap; expected an image of this scan. Check that they "
        f"belong together.{hint}"
    )


def _difference(shape: tuple[int, ...], geometry: Geometry, grid: Grid) -> str:
    if shape != grid.volume:
        return f"shape {shape} against {grid.volume}"
    shift = np.abs(geometry.shifts(grid.geometry, grid.volume)).max()
    return f"voxels are up to {shift:.3g} mm apart"
