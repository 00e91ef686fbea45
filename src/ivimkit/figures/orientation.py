"""View: the radiological orientation of a slice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.scan.geometry import Geometry

__all__ = ["Cut", "Filled", "View", "choose_cut", "planes_of", "view_of"]

_NEGATIVE, _POSITIVE = "LPI", "RAS"


@dataclass(frozen=True)
class View:
    """Orientation of the plane of the first two axes on a page.

    Parameters
    ----------
    swap : bool
        Whether the second axis runs to the right instead of the first.
    flip_right, flip_up : bool
        Whether to mirror the axis that runs to the right, up.
    aspect : float
        Height divided by width of a voxel.
    sides : tuple of str
        Letters for left and right of the page, e.g. ``("R", "L")``; empty if unknown.
    """

    swap: bool
    flip_right: bool
    flip_up: bool
    aspect: float
    sides: tuple[str, str]

    def image(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return the plane with rows from bottom to top, as ``origin="lower"`` expects."""
        rows = plane if self.swap else plane.T
        if self.flip_right:
            rows = rows[:, ::-1]
        return rows[::-1] if self.flip_up else rows


def view_of(geometry: Geometry | None) -> View:
    """Return the radiological view of a geometry.

    The patient's right is on the left of the page, front or head is up. The identity affine
    belongs to arrays without a position: they are shown as stored, without letters.

    Parameters
    ----------
    geometry : Geometry or None
        Geometry of the scan; None if unknown.

    Returns
    -------
    View
    """
    if geometry is None or np.array_equal(geometry.affine[:3, :3], np.eye(3)):
        return View(False, False, False, 1.0, ("", ""))
    first, second = (_main_direction(geometry.affine[:3, axis]) for axis in (0, 1))
    sizes = geometry.voxel_size[:2]
    swap = first[0] > second[0]
    (across, across_sign), (_, up_sign) = (second, first) if swap else (first, second)
    width, height = sizes[::-1] if swap else sizes
    return View(
        swap=swap,
        flip_right=across_sign > 0,
        flip_up=up_sign < 0,
        aspect=height / width,
        sides=(_POSITIVE[across], _NEGATIVE[across]),
    )


@dataclass(frozen=True)
class Cut:
    """The part of a volume that is shown.

    Parameters
    ----------
    slices : tuple of int
        Positions on the third axis.
    window : tuple of slice
        Ranges on the first two axes.
    """

    slices: tuple[int, ...]
    window: tuple[slice, slice]

    def planes(self, array: NDArray[Any]) -> list[NDArray[Any]]:
        """Cut the planes out of an array with two or three axes."""
        return planes_of(array[self.box(array.ndim)])

    def box(self, n_axes: int) -> tuple[Any, ...]:
        """Return what is shown as an index of arrays with two or three axes."""
        return (*self.window, list(self.slices))[:n_axes]

    def numbers(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the positions to print; there are none for a map of two axes."""
        return self.slices if len(shape) == 3 else ()


def planes_of(part: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the planes of the part of a map that is shown, with two or three axes."""
    volume = part[:, :, np.newaxis] if part.ndim == 2 else part
    return [volume[:, :, k] for k in range(volume.shape[2])]


@dataclass(frozen=True, eq=False)
class Filled:
    """Where along each axis of a map there are voxels with a value.

    Parameters
    ----------
    axes : tuple of ndarray of bool
        For each axis, and each position on it, whether there are any.
    """

    axes: tuple[NDArray[np.bool_], ...]

    @classmethod
    def of(
        cls, shape: Sequence[int], parts: Iterable[tuple[Sequence[Any], NDArray[np.bool_]]]
    ) -> Filled:
        """Look at a map part by part.

        Parameters
        ----------
        shape : sequence of int
            Of the whole.
        parts : iterable of (tuple of slice, ndarray of bool)
            Where each part is, and its voxels with a value.
        """
        axes = tuple(np.zeros(n, dtype=bool) for n in shape)
        for box, inside in parts:
            for axis, own in enumerate(axes):
                others = tuple(other for other in range(len(axes)) if other != axis)
                own[box[axis]] |= inside.any(axis=others)
        return cls(axes)


def choose_cut(
    inside: NDArray[np.bool_] | Filled,
    slices: int | Sequence[int] | None,
    *,
    most: int,
    crop: bool,
) -> Cut:
    """Choose what to show: the requested slices or evenly spaced ones, cropped to the data.

    Parameters
    ----------
    inside : ndarray of bool, shape (x, y, z) or (x, y), or Filled
        Voxels with a value, or where they are.
    slices : int, sequence of int or None
        The requested slices; negative numbers count from the end.
    most : int
        How many to choose if none were requested.
    crop : bool
        Whether to leave out the surroundings of the voxels with a value.

    Returns
    -------
    Cut

    Raises
    ------
    ShapeError
        If the maps are not images.
    OptionError
        If there is no such slice.
    """
    filled = inside if isinstance(inside, Filled) else _filled(inside)
    shape = tuple(len(axis) for axis in filled.axes)
    if len(shape) not in (2, 3):
        raise ShapeError(
            f"the maps have shape {shape}; expected (x, y) or (x, y, z) to show as images. "
            "Use histograms for lists of voxels"
        )
    columns, rows, planes = (*filled.axes, np.array([filled.axes[0].any()]))[:3]
    n = len(planes)
    if slices is None:
        ks = _spread(planes, most)
    else:
        asked = [slices] if isinstance(slices, int) else slices
        ks = [_checked_slice(int(k), n) for k in asked]
    if not crop or not planes.any():
        return Cut(tuple(ks), (slice(None), slice(None)))
    return Cut(tuple(ks), (_extent(columns), _extent(rows)))


def _filled(inside: NDArray[np.bool_]) -> Filled:
    return Filled.of(inside.shape, [([slice(None)] * inside.ndim, inside)])


def _spread(filled: NDArray[np.bool_], most: int) -> list[int]:
    candidates = np.flatnonzero(filled) if filled.any() else np.arange(len(filled))
    n = min(most, len(candidates))
    return [int(candidates[int((i + 0.5) / n * len(candidates))]) for i in range(n)]


def _extent(filled: NDArray[np.bool_]) -> slice:
    """Return the range of an axis with data, plus a margin."""
    where = np.flatnonzero(filled)
    margin = 3 + (where[-1] - where[0]) // 10
    return slice(int(max(0, where[0] - margin)), int(min(len(filled), where[-1] + margin + 1)))


def _checked_slice(k: int, n: int) -> int:
    if not -n <= k < n:
        raise OptionError(f"there is no slice {k}; expected 0 to {n - 1} (the first slice is 0)")
    return k % n


def _main_direction(column: NDArray[np.float64]) -> tuple[int, int]:
    """Return the axis of the patient (x, y, z) that a column of the affine is closest to."""
    axis = int(np.argmax(np.abs(column)))
    return axis, 1 if column[axis] >= 0 else -1
