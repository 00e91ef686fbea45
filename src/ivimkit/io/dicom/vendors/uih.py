"""United Imaging: the b-value that was applied, and grids of slices."""

from __future__ import annotations

import math

from pydicom import Dataset

from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.element import PrivateTag, items, number, numbers, words
from ivimkit.io.dicom.tiles import n_across
from ivimkit.io.dicom.vendor import (
    BValue,
    Tiles,
    Vector,
    Vendor,
    in_patient,
    standard_b,
    standard_direction,
)

__all__ = ["VENDOR"]

_OWNER = "Image Private Header"
_B = PrivateTag(0x0065, 0x1009, "FD", _OWNER)
_DIRECTION = PrivateTag(0x0065, 0x1037, "FD", _OWNER)
_N_SLICES = PrivateTag(0x0065, 0x1050, "DS", _OWNER)
_SLICES = PrivateTag(0x0065, 0x1051, "SQ", _OWNER)


def _b_value(header: Dataset) -> BValue | None:
    b = number(header, _B)
    return standard_b(header) if b is None else BValue(b, _B.name)


def _direction(header: Dataset) -> Vector | None:
    # Along rows, columns and slices of the image, as dcm2niix reads it.
    return in_patient(header, numbers(header, _DIRECTION)) or standard_direction(header)


def _tiles(header: Dataset) -> Tiles | None:
    """Return the slices of a grid (VFRAME), which contains the position of each."""
    if "VFRAME" not in words(header, "ImageType"):
        return None
    n = int(number(header, _N_SLICES) or 0)
    found = [numbers(item, "ImagePositionPatient") for item in items(header, _SLICES)[:n]]
    positions = tuple((p[0], p[1], p[2]) for p in found if len(p) == 3)
    if len(positions) != n or n < 1:
        raise FileFormatError(f"a grid without the positions of its slices ({_SLICES.name})")
    columns = n_across(n)
    # Unlike a mosaic, a grid has no empty rows.
    return Tiles(columns, math.ceil(n / columns), positions)


VENDOR = Vendor(
    "United Imaging",
    makers=("UIH", "UNITED IMAGING", "UNITED_IMAGING"),
    private=(_B, _DIRECTION, _N_SLICES, _SLICES),
    sought=f"{_B.name} and 0018,9087",
    b_value=_b_value,
    direction=_direction,
    tiles=_tiles,
)
