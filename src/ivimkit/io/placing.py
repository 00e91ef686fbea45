"""Placement: an image beside a scan, put on the voxels of the scan by position.

Masks, labels, maps of the noise and of fixed parameters all come this way, so that the same file
lies in the same place whatever it is used for.
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
    """The voxels that an image is wanted on.

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
        What there is to do: nothing; nothing, as one of them has no position; nothing, as the
        image lies where the other form of the scan's header says; turn, cut or pad without
        touching a value; or look up values between voxels.
    to_image : ndarray, shape (4, 4)
        From index in the scan to index in the image; whole numbers unless resampled.
    """

    grid: Grid
    how: str
    to_image: NDArray[np.float64]

    @classmethod
    def of(cls, name: str, shape: tuple[int, ...], geometry: Geometry, grid: Grid) -> Placement:
        """Find out how an image lies to a scan, from the headers alone.

        Parameters
        ----------
        name : str
            How messages call the image.
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
        """Whether voxels change their place in the array."""
        return self.how in ("reordered", "resampled")

    def numbers(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return whole numbers or a mask on the voxels of the scan, 0 outside of the image.

        Parameters
        ----------
        array : ndarray, shape (x, y, z)
            The image.

        Returns
        -------
        ndarray
            Of the type of the array, in the shape of the scan with three axes: values are those
            of the nearest voxel.
        """
        if self.how in ("same", "by voxel"):
            return array
        if self.how != "resampled":
            return self._reordered(array, 0)
        # Not mode="constant", which takes the outer half of the border voxels for outside.
        return self._looked_up(array, order=0, mode="grid-constant")

    def values(self, array: NDArray[Any]) -> NDArray[np.float64]:
        """Return a map of real numbers on the voxels of the scan, NaN outside of the image.

        Values between voxels are linear ones, of those neighbours that are not NaN; NaN where
        more than half of the weight is.

        Parameters
        ----------
        array : ndarray, shape (x, y, z)
            The image.

        Returns
        -------
        ndarray
            In the shape of the scan with three axes.
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
        """Say what was done, or nothing where nothing was.

        Parameters
        ----------
        name : str
            How to call the image.
        shape : tuple of int
            Its shape, three axes.
        geometry : Geometry
            Where its voxels are.
        kind : str
            How values between voxels are found, like ``"nearest neighbour"``.
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
            "as they are"
            if self.how == "reordered"
            else f"it is resampled to the scan, {kind}"
        )
        return (
            f"{name} has another geometry than the scan "
            f"({_difference(shape, geometry, self.grid)}); expected the same. By position, {done}"
        )

    def covers(self, shape: tuple[int, ...]) -> bool:
        """Return whether the voxels of an image of this shape are those of the scan, all of them.

        Only of grids that differ by whole voxels.
        """
        ends = np.array([[0, 0, 0], np.array(self.grid.volume) - 1]).T
        seen = self.to_image[:3, :3] @ ends + self.to_image[:3, 3:]
        low, high = seen.min(axis=1), seen.max(axis=1)
        return bool((low == 0).all() and (high == np.array(shape) - 1).all())

    def _reordered(self, array: NDArray[Any], fill: float) -> NDArray[Any]:
        """Turn, cut and pad, without touching a value."""
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
        from scipy import ndimage  # It takes a third of a second, and few images need it.

        transform: Any = ndimage.affine_transform
        out: NDArray[Any] = transform(
            array, self.to_image, output_shape=self.grid.volume, order=order, mode=mode
        )
        return out

    def _reaches(self, shape: tuple[int, ...]) -> bool:
        """Return whether the boxes around image and scan can have a voxel in common."""
        ends = [(-0.5, n - 0.5) for n in self.grid.volume]
        corners = np.array(np.meshgrid(*ends)).reshape(3, -1)
        seen = self.to_image[:3, :3] @ corners + self.to_image[:3, 3:]
        longest = np.array(shape) - 0.5
        return bool((seen.max(axis=1) > -0.5).all() and (seen.min(axis=1) < longest).all())


def _whole_map(
    image: Geometry, scan: Geometry, volume: tuple[int, ...]
) -> NDArray[np.float64] | None:
    """Return from which voxel of an image each one of a scan is, if the grids are the same.

    None if they are turned or shifted against each other by more than whole voxels.
    """
    rounded = np.rint(np.linalg.inv(image.affine) @ scan.affine)
    turn = np.abs(rounded[:3, :3])
    if not ((turn.sum(axis=0) == 1).all() and (turn.sum(axis=1) == 1).all()):
        return None
    return rounded if Geometry(image.affine @ rounded).is_at(scan, volume) else None


def no_overlap(name: str, shape: tuple[int, ...], volume: tuple[int, ...]) -> str:
    """Say that an image does not lie on the scan; both by their shapes of three axes."""
    hint = (
        " It has the shape of the scan: if it was drawn there, save it with the scan's header"
        if shape == volume
        else ""
    )
    return (
        f"{name} and the scan do not overlap; expected one of this scan. Check that they belong "
        f"together.{hint}"
    )


def _difference(shape: tuple[int, ...], geometry: Geometry, grid: Grid) -> str:
    if shape != grid.volume:
        return f"shape {shape} against {grid.volume}"
    shift = np.abs(geometry.shifts(grid.geometry, grid.volume)).max()
    return f"voxels are up to {shift:.3g} mm apart"
