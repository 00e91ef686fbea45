"""StoredArray: an array of a Zarr store or an HDF5 file, and what it says of axes and voxels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError, OptionError, ShapeError
from ivimkit.io.untrusted_files import untrusted
from ivimkit.scan.geometry import Geometry

__all__ = ["B_NAMES", "INSIDE", "StoredArray", "chosen_array", "split_inside"]

INSIDE = "::"
"""What separates a file from the path of an array in it."""

B_NAMES = ("b", "bval", "bvals", "b_value", "b_values")
"""Names of an attribute, or of an array along the axis of the volumes, with b-values in s/mm^2."""

_AFFINE = "affine"
_SPACE = ("x", "y", "z")
_VOLUMES = "b"
_NOTHING = "_"
_MAX_LISTED = 10
# No format makes the signal of a scan smaller than gzip can make zeros.
_MAX_EXPANSION = 1040
_FREE_BYTES = 1 << 26
_MAX_B_VALUES = 1 << 16
_HUGE = 10**30


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array that has been opened, but not read.

    Parameters
    ----------
    name : str
        Its name in messages.
    array : array of zarr or h5py
        The array.
    attributes : mapping
        Its attributes, and those of its group.
    axes : tuple of str, optional
        Names of its axes.
    steps, starts : mapping of str to float
        Distance of voxels along an axis of space, and position of the first, mm.
    ways : mapping of str to str
        The end of the patient that an axis of space points to: one of ``"RLAPSI"``.
    columns : mapping of str to array
        Arrays with one axis in the same group, by name.
    bytes_stored : int, optional
        How much of it is stored; None if unknown.
    """

    name: str
    array: Any
    attributes: Mapping[str, Any] = field(default_factory=dict)
    axes: tuple[str, ...] | None = None
    steps: Mapping[str, float] = field(default_factory=dict)
    starts: Mapping[str, float] = field(default_factory=dict)
    ways: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    bytes_stored: int | None = None

    def check(self) -> None:
        """Refuse what is not an array of real numbers, or claims more than is stored.

        Raises
        ------
        FileFormatError
        """
        shape, kind = tuple(self.array.shape), np.dtype(self.array.dtype)
        if kind.kind not in "biuf":
            raise FileFormatError(
                f"{self.name} contains data of type {kind}; expected real numbers. Save magnitudes"
            )
        if {"scale_factor", "add_offset"} & set(self.attributes):
            raise FileFormatError(
                f"{self.name} contains packed numbers (scale_factor, add_offset); expected those "
                "of the signal. Open it with xarray, and give the array to ivimkit in Python"
            )
        if 0 in shape:
            raise FileFormatError(
                f"{self.name} has shape {shape}; expected at least one voxel. Save it again"
            )
        # What is read at least is a chunk, which may be larger than the array.
        parts = [shape, *(getattr(self.array, name, None) or () for name in ("chunks", "shards"))]
        claimed = max(math.prod(map(int, part)) for part in parts) * kind.itemsize
        stored = self.bytes_stored
        if stored is not None and claimed > max(_FREE_BYTES, stored * _MAX_EXPANSION):
            raise FileFormatError(
                f"{self.name} says that it has {min(claimed, _HUGE) / 1e9:.3g} GB, shape "
                f"{shape!s:.60}, and {stored} bytes are stored; expected a scan. It is "
                "incomplete or damaged: copy it again"
            )

    def order(self, given: str | None) -> tuple[int | None, ...]:
        """Return which axis of the array is x, y, z and that of the volumes.

        Parameters
        ----------
        given : str, optional
            Letters of all axes, like ``"bzyx"``; ``_`` for one of length 1.

        Raises
        ------
        OptionError
            If they are not those of the array.
        ShapeError
            If it is not clear which axis is which.
        """
        shape = tuple(self.array.shape)
        if given is not None:
            return self._told(given, shape)
        names = self.axes
        if names is None or not set(_SPACE[:2]) <= set(names):
            if len(shape) == 4:
                return (0, 1, 2, 3)
            raise ShapeError(
                f"{self.name} has shape {shape} and its axes have no names; expected four, (x, y, "
                "z, volumes). Say which is which, with _ for one of length 1 (--axes)"
            )
        place = {name: k for k, name in enumerate(names)}
        others = [k for k, name in enumerate(names) if name not in _SPACE]
        long = [k for k in others if shape[k] > 1]
        if len(long) != 1:
            listed = ", ".join(f"{names[k]} ({shape[k]})" for k in others) or "none"
            raise ShapeError(
                f"{self.name} has the axes {', '.join(names)}, shape {shape}; expected one, apart "
                f"from x, y and z, with the volumes and longer than 1: there are {listed}. Save "
                "all volumes along one axis"
            )
        return (place["x"], place["y"], place.get("z"), long[0])

    def _told(self, given: str, shape: tuple[int, ...]) -> tuple[int | None, ...]:
        letters = [letter for letter in given if letter != _NOTHING]
        valid = (
            len(given) == len(shape)
            and sorted(letters) in (sorted("bxyz"), sorted("bxy"))
            and all(n == 1 for letter, n in zip(given, shape, strict=True) if letter == _NOTHING)
        )
        if not valid:
            raise OptionError(
                f"axes is {given!r} and {self.name} has shape {shape}; expected one letter for "
                "each axis: x, y, z, b for that of the volumes, and _ for one of length 1, like "
                "bzyx (--axes)"
            )
        z = given.index("z") if "z" in given else None
        return (given.index("x"), given.index("y"), z, given.index(_VOLUMES))

    def bvals(self, axis: int) -> NDArray[np.float64] | None:
        """Return the b-values, s/mm^2, of its attributes or of an array along the volumes."""
        names = {} if self.axes is None else {self.axes[axis]: None}
        for known in (self.columns, self.attributes):
            for name in (*names, *B_NAMES):
                value = known.get(name)
                if value is None or (known is self.columns and name not in B_NAMES):
                    continue
                return self._numbers(name, value).ravel()
        return None

    def geometry(self) -> tuple[Geometry, str]:
        """Return where the voxels are, and what to warn of.

        Raises
        ------
        FileFormatError
            If its affine is not one.
        """
        given = self.attributes.get(_AFFINE)
        if given is not None:
            numbers = self._numbers(_AFFINE, given)
            if numbers.size != 16 or not np.isfinite(numbers).all():
                raise FileFormatError(
                    f"the attribute affine of {self.name} has {numbers.size} numbers; expected "
                    "16 finite ones, those of a 4 x 4 matrix by rows. Correct it"
                )
            return Geometry(numbers.reshape(4, 4)), ""
        size = [self.steps.get(axis, 1.0) for axis in _SPACE]
        if not all(np.isfinite(size)) or min(size) <= 0:
            raise FileFormatError(
                f"{self.name} has voxels of {' x '.join(f'{edge:g}' for edge in size)} mm; "
                "expected lengths > 0. Correct its scale"
            )
        if all(axis in self.ways for axis in _SPACE[: 3 if "z" in self.steps else 2]):
            found = self._turned(size)
            if found is not None:
                return Geometry(found), ""
        unknown = (
            "does not say which way its axes point in the patient"
            if self.steps
            else "says neither how large its voxels are nor where; their size is set to 1 mm"
        )
        affine = np.diag([*size, 1.0])
        return Geometry(affine, sform_code=0), (
            f"{self.name} {unknown}: the maps have no position, and masks have to have its shape. "
            "An attribute affine (16 numbers, from voxel to mm) gives it one"
        )

    def _turned(self, size: Sequence[float]) -> NDArray[np.float64] | None:
        """Return the affine of axes that point along those of the patient; None if they do not."""
        affine = np.zeros((4, 4))
        affine[3, 3] = 1.0
        for column, axis in enumerate(_SPACE):
            way = self.ways.get(axis, "S")
            row = next(k for k, ends in enumerate(("RL", "AP", "SI")) if way in ends)
            sign = 1.0 if way in "RAS" else -1.0
            affine[row, column] = sign * size[column]
            affine[row, 3] += sign * self.starts.get(axis, 0.0)
        return affine if np.linalg.matrix_rank(affine) == 4 else None

    def _numbers(self, name: str, value: Any) -> NDArray[np.float64]:
        """Return numbers of an attribute, or of an array, which may claim any size."""
        parts = [getattr(value, what, None) or () for what in ("shape", "chunks", "shards")]
        if max(math.prod(map(int, part)) for part in parts) > _MAX_B_VALUES:
            raise FileFormatError(
                f"{name} of {self.name} has more than {_MAX_B_VALUES} numbers; expected one for "
                "each volume. Correct it"
            )
        with untrusted(
            lambda why: FileFormatError(
                f"{name} of {self.name} is {value!r:.60}; expected numbers ({why}). Correct it"
            )
        ):
            return np.asarray(value[...] if hasattr(value, "chunks") else value, dtype=np.float64)


def split_inside(scan: str | PathLike[str]) -> tuple[Path, str]:
    """Return the file, and the path of an array in it; empty if there is none.

    Examples
    --------
    >>> from ivimkit.io.stored_array import split_inside
    >>> split_inside("scan.h5::/raw/dwi")
    (PosixPath('scan.h5'), 'raw/dwi')
    """
    file, _, inside = str(scan).partition(INSIDE)
    return Path(file), inside.strip("/")


def chosen_array(name: str, arrays: Mapping[str, Any]) -> str:
    """Return the path of the only array that can be a scan.

    Raises
    ------
    FileFormatError
        If there is none, or there are several.
    """
    scans = [path for path, array in arrays.items() if len(array.shape) >= 4]
    if len(scans) == 1:
        return scans[0]
    there = scans or list(arrays)
    listed = ", ".join(there[:_MAX_LISTED]) + (", ..." if len(there) > _MAX_LISTED else "")
    if not scans:
        raise FileFormatError(
            f"{name} contains no array with four axes, only {listed or 'nothing'}; expected a "
            f"scan. Name its array, like {name}{INSIDE}dwi"
        )
    raise FileFormatError(
        f"{name} contains several arrays that can be a scan: {listed}; expected one. Name it, "
        f"like {name}{INSIDE}{scans[0]}"
    )
