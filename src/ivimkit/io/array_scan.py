"""ArrayScan: a scan in a Zarr store or an HDF5 file, opened as `ivimkit.load` needs it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import GeometryWarning, ShapeError
from ivimkit.io.checksum import sha256
from ivimkit.io.hdf5_file import is_hdf5, of_hdf5, open_hdf5
from ivimkit.io.remote_copies import local_path, origin, with_files_beside
from ivimkit.io.reordered_array import ReorderedArray
from ivimkit.io.stored_array import INSIDE, StoredArray, split_inside
from ivimkit.io.zarr_store import is_zarr, of_zarr, open_zarr, zarr_digest
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.other_forms import is_hdf5_node, is_zarr_node
from ivimkit.scan.source import Source

__all__ = ["ArrayScan", "is_array_scan", "open_array_scan", "stored_of"]


MAX_BYTES_READ = 1 << 30
"""Scans that are larger are read part by part."""


@dataclass(frozen=True, eq=False)
class ArrayScan:
    """A scan that is read block by block.

    Parameters
    ----------
    array : ReorderedArray, shape (x, y, z, n_volumes)
        The signal, not yet read, a.u.
    geometry : Geometry
        Where its voxels are.
    bvals : ndarray, shape (n_volumes,), optional
        b-values of its attributes, s/mm^2.
    name : str
        Its name in messages.
    path : Path, optional
        Its file or store; None for what was open already.
    inside : str
        The path of the array in it.
    """

    array: ReorderedArray
    geometry: Geometry
    bvals: NDArray[np.float64] | None
    name: str
    path: Path | None = None
    inside: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole scan, (x, y, z, n_volumes)."""
        return self.array.shape

    @property
    def alone(self) -> Path | None:
        """The file, next to which others may lie."""
        return self.path

    @property
    def variables(self) -> Mapping[str, Any]:
        """What it says of each volume apart from b: nothing."""
        return {}

    def read(self) -> Any:
        """Return the signal: in memory, and its file closed, unless it is large."""
        n_bytes = math.prod(self.shape) * self.array.dtype.itemsize
        return np.asarray(self.array) if n_bytes <= MAX_BYTES_READ else self.array

    def sources(self) -> list[Source]:
        """Return what it was read from, with its checksum."""
        if self.path is None:
            return []
        digest = zarr_digest(self.path) if is_zarr(self.path) else sha256(self.path)
        where = f"{origin(self.path)}{INSIDE}{self.inside}" if self.inside else origin(self.path)
        return [Source("scan", where, digest)]


def is_array_scan(scan: Any) -> bool:
    """Return whether a scan is a Zarr store or an HDF5 file, or something opened in one."""
    if is_zarr_node(scan) or is_hdf5_node(scan):
        return True
    if not isinstance(scan, str | PathLike):
        return False
    path, _ = split_inside(local_path(scan))
    return is_zarr(path) or is_hdf5(path)


def open_array_scan(scan: Any, axes: str | None = None) -> ArrayScan:
    """Open a scan in a Zarr store or an HDF5 file.

    Parameters
    ----------
    scan : path, or group, array or data set of zarr or h5py
        A path may be followed by that of the array, like ``"scan.h5::/dwi"``.
    axes : str, optional
        Which axis is which, like ``"bzyx"``; by default as they are named, or (x, y, z, volumes).

    Returns
    -------
    ArrayScan

    Raises
    ------
    FileFormatError
        If it is missing, damaged or of the wrong kind, or there are several arrays.
    ShapeError
        If it is not clear which axis is which.
    OptionError
        If `axes` does not belong to the array.

    Warns
    -----
    GeometryWarning
        If it does not say where its voxels are.
    """
    path, inside = None, ""
    if is_zarr_node(scan) or is_hdf5_node(scan):
        stored = stored_of(scan)
    else:
        path, inside = split_inside(local_path(scan))
        with_files_beside(path)
        stored = open_zarr(path, inside) if is_zarr(path) else open_hdf5(path, inside)
    return _scan_of(stored, axes, path, inside)


def stored_of(node: Any) -> StoredArray:
    """Return the array of something that zarr or h5py has opened."""
    if is_zarr_node(node):
        return of_zarr(node, node.name or "the array of zarr")
    return of_hdf5(node, node.name or "the data set of h5py")


def _scan_of(stored: StoredArray, axes: str | None, path: Path | None, inside: str) -> ArrayScan:
    stored.check()
    order = stored.order(axes)
    array = ReorderedArray(stored.array, order, stored.name)
    if array.shape[-1] < 2:
        raise ShapeError(
            f"{stored.name} has one volume, shape {array.shape}; expected one per b-value, two at "
            "least. Give all volumes"
        )
    geometry, warning = stored.geometry()
    if warning:
        warnings.warn(warning, GeometryWarning, stacklevel=4)
    volumes = order[-1]
    assert volumes is not None
    return ArrayScan(array, geometry, stored.bvals(volumes), stored.name, path, inside)
