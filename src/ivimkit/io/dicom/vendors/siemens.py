"""Siemens: own elements of the V and XA software, the CSA header, mosaics."""

from __future__ import annotations

import re

import numpy as np
from pydicom import Dataset

from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.csa import IMAGE_HEADER, csa_numbers
from ivimkit.io.dicom.element import PrivateTag, first, number, numbers, raw, text, words
from ivimkit.io.dicom.k_space import AcquiredShare
from ivimkit.io.dicom.kinds import Kind
from ivimkit.io.dicom.tiles import mosaic_positions, n_across
from ivimkit.io.dicom.vendor import (
    BValue,
    Tiles,
    Vector,
    Vendor,
    standard_b,
    standard_direction,
    unit,
)

__all__ = ["VENDOR"]

_OWNER = "SIEMENS MR HEADER"
_N_SLICES = PrivateTag(0x0019, 0x100A, "US", _OWNER)
_B = PrivateTag(0x0019, 0x100C, "IS", _OWNER)
_DIRECTIONALITY = PrivateTag(0x0019, 0x100D, "CS", _OWNER)
_DIRECTION = PrivateTag(0x0019, 0x100E, "FD", _OWNER)
# The protocol as text: in the CSA header of the series, and since XA in an element of its own.
_PROTOCOLS = (
    PrivateTag(0x0029, 0x1020, "OB", "SIEMENS CSA HEADER"),
    PrivateTag(0x0021, 0x1019, "OB", "SIEMENS MR SDS 01"),
)
_XA_SERIES = PrivateTag(0x0021, 0x10FE, "SQ", "SIEMENS MR SDS 01")
_PARTIAL_FOURIER = re.compile(
    rb"sKSpace\.uc(?:Phase|Slice)PartialFourier[ \t]*=[ \t]*(0x[0-9a-fA-F]{1,4}|\d{1,4})"
)
# Its codes, by the share of k-space.
_SHARES = {1: 4 / 8, 2: 5 / 8, 4: 6 / 8, 8: 7 / 8, 16: 1.0}
# *ep_b400t, ep_b50_400, *ep_b1000#12
_SEQUENCE_NAME = re.compile(r"_b(\d+)")


def _b_value(header: Dataset) -> BValue | None:
    b = number(header, _B)
    if b is not None:
        return BValue(b, _B.name)
    found = standard_b(header)
    if found is not None:
        return found
    in_csa = csa_numbers(header, "B_value")
    if in_csa:
        return BValue(in_csa[0], "CSA B_value")
    named = _SEQUENCE_NAME.search(text(header, "SequenceName"))
    return None if named is None else BValue(float(named[1]), "SequenceName")


def _direction(header: Dataset) -> Vector | None:
    return (
        standard_direction(header)
        or unit(numbers(header, _DIRECTION))
        or unit(csa_numbers(header, "DiffusionGradientDirection"))
    )


def _kind(header: Dataset) -> Kind | None:
    """Tell the mean of directions of the classic export of XA, if its Image Type does not."""
    b = number(header, _B)
    isotropic = text(header, _DIRECTIONALITY).upper() == "ISOTROPIC"
    return Kind.TRACE if isotropic and b else None


def _tiles(header: Dataset) -> Tiles | None:
    if "MOSAIC" not in words(header, "ImageType"):
        return None
    counted = number(header, _N_SLICES), *csa_numbers(header, "NumberOfImagesInMosaic")
    n = next((int(count) for count in counted if count), 0)
    if n < 1:
        raise FileFormatError(f"a mosaic without its number of slices ({_N_SLICES.name})")
    across = n_across(n)
    size = np.array([number(header, "Columns") or 0, number(header, "Rows") or 0])
    spacing = np.array(numbers(header, "PixelSpacing")[::-1])
    axes = np.array(numbers(header, "ImageOrientationPatient")).reshape(2, 3)
    further = axes * ((size - size // across) * spacing)[:, None]
    normal = csa_numbers(header, "SliceNormalVector") or tuple(np.cross(*axes))
    gap = number(header, "SpacingBetweenSlices") or number(header, "SliceThickness") or 1.0
    origin = np.array(numbers(header, "ImagePositionPatient"))
    found = mosaic_positions(origin, further[0], further[1], np.array(normal[:3]) * gap, n)
    return Tiles(across, across, tuple((x, y, z) for x, y, z in found.tolist()))


def _acquired_share(header: Dataset) -> AcquiredShare | None:
    """Read the protocol, of phase and slice direction the one with less."""
    series = first(first(header, "SharedFunctionalGroupsSequence"), _XA_SERIES)
    for item in (header, series):
        for tag in _PROTOCOLS:
            codes = [int(code, 0) for code in _PARTIAL_FOURIER.findall(raw(item, tag))]
            if codes and all(code in _SHARES for code in codes):
                source = f"sKSpace.ucPhasePartialFourier of the protocol ({tag.name})"
                return AcquiredShare(min(_SHARES[code] for code in codes), source)
    return None


VENDOR = Vendor(
    "Siemens",
    makers=("SIEMENS",),
    private=(_N_SLICES, _B, _DIRECTIONALITY, _DIRECTION, IMAGE_HEADER, *_PROTOCOLS),
    sought=f"{_B.name}, 0018,9087, B_value of the CSA header 0029,1010, and Sequence Name (_b...)",
    b_value=_b_value,
    direction=_direction,
    kind=_kind,
    tiles=_tiles,
    acquired_share=_acquired_share,
)
