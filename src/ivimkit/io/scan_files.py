"""The image files of a scan and its mask: opened, checked against each other, read once."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import GeometryWarning, ShapeError
from ivimkit.io.nifti import NiftiFile, open_nifti, warn_of_geometry
from ivimkit.io.placing import Grid, Placement
from ivimkit.io.remote_copies import local_path, with_files_beside
from ivimkit.io.unpacked import MIN_UNPACKED_BYTES, unpacked_file
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.lazy_signal import LazySignal

__all__ = ["AnyPath", "OpenedScan", "ScanFiles", "open_mask", "open_scan", "open_volume"]

AnyPath = str | PathLike[str]

MAX_BYTES_SCALED = 1 << 30
"""Scans that are larger once they are scaled are scaled where they are read."""


class OpenedScan(Protocol):
    """The opened files of a scan, of whatever form, before its image data are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole scan, (x, y, z, n_volumes)."""
        ...

    @property
    def geometry(self) -> Geometry:
        """Where its voxels are."""
        ...

    @property
    def name(self) -> str:
        """Its name in messages."""
        ...

    @property
    def alone(self) -> Path | None:
        """The only file of the scan, next to which others may lie; None if there are several."""
        ...

    @property
    def variables(self) -> Mapping[str, Any]:
        """What its headers say of each volume, apart from b and directions."""
        ...


@dataclass(frozen=True)
class ScanFiles:
    """The opened files of a scan.

    Parameters
    ----------
    files : tuple of NiftiFile
        One 4-D file, or one 3-D file per volume.
    stacked : bool
        Whether it is a list of 3-D files.
    """

    files: tuple[NiftiFile, ...]
    stacked: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole scan, (x, y, z, n_volumes)."""
        first = self.files[0].volume
        return (*first[:3], len(self.files)) if self.stacked else first

    @property
    def geometry(self) -> Geometry:
        """Geometry of the first file."""
        return self.files[0].geometry

    @property
    def alone(self) -> Path | None:
        """The only file of the scan, next to which others may lie; None for a list."""
        return None if self.stacked else self.files[0].path

    @property
    def variables(self) -> Mapping[str, Any]:
        """What its headers say of each volume: nothing."""
        return {}

    @property
    def name(self) -> str:
        """Its name in messages."""
        first = str(self.files[0].path)
        return f"{first} and {len(self.files) - 1} more" if self.stacked else first

    def read(self) -> NDArray[Any]:
        """Read the scan, shape (x, y, z, n_volumes), a.u.

        Raises
        ------
        FileFormatError
            If a file is truncated or damaged.
        """
        if not self.stacked and (parts := self._read_in_parts()) is not None:
            return parts
        if not self.stacked:
            only = self.files[0]
            large = only.compressed and math.prod(only.shape) * only.dtype.itemsize
            array = unpacked_file(only) if large > MIN_UNPACKED_BYTES else only.read()
            return array.reshape(self.shape, order="F")
        out = np.empty(self.shape, dtype=self._common_dtype(), order="F")
        for volume, file in enumerate(self.files):
            array = file.read().reshape(file.volume[:3], order="F")
            out[..., volume] = _placement(file, self.files[0]).numbers(array)
        return out

    def _read_in_parts(self) -> NDArray[Any] | None:
        """Return a scan that is large and can be read part by part; None for any other."""
        (file,) = self.files
        if math.prod(file.shape) * file.dtype.itemsize <= MAX_BYTES_SCALED:
            return None
        array = file.scaled_when_read()
        if array is None or array.shape != self.shape:
            return None
        return cast("NDArray[Any]", LazySignal(array))

    def _common_dtype(self) -> np.dtype[Any]:
        kinds = {file.dtype for file in self.files}
        if len(kinds) == 1:
            return kinds.pop()
        return np.dtype(np.float64 if np.dtype(np.float64) in kinds else np.float32)


def open_scan(scan: AnyPath | Sequence[AnyPath]) -> ScanFiles:
    """Open a 4-D file, or a list of 3-D files.

    Parameters
    ----------
    scan : path or sequence of paths
        The files.

    Returns
    -------
    ScanFiles

    Raises
    ------
    FileFormatError
        If a file is missing, not NIfTI, or damaged.
    ShapeError
        If the file is not 4-D, or those of a list are not 3-D with the same shape.
    """
    if isinstance(scan, str | PathLike):
        file = open_nifti(with_files_beside(local_path(scan)))
        if len(file.volume) != 4 or len(file.shape) < 4:
            raise ShapeError(_not_4_d(file))
        warn_of_geometry(file, stacklevel=3)
        return ScanFiles((file,), stacked=False)
    stack = ScanFiles(tuple(open_nifti(local_path(path)) for path in scan), stacked=True)
    if not stack.files:
        raise ShapeError(
            "the list of scans is empty; expected one 3-D file per b-value. Give at least two"
        )
    for file in stack.files:
        _check_volume(file, stack.files[0])
    warn_of_geometry(stack.files[0], stacklevel=3)
    return stack


def open_mask(mask: AnyPath, scan: OpenedScan) -> tuple[NiftiFile, Placement]:
    """Open a mask, and find its position relative to the scan.

    Parameters
    ----------
    mask : path
        NIfTI file.
    scan : OpenedScan
        The scan it is for.

    Returns
    -------
    tuple of NiftiFile and Placement

    Raises
    ------
    FileFormatError
        If the file is missing, not NIfTI, or damaged.
    ShapeError
        If it has several volumes, does not overlap with the scan, or has another shape while one
        of them has no position.
    """
    file = open_volume(local_path(mask), "a mask")
    grid = Grid(scan.shape[:3], scan.geometry)
    return file, Placement.of(f"the mask {mask}", file.volume, file.geometry, grid)


def open_volume(path: Path, what: str) -> NiftiFile:
    """Open an image that must be one volume: with three axes, and any others of length 1.

    Parameters
    ----------
    path : Path
        NIfTI file.
    what : str
        What is expected, for the error, like ``"a mask"``.

    Returns
    -------
    NiftiFile

    Raises
    ------
    FileFormatError
        If the file is missing, not NIfTI, or damaged.
    ShapeError
        If it has several volumes.
    """
    file = open_nifti(path)
    if len(file.volume) > 3:
        n = int(np.prod(file.volume[3:]))
        raise ShapeError(
            f"{path} has {n} volumes, shape {file.shape}; expected {what} of one volume, with "
            "up to three axes. Save the intended volume separately (fslroi, mrconvert)"
        )
    return file


def _not_4_d(file: NiftiFile) -> str:
    """Describe a file that is not one scan of several volumes, and say what to do."""
    shape = file.shape
    if len(file.volume) > 4:
        n, rest = file.volume[3], file.volume[4:]
        others = " x ".join(map(str, rest))
        return (
            f"{file.path} is {len(shape)}-D, shape {shape}: {n} x {others} volumes; expected "
            "4-D, with one volume per b-value. If the further axis is repeats, save all volumes "
            f"one after the other on the fourth axis ({n * int(np.prod(rest))} of them, with a "
            "b-value for each), or one repeat separately"
        )
    if len(shape) == 3:
        return (
            f"{file.path} is a single 3-D image, shape {shape}; expected 4-D, with one volume "
            f"per b-value. If its {shape[2]} slices are the volumes of one slice, save it with "
            f"the shape ({shape[0]}, {shape[1]}, 1, {shape[2]}); if there is a file for each "
            "b-value, give all 3-D files as a list (on the command line with --stack)"
        )
    if len(shape) > 3:
        return (
            f"{file.path} has one volume, shape {shape}; expected one per b-value, two at "
            "least. Give all volumes, or all files as a list (on the command line with --stack)"
        )
    return (
        f"{file.path} is {len(shape)}-D, shape {shape}; expected 4-D (x, y, z, volumes). Give "
        "the scan itself"
    )


def _check_volume(file: NiftiFile, first: NiftiFile) -> None:
    """Check that a file of a list is 3-D and in the space of the first one."""
    if len(file.volume) > 3:
        raise ShapeError(
            f"{file.path} in the list of scans has shape {file.shape}; expected 3-D files. "
            "Give a 4-D file on its own"
        )
    placed = _placement(file, first)
    if placed.how == "reordered" and placed.covers(file.volume):
        return
    if file.volume != first.volume:
        raise ShapeError(
            f"{file.path} has shape {file.volume}; expected {first.volume}, that of "
            f"{first.path}. Resample it"
        )
    if not file.geometry.is_at(first.geometry, first.volume):
        warnings.warn(
            f"{file.path} has another affine than {first.path}: "
            f"{_how_far_apart(file.geometry, first.geometry, first.volume)}; expected the same. "
            "It is used voxel by voxel; resample it if that is wrong",
            GeometryWarning,
            stacklevel=4,  # the caller of load
        )


def _placement(file: NiftiFile, first: NiftiFile) -> Placement:
    """Return how a file of a list lies relative to the first: turned if stored in another order.

    Shifts, e.g. of a patient who moved, are ignored: the file is used voxel by voxel.
    """
    grid = Grid(first.volume, first.geometry)
    as_it_is = Placement(grid, "same", np.eye(4))
    try:
        placed = Placement.of(str(file.path), file.volume, file.geometry, grid)
    except ShapeError:
        return as_it_is
    return placed if placed.how == "reordered" and placed.covers(file.volume) else as_it_is


def _how_far_apart(one: Geometry, other: Geometry, shape: tuple[int, ...]) -> str:
    """Say for a message how far apart the voxels of a volume are in two geometries."""
    apart = np.abs(one.shifts(other, shape)).max()
    origin = " ".join(f"{value:.3g}" for value in (one.affine - other.affine)[:3, 3])
    return f"voxels are up to {apart:.3g} mm apart along an axis (origins differ by {origin} mm)"
