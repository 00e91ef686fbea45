"""GE: a b-value with an offset, directions in the axes of the image, flags for kinds."""

from __future__ import annotations

from pydicom import Dataset

from ivimkit.io.dicom.element import PrivateTag, number, text
from ivimkit.io.dicom.kinds import Kind
from ivimkit.io.dicom.vendor import (
    BValue,
    Vector,
    Vendor,
    in_patient,
    standard_b,
    standard_direction,
)

__all__ = ["VENDOR"]

_B = PrivateTag(0x0043, 0x1039, "IS", "GEMS_PARM_01")
# Vas collapse flag; values by GE in the issues 574 and 690 of dcm2niix: 14 T2 (b = 0), 15
# combined, 16 direction, 18 fractional anisotropy, 19 trace.
_FLAG = PrivateTag(0x0043, 0x1030, "SS", "GEMS_PARM_01")
# Diffusion direction: 64 three in one, 128 tetrahedral.
_WHICH = PrivateTag(0x0021, 0x105A, "SL", "GEMS_RELA_01")
_GRADIENT = tuple(
    PrivateTag(0x0019, element, "DS", "GEMS_ACQU_01") for element in (0x10BB, 0x10BC, 0x10BD)
)
_OFFSET = 1e9
_DERIVED_FLAGS = (18, 20, 21, 22)
_TRACE_FLAGS = (19,)
_COMBINED = (64,)


def _b_value(header: Dataset) -> BValue | None:
    """Return the b-value: the standard element exists only where b > 0, and from software 27 on.

    Combined images have 1e9 added to the private one.
    """
    found = standard_b(header)
    if found is not None:
        return found
    b = number(header, _B)
    return None if b is None else BValue(b % _OFFSET, _B.name)


def _direction(header: Dataset) -> Vector | None:
    """Return the direction in the axes of the patient.

    GE gives it along frequency, phase and slice encoding. If the phase is encoded along the
    columns (COL), frequency runs along the rows of the image, otherwise along its columns.
    """
    known = standard_direction(header)
    if known is not None:
        return known
    found = [number(header, tag) for tag in _GRADIENT]
    if None in found:
        return None
    frequency, phase, across = (value or 0.0 for value in found)
    if text(header, "InPlanePhaseEncodingDirection").upper() == "ROW":
        return in_patient(header, (-phase, frequency, -across))
    return in_patient(header, (frequency, phase, -across))


def _kind(header: Dataset) -> Kind | None:
    flag, which = number(header, _FLAG), number(header, _WHICH)
    if flag in _DERIVED_FLAGS:
        return Kind.DERIVED
    return Kind.TRACE if flag in _TRACE_FLAGS or which in _COMBINED else None


VENDOR = Vendor(
    "GE",
    makers=("GE ", "GENERAL ELECTRIC"),
    private=(_B, _FLAG, _WHICH, *_GRADIENT),
    sought=f"0018,9087 and {_B.name}",
    b_value=_b_value,
    direction=_direction,
    kind=_kind,
)
