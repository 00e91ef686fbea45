"""ImageStack: the images of a scan that move as one, and their coordinates."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError
from ivimkit.scan.dwi import DWI
from ivimkit.steps._empty_volumes import check_volumes
from ivimkit.steps._resampling import filled

__all__ = ["ImageStack", "check_movable", "reference_volumes"]

_MIN_VOXELS = 8
"""Along both axes of an image: fewer do not show a shift."""

_MIN_SLICES = 8
"""With fewer slices a shift along their normal cannot be told: each is moved in its plane."""

Value = TypeVar("Value", bound=np.generic)
Volume = NDArray[np.float32]


def check_movable(dwi: DWI) -> None:
    """Check that a scan has images that can be registered.

    Raises
    ------
    InputError
        If it is a list of voxels, too small, or its affine does not span a volume; or the images
        of the lowest b have no signal.
    """
    shape = dwi.shape
    if len(shape) not in (2, 3):
        raise InputError(
            f"the scan has spatial shape {shape}, which is not that of images; expected (x, y) or "
            "(x, y, z). Motion cannot be estimated for lists of voxels"
        )
    sides = _image_axes(shape)
    if min((*shape, 1)[axis] for axis in sides) < _MIN_VOXELS:
        raise InputError(
            f"the images have {' x '.join(map(str, shape))} voxels; expected at least "
            f"{_MIN_VOXELS} along both axes of a slice, or motion cannot be estimated"
        )
    if dwi.geometry.singular:
        raise InputError(
            "the affine of the scan does not span a volume; expected the size of a voxel in mm, "
            "without which motion cannot be estimated. Correct the header"
        )
    check_volumes(dwi, reference_volumes(dwi), "at the lowest b, to which the others are aligned")


def reference_volumes(dwi: DWI) -> tuple[int, ...]:
    """Return the volumes of the lowest b that have a weight."""
    used = dwi.used_volumes
    for shell in dwi.acquisition.shells:
        volumes = tuple(volume for volume in shell.volumes if used[volume])
        if volumes:
            return volumes
    return dwi.acquisition.shells[0].volumes


def _image_axes(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the axes of a slice: those other than the third one, or than one of length 1."""
    full = (*shape, 1)[:3]
    single = [axis for axis in range(3) if full[axis] == 1]
    through = single[-1] if single else 2
    first, second = (axis for axis in range(3) if axis != through)
    return first, second


class ImageStack:
    """The images of a scan that move as one: volumes, or slices in their planes.

    Parameters
    ----------
    dwi : DWI
        A scan that `check_movable` accepts.
    slices : bool
        Whether each slice moves in its plane; always with fewer than 8 slices.

    Attributes
    ----------
    shape : tuple of int
        With three axes.
    n_parts : int
        Number of images of a volume that move as one: 1, or the number of slices.
    """

    def __init__(self, dwi: DWI, *, slices: bool) -> None:
        self._dwi = dwi
        self.shape = (*dwi.shape, 1)[:3]
        self.affine = dwi.affine
        flat = slices or min(self.shape) < _MIN_SLICES
        self._axes: tuple[int, ...] = _image_axes(dwi.shape) if flat else (0, 1, 2)
        (self._through,) = {0, 1, 2} - set(self._axes) if flat else (-1,)
        self.n_parts = self.shape[self._through] if flat else 1
        edges = np.array([*dwi.geometry.voxel_size, 1.0])
        # From mm along the axes of the voxels to positions.
        self._to_world = self.affine / edges
        self._from_world = np.linalg.inv(self._to_world)

    @property
    def spacing(self) -> list[float]:
        """Edges of a voxel of an image, mm."""
        return [self._dwi.geometry.voxel_size[axis] for axis in self._axes]

    def volume(self, number: int) -> Volume:
        """Return a volume, shape (x, y, z); where it is not finite, the value next to it.

        The value 0 would be an edge, which does not move with the tissue: a registration holds on
        to it, and finds up to 3 mm in a scan that has been aligned.
        """
        values = np.asarray(self._dwi.signal[..., number], dtype=np.float32).reshape(self.shape)
        return filled(values, ~np.isfinite(values))

    def part(self, volume: NDArray[Value], number: int) -> NDArray[Value]:
        """Return an image of a volume."""
        if self._through < 0:
            return volume
        return np.asarray(np.take(volume, number, axis=self._through))

    def world(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a movement of an image, in mm along its axes, as one of positions, (4, 4)."""
        axes = [*self._axes, 3]
        full = np.eye(4)
        full[np.ix_(axes, axes)] = matrix
        return np.asarray(self._to_world @ full @ self._from_world)

    def positions(self, inside: NDArray[np.bool_], number: int) -> NDArray[np.float64]:
        """Return the positions of some voxels of an image, shape (n, 4), homogeneous, mm."""
        index = np.argwhere(inside)
        if self._through >= 0:
            index = index[index[:, self._through] == number]
        whole = np.concatenate([index, np.ones((len(index), 1))], axis=1)
        return np.asarray(whole @ self.affine.T)
