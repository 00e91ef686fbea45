"""The image files of a scan and its mask: opened, checked against each other, read once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import GeometryWarning, ShapeError
from ivimkit.geometry import Geometry
from ivimkit.io.nifti import NiftiFile, open_nifti

__all__ = ["AnyPath", "ScanFiles", "how_far_apart", "open_mask", "open_scan"]

AnyPath = str | PathLike[str]


@dataclass(frozen=True)
class ScanFiles:
    """The opened file or files of a scan.

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
        first = self.files[0].shape
        return (*first[:3], len(self.files)) if self.stacked else first

    @property
    def geometry(self) -> Geometry:
        """Geometry of the first file."""
        return self.files[0].geometry

    @property
    def name(self) -> str:
        """How messages call it."""
        first = str(self.files[0].path)
        return f"{first} and {len(self.files) - 1} more" if self.stacked else first

    def read(self) -> NDArray[Any]:
        """Read the scan, shape (x, y, z, n_volumes), a.u.

        Raises
        ------
        FileFormatError
            If a file is truncated or damaged.
        """
        if not self.stacked:
            return self.files[0].read()
        out = np.empty(self.shape, dtype=self._common_dtype(), order="F")
        for volume, file in enumerate(self.files):
            out[..., volume] = file.read().reshape(self.shape[:3], order="F")
        return out

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
        If the file is not 4-D, or those of a list are not 3-D and of one shape.
    """
    if isinstance(scan, str | PathLike):
        file = open_nifti(Path(scan))
        if len(file.shape) != 4:
            what = "a single 3-D image" if len(file.shape) == 3 else f"{len(file.shape)}-D"
            raise ShapeError(
                f"{scan} is {what}, shape {file.shape}; expected 4-D, with one volume per "
                "b-value. Give all 3-D files as a list (on the command line with --stack) "
                "together with their b-values"
            )
        return ScanFiles((file,), stacked=False)
    stack = ScanFiles(tuple(open_nifti(Path(path)) for path in scan), stacked=True)
    if not stack.files:
        raise ShapeError(
            "the list of scans is empty; expected one 3-D file per b-value. Give at least two"
        )
    for file in stack.files:
        _check_volume(file, stack.files[0])
    return stack


def open_mask(mask: AnyPath, scan: ScanFiles) -> NiftiFile:
    """Open a mask and compare its shape and affine with those of the scan.

    Parameters
    ----------
    mask : path
        NIfTI file.
    scan : ScanFiles
        The scan it is for.

    Returns
    -------
    NiftiFile

    Raises
    ------
    FileFormatError
        If the file is missing, not NIfTI, or damaged.
    ShapeError
        If it has another shape than a volume of the scan.

    Warns
    -----
    GeometryWarning
        If it has another affine.
    """
    file = open_nifti(Path(mask))
    if not _is_volume(file) or file.shape[:3] != scan.shape[:3]:
        raise ShapeError(
            f"the mask {mask} has shape {file.shape}; expected {scan.shape[:3]}, that of "
            f"{scan.name} without its last axis. Resample the mask to the scan"
        )
    _warn_if_moved(f"the mask {mask}", file.geometry, scan.files[0])
    return file


def how_far_apart(one: Geometry, other: Geometry, shape: tuple[int, ...]) -> str:
    """Say for a message how far the voxels of a volume are apart in two geometries."""
    apart = np.abs(one.shifts(other, shape)).max()
    origin = " ".join(f"{value:.3g}" for value in (one.affine - other.affine)[:3, 3])
    return f"voxels are up to {apart:.3g} mm apart along an axis (origins differ by {origin} mm)"


def _is_volume(file: NiftiFile) -> bool:
    return len(file.shape) >= 3 and all(n == 1 for n in file.shape[3:])


def _check_volume(file: NiftiFile, first: NiftiFile) -> None:
    """Check that a file of a list is 3-D and in the space of the first one."""
    if not _is_volume(file):
        raise ShapeError(
            f"{file.path} in the list of scans has shape {file.shape}; expected 3-D files. "
            "Give a 4-D file on its own"
        )
    if file.shape[:3] != first.shape[:3]:
        raise ShapeError(
            f"{file.path} has shape {file.shape[:3]}; expected {first.shape[:3]}, that of "
            f"{first.path}. Resample it"
        )
    _warn_if_moved(str(file.path), file.geometry, first)


def _warn_if_moved(what: str, geometry: Geometry, scan: NiftiFile) -> None:
    """Warn if voxels of two files lie more than 1 % of a voxel apart."""
    shape = scan.shape[:3]
    if not geometry.is_at(scan.geometry, shape):
        warnings.warn(
            f"{what} has another affine than {scan.path}: "
            f"{how_far_apart(geometry, scan.geometry, shape)}; expected the same. "
            "It is used voxel by voxel; resample it if that is wrong",
            GeometryWarning,
            stacklevel=5,  # the caller of load
        )
