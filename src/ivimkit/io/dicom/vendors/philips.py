"""Philips: own elements of older software, means of directions in the series, two scales."""

from __future__ import annotations

from pydicom import Dataset

from ivimkit.io.dicom.element import PrivateTag, number, text
from ivimkit.io.dicom.k_space import PHILIPS_GROUPS
from ivimkit.io.dicom.kinds import Kind
from ivimkit.io.dicom.vendor import (
    BValue,
    Vector,
    Vendor,
    standard_b,
    standard_direction,
    unit,
)

__all__ = ["VENDOR"]

_IMAGING, _MR = "Philips Imaging DD 001", "Philips MR Imaging DD 001"
_B = PrivateTag(0x2001, 0x1003, "FL", _IMAGING)
_DIRECTIONALITY = PrivateTag(0x2001, 0x1004, "CS", _IMAGING)
_GRADIENT = tuple(PrivateTag(0x2005, element, "FL", _MR) for element in (0x10B0, 0x10B1, 0x10B2))
_GRADIENT_NUMBER = PrivateTag(0x2005, 0x1413, "IS", "Philips MR Imaging DD 005")
_SCALE_SLOPE = PrivateTag(0x2005, 0x100E, "FL", _MR)


def _b_value(header: Dataset) -> BValue | None:
    found = standard_b(header)
    if found is not None:
        return found
    b = number(header, _B)
    return None if b is None else BValue(b, _B.name)


def _direction(header: Dataset) -> Vector | None:
    known = standard_direction(header)
    if known is not None:
        return known
    return unit(tuple(number(header, tag) or 0.0 for tag in _GRADIENT))


def _kind(header: Dataset) -> Kind | None:
    """Tell the mean of the directions, which is in the same series and marked as ORIGINAL."""
    standard = text(header, "DiffusionDirectionality").upper() == "ISOTROPIC"
    return Kind.TRACE if standard or text(header, _DIRECTIONALITY).upper() == "I" else None


def _scale(header: Dataset) -> float:
    """Return the factor to floating-point values, which compare between series.

    FP = (stored RS + RI) / (RS SS), with RS and RI the rescale slope and intercept, and SS the
    scale slope: displayed values, after RS and RI, are scaled to fill their range in each series.
    """
    slope, rescale = number(header, _SCALE_SLOPE), number(header, "RescaleSlope")
    return 1.0 / (slope * (rescale or 1.0)) if slope else 1.0


def _group(header: Dataset) -> int:
    return int(number(header, _GRADIENT_NUMBER) or 0)


VENDOR = Vendor(
    "Philips",
    makers=("PHILIPS",),
    private=(_B, _DIRECTIONALITY, *_GRADIENT, _GRADIENT_NUMBER, _SCALE_SLOPE, *PHILIPS_GROUPS),
    sought=f"0018,9087 and {_B.name}",
    b_value=_b_value,
    direction=_direction,
    kind=_kind,
    scale=_scale,
    group=_group,
)
