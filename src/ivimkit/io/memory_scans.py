"""Scans that other libraries have in memory: images of nibabel, arrays of xarray."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from os import PathLike
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
from numpy.typing import ArrayLike

from ivimkit.errors import (
    AcquisitionError,
    FileFormatError,
    GeometryWarning,
    OptionError,
    ShapeError,
)
from ivimkit.io.array_scan import stored_of
from ivimkit.io.gradient_files import read_bvals
from ivimkit.io.nifti_header import parse_header
from ivimkit.io.remote_copies import local_path
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.scan_loading import load
from ivimkit.io.stored_array import B_NAMES
from ivimkit.scan.dwi import DWI
from ivimkit.scan.other_forms import is_data_array, is_hdf5_node, is_image, is_zarr_node

if TYPE_CHECKING:
    import xarray as xr
    from nibabel.spatialimages import SpatialImage

__all__ = ["B_NAMES", "scan_of"]


def scan_of(
    data: Any,
    bvals: ArrayLike | AnyPath | None = None,
    mask: Any = None,
) -> DWI:
    """Return a scan that is given by a path, or that another library has opened or in memory.

    Parameters
    ----------
    data : path, list of paths, nibabel image, xarray.DataArray, or array of zarr or h5py
        A path, or several: what `ivimkit.load` reads. An image of nibabel has its volumes on the
        fourth axis. An array of xarray has a coordinate with the b-values (one of `B_NAMES`) along
        one of its axes; its attribute ``affine``, if it has one, is the position of its voxels.
    bvals : array_like or path, optional
        b-values in s/mm^2; needed for an image of nibabel.
    mask : array_like, nibabel image or path, optional
        Voxels to fit, where > 0; a path only if the scan is one, too.

    Returns
    -------
    DWI

    Raises
    ------
    AcquisitionError
        If there are no b-values.
    ShapeError
        If the parts do not fit each other.
    OptionError
        If a mask is a path and the scan is not.
    FileFormatError
        If a file, or the header of an image, cannot be used.

    Examples
    --------
    >>> import nibabel as nib, numpy as np
    >>> from ivimkit.io.memory_scans import scan_of
    >>> scan_of(nib.Nifti1Image(np.ones((4, 4, 2, 3)), np.eye(4)), [0, 100, 800]).shape
    (4, 4, 2)
    """
    if is_image(data):
        return _of_image(data, bvals, mask)
    if is_data_array(data):
        return _of_data_array(data, bvals, mask)
    if _is_plain(data, bvals):
        if bvals is None:
            raise AcquisitionError(
                f"got {data!r:.80} without b-values; expected bvals. b-values are never guessed"
            )
        return DWI(data, _numbers(bvals), mask=_in_memory(mask))
    return load(data, bvals, mask=mask)


def _numbers(bvals: ArrayLike | AnyPath) -> Any:
    """Return b-values as numbers, from their file if they are a path."""
    return read_bvals(local_path(bvals)) if isinstance(bvals, str | PathLike) else bvals


def _is_plain(data: Any, bvals: Any) -> bool:
    """Return whether data are an array of zarr or h5py that says no more than its numbers.

    Then it is taken as an array of NumPy is, with any axes of space.
    """
    if not (is_zarr_node(data) or is_hdf5_node(data)) or not hasattr(data, "shape"):
        return False
    stored = stored_of(data)
    told = "affine" in stored.attributes or bvals is None
    return stored.axes is None and (len(data.shape) != 4 or not told)


def _of_image(image: SpatialImage, bvals: Any, mask: Any) -> DWI:
    if bvals is None:
        raise AcquisitionError(
            "got an image of nibabel without b-values; expected bvals, as numbers or as the path "
            "of a .bval file. b-values are never guessed"
        )
    nib: Any = nibabel
    known = image if isinstance(image, nib.Nifti1Pair) else nib.Nifti1Image.from_image(image)
    try:
        block = bytes(known.header.binaryblock)
        header = parse_header(block, single=isinstance(known, nib.Nifti1Image))
    except ValueError as error:
        raise FileFormatError(f"the header of the image cannot be used: {error}") from None
    for remark in header.remarks:
        warnings.warn(f"the image: {remark}", GeometryWarning, stacklevel=4)
    signal = np.asanyarray(known.dataobj)
    return DWI(signal, _numbers(bvals), mask=_in_memory(mask), geometry=header.geometry)


def _of_data_array(array: xr.DataArray, bvals: Any, mask: Any) -> DWI:
    axis, found = _b_of(array)
    if bvals is None:
        bvals = found
    if bvals is None:
        raise AcquisitionError(
            "got an array of xarray without b-values; expected bvals, or one of the coordinates "
            f"{', '.join(B_NAMES)}. b-values are never guessed"
        )
    volumes_last = array.transpose(..., array.dims[-1] if axis is None else axis)
    affine = array.attrs.get("affine")
    if affine is not None:
        affine = np.asarray(affine, dtype=np.float64)
        if affine.size != 16:
            raise ShapeError(
                f"the attribute affine of the array has {affine.size} numbers; expected 16, those "
                "of a 4 x 4 matrix"
            )
        affine = affine.reshape(4, 4)
    return DWI(volumes_last.data, bvals, affine, mask=_in_memory(mask))


def _b_of(array: xr.DataArray) -> tuple[Hashable | None, Any]:
    """Return the axis of the volumes, and their b-values, from the coordinates of an array."""
    for name in B_NAMES:
        if name in array.coords and array.coords[name].ndim == 1:
            return array.coords[name].dims[0], array.coords[name].values
    return None, None


def _in_memory(mask: Any) -> Any:
    if mask is None or not (isinstance(mask, (str, PathLike)) or is_image(mask)):
        return mask
    if is_image(mask):
        return np.asanyarray(mask.dataobj)
    raise OptionError(
        f"mask is the path {mask}; expected an array, as the scan is not a file. Load it with "
        "ivimkit.io.load_map"
    )
