"""ImageHeader: the content of a NIfTI header, checked before anything relies on it."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from ivimkit.scan.geometry import MM, Geometry

__all__ = ["HEADER_SIZE", "ImageHeader", "parse_header"]

# Half of nibabel has no types.
nib: Any = nibabel

HEADER_SIZE = 540
"""Bytes that contain any header: 348 of NIfTI-1, 540 of NIfTI-2."""

_UNITS = {0: "unknown", 1: "meter", 2: "mm", 3: "micron"}
_FIRST_SIZE = 348
# Difference of two forms, as a share of a voxel, from which it is reported.
_MIN_DIFFERENCE_VOXELS = 0.1
_SMALLEST_MM, _LARGEST_MM = 0.01, 100.0
_FARTHEST_MM = 1e9

# nibabel writes what it repairs to stderr, without the name of the file.
_SILENT = logging.Logger("ivimkit.silent", logging.CRITICAL + 1)


@dataclass(frozen=True)
class ImageHeader:
    """The content of a header.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    dtype : numpy.dtype
        Type of the stored numbers, with their byte order.
    offset : int
        Where they begin, bytes.
    slope, inter : float
        Scaling: slope * stored + inter.
    geometry : Geometry
        Where the voxels are.
    remarks : tuple of str
        What is odd about it, one sentence each.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    geometry: Geometry
    remarks: tuple[str, ...]

    @property
    def n_bytes(self) -> int:
        """Bytes of the stored array."""
        return math.prod(self.shape) * self.dtype.itemsize


def parse_header(start: bytes, *, single: bool = True) -> ImageHeader:
    """Read a header, of either version and byte order.

    Parameters
    ----------
    start : bytes
        The first `HEADER_SIZE` bytes of a file, or all of a shorter one.
    single : bool
        Whether header and data are one file (``.nii``), not two (``.hdr`` and ``.img``).

    Returns
    -------
    ImageHeader

    Raises
    ------
    ValueError
        If it is not a NIfTI header, or an unusable one.
    """
    try:
        header, zero = _checked(start, single=single)
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = np.dtype(header.get_data_dtype())
        slope, inter = header.get_slope_inter()
    except (HeaderDataError, WrapStructError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(_first_line(error)) from None
    if not 1 <= len(shape) <= 7 or min(shape) < 0:
        raise ValueError(f"its header says that the shape is {shape}")
    offset = float(header["vox_offset"])
    if not (math.isfinite(offset) and offset >= 0):
        raise ValueError(f"its header says that the data begin at byte {offset:g}")
    with np.errstate(all="ignore"):
        geometry, remarks = _geometry(header, shape)
    if zero and geometry.sform_code == 0:
        remarks = (*remarks, f"its header says that voxels are 0 mm long along {zero}: 1 mm")
    return ImageHeader(
        shape=shape,
        dtype=dtype,
        offset=int(offset),
        slope=1.0 if slope is None else float(slope),
        inter=0.0 if inter is None else float(inter),
        geometry=geometry,
        remarks=remarks,
    )


def _checked(start: bytes, *, single: bool) -> tuple[Any, str]:
    """Return a header of nibabel, repaired where that is safe, with nothing on stderr.

    Also return the axes along which voxels had length 0, which is one of these repairs.
    """
    if start[4:7] in (b"n+2", b"ni2"):
        kind, size = (nib.Nifti2Header if single else nib.nifti2.Nifti2PairHeader), HEADER_SIZE
    elif start[344:347] in (b"n+1", b"ni1"):
        kind, size = (nib.Nifti1Header if single else nib.nifti1.Nifti1PairHeader), _FIRST_SIZE
    elif {int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")} & {348, 540}:
        raise ValueError("its header is that of Analyze 7.5, or damaged")
    else:
        raise ValueError("it has no NIfTI header")
    if len(start) < size:
        raise ValueError("its header is cut off")
    header = kind(start[:size], check=False)
    zero = [axis for axis, edge in zip("xyz", header["pixdim"][1:4], strict=True) if edge == 0]
    header.check_fix(logger=_SILENT, error_level=40)
    return header, " and ".join(zero)


def _geometry(header: Any, shape: tuple[int, ...]) -> tuple[Geometry, tuple[str, ...]]:
    """Return the positions of the voxels, and what is odd about them.

    The sform is used if its code is above 0 and it is valid, else the qform if that is valid; a
    file without either has voxel sizes, but no position.
    """
    code = int(header["xyzt_units"]) & 7
    units = _UNITS.get(code, "unknown")
    remarks = []
    if code not in _UNITS:
        remarks.append(f"its unit of length has the code {code}, which NIfTI does not know: mm")
    claimed = {name: int(header[f"{name}_code"]) for name in ("sform", "qform")}
    forms = {name: _form(header, name, MM[units]) for name in claimed if claimed[name] > 0}
    usable = {name: affine for name, affine in forms.items() if affine is not None}
    codes = {name: claimed[name] if name in usable else 0 for name in claimed}
    broken = [name for name in forms if name not in usable]
    if broken:
        instead = f"its {next(iter(usable))} counts" if usable else "it has no position"
        remarks.append(
            f"its {' and '.join(broken)} cannot be used (singular, or not finite): {instead}"
        )
    affine = next(iter(usable.values())) if usable else _without_position(header, MM[units])
    other = None
    if len(usable) == 2:
        sform, qform = Geometry(usable["sform"]), Geometry(usable["qform"])
        if not sform.is_at(qform, shape):
            other = qform.affine
            apart = float(np.abs(sform.shifts(qform, shape)).max())
            if apart > _MIN_DIFFERENCE_VOXELS * min(sform.voxel_size):
                remarks.append(
                    f"its sform and qform differ by up to {apart:.3g} mm: the sform counts"
                )
    # An invalid form must not be copied to maps, so the header cannot be copied unchanged.
    block = b"" if broken else bytes(header.binaryblock)
    geometry = Geometry(
        affine,
        voxel_units=units,
        sform_code=codes["sform"],
        qform_code=codes["qform"],
        header=block,
        other_affine=other,
    )
    if min(geometry.voxel_size) > _LARGEST_MM or max(geometry.voxel_size) < _SMALLEST_MM:
        size = " x ".join(f"{edge:.3g}" for edge in geometry.voxel_size)
        remarks.append(f"its voxels are {size} mm by its header (unit {units})")
    return geometry, tuple(remarks)


def _form(header: Any, name: str, scale: float) -> NDArray[np.float64] | None:
    """Return the affine of one form in mm; None if it cannot be used."""
    try:
        read = header.get_sform if name == "sform" else header.get_qform
        affine = np.array(read(), dtype=np.float64)
    except (HeaderDataError, ValueError, ArithmeticError):
        return None
    affine[:3] *= scale
    return affine if _is_finite(affine) and not Geometry(affine).singular else None


def _without_position(header: Any, scale: float) -> NDArray[np.float64]:
    """Return the affine that nibabel derives from the voxel sizes alone: origin in the middle."""
    affine = np.array(header.get_base_affine(), dtype=np.float64)
    affine[:3] *= scale
    return affine if _is_finite(affine) and not Geometry(affine).singular else np.eye(4)


def _is_finite(affine: NDArray[np.float64]) -> bool:
    """Return whether these are finite numbers of a plausible size."""
    return bool((np.abs(affine) < _FARTHEST_MM).all())


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
