"""nifti_image: an array with the geometry of a scan as an image of nibabel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import ShapeError
from ivimkit.parameter import Parameter
from ivimkit.scan.geometry import MM, Geometry

__all__ = ["as_float32", "nifti_image"]

_NIFTI1_LONGEST = 32767
_NIFTI1_SIZE = 348
# Bytes of the text fields, without the terminating zero.
_DESCRIP, _INTENT_NAME = 79, 15
_GEOMETRY_FIELDS = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "dim_info"),
)


def as_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """Return a map as it is stored; one of that type as it is."""
    # Numbers beyond the range of float32 become inf, as they should.
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def nifti_image(data: NDArray[Any], geometry: Geometry, about: Parameter | None = None) -> Any:
    """Return an array as a NIfTI image, with its type.

    The header describes a map for programs that do not know ivimkit: name and unit in ``descrip``,
    the name in ``intent_name``, and the display range, which viewers use as their window, in
    ``cal_min`` and ``cal_max``.

    Parameters
    ----------
    data : ndarray
        Up to seven axes; fewer than three are padded.
    geometry : Geometry
        Where the voxels are.
    about : Parameter, optional
        What the map shows.

    Returns
    -------
    nibabel.Nifti1Image or nibabel.Nifti2Image
        The second if an axis is too long for the first, or the scan was one.

    Raises
    ------
    ShapeError
        If the array has more axes than NIfTI can have.
    """
    # Imported here, as it takes longer than all of ivimkit.
    import nibabel

    nib: Any = nibabel
    if data.ndim > 7:
        raise ShapeError(
            f"the array has {data.ndim} axes; expected at most 7, the limit of NIfTI. Reshape it"
        )
    padded = data.reshape(data.shape + (1,) * (3 - data.ndim))
    long = max(padded.shape) > _NIFTI1_LONGEST
    second = long or len(geometry.header) > _NIFTI1_SIZE
    header = nib.Nifti2Header() if second else nib.Nifti1Header()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(padded.shape)
    _set_geometry(header, geometry)
    if about is not None:
        _set_meaning(header, about)
    kind = nib.Nifti2Image if second else nib.Nifti1Image
    return kind(padded, header.get_best_affine(), header)


def _set_meaning(header: Any, about: Parameter) -> None:
    header["descrip"] = _ascii(f"ivimkit {about.name} {about.unit}".strip(), _DESCRIP)
    header.set_intent("estimate", name=_ascii(about.name, _INTENT_NAME).decode())
    low, high = about.display
    # 0 and 0, the defaults, leave the window to the viewer.
    if math.isfinite(low) and math.isfinite(high) and low < high:
        header["cal_min"], header["cal_max"] = low, high


def _ascii(text: str, n_bytes: int) -> bytes:
    return text.encode("ascii", "replace")[:n_bytes]


def _set_geometry(header: Any, geometry: Geometry) -> None:
    """Copy the geometry fields bit-identically if there is a header, without rounding."""
    import nibabel

    nib: Any = nibabel
    header.set_xyzt_units(xyz=geometry.voxel_units)
    if not geometry.header:
        affine = geometry.affine.copy()
        affine[:3] /= MM[geometry.voxel_units]
        header.set_sform(affine, code=geometry.sform_code)
        header.set_qform(affine, code=geometry.qform_code)
        return
    first = len(geometry.header) == _NIFTI1_SIZE
    kind = nib.Nifti1Header if first else nib.Nifti2Header
    source = kind(geometry.header, check=False)
    for name in _GEOMETRY_FIELDS:
        header[name] = source[name]
    header["pixdim"][:4] = source["pixdim"][:4]
