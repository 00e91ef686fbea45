"""Vendor: how the scanners of one manufacturer write b-values, directions and kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pydicom import Dataset

from ivimkit.io.dicom.element import PrivateTag, number, numbers
from ivimkit.io.dicom.k_space import AcquiredShare
from ivimkit.io.dicom.kinds import Kind

__all__ = [
    "BValue",
    "Tiles",
    "Vector",
    "Vendor",
    "in_patient",
    "standard_b",
    "standard_direction",
    "unit",
]

Vector = tuple[float, float, float]

_MIN_LENGTH = 1e-6
_DIGITS = 4


class BValue(NamedTuple):
    """A b-value and the element it is from.

    Attributes
    ----------
    b : float
        In s/mm^2, as written.
    source : str
        Tag, or words.
    """

    b: float
    source: str


@dataclass(frozen=True)
class Tiles:
    """The slices of a volume that lie side by side in one image.

    Parameters
    ----------
    columns, rows : int
        Number of tiles along each side.
    positions : tuple of Vector
        Image position of each slice, mm, in the order of the tiles, row by row.
    """

    columns: int
    rows: int
    positions: tuple[Vector, ...]


def unit(vector: tuple[float, ...]) -> Vector | None:
    """Return a direction with length 1; None for a vector that is not one."""
    if len(vector) != 3:
        return None
    length = sum(one * one for one in vector) ** 0.5
    if length < _MIN_LENGTH:
        return None
    x, y, z = (round(one / length, _DIGITS) for one in vector)
    return x, y, z


def in_patient(header: Dataset, along: tuple[float, ...]) -> Vector | None:
    """Return a direction in the axes of the patient from one along row, column and normal."""
    axes = np.array(numbers(header, "ImageOrientationPatient"))
    if len(along) != 3 or axes.size != 6:
        return None
    row, column = axes.reshape(2, 3)
    turned = np.array(along) @ np.array([row, column, np.cross(row, column)])
    return unit(tuple(turned.tolist()))


def standard_b(header: Dataset) -> BValue | None:
    """Return the b-value of the standard element."""
    b = number(header, "DiffusionBValue")
    return None if b is None else BValue(b, "0018,9087")


def standard_direction(header: Dataset) -> Vector | None:
    """Return the direction of the standard element, in the axes of the patient (LPS)."""
    found = numbers(header, "DiffusionGradientOrientation")
    if not found and header.get("DiffusionGradientDirectionSequence"):
        item = header.DiffusionGradientDirectionSequence[0]
        found = numbers(item, "DiffusionGradientOrientation")
    return unit(found)


def _no_opinion(header: Dataset) -> Kind | None:
    return None


def _no_tiles(header: Dataset) -> Tiles | None:
    return None


def _no_scale(header: Dataset) -> float:
    return 1.0


def _no_group(header: Dataset) -> int:
    return 0


def _no_share(header: Dataset) -> AcquiredShare | None:
    return None


@dataclass(frozen=True)
class Vendor:
    """What differs between manufacturers; a file in `ivimkit.io.dicom.vendors` each.

    Parameters
    ----------
    name : str
        Name in messages.
    makers : tuple of str
        Words of Manufacturer (0008,0070), upper case.
    private : tuple of PrivateTag
        Elements that the functions below read, which must be kept when headers are read.
    sought : str
        Where b-values are looked for, in messages.
    b_value : callable
        The b-value of a classic image; None if it has none.
    direction : callable
        Direction of the gradient in the axes of the patient (LPS), of length 1; None if there is
        none.
    kind : callable
        What the image is, where the manufacturer says it in its own elements; None if not.
    tiles : callable
        The slices of an image that is a mosaic; None if it is one slice.
    scale : callable
        Factor from values after rescaling to values that compare between series.
    group : callable
        A number that keeps volumes apart whose b-value and direction are the same.
    acquired_share : callable
        Share of k-space that was acquired, where the manufacturer says it in its own elements;
        None if not.
    """

    name: str
    makers: tuple[str, ...]
    private: tuple[PrivateTag, ...] = ()
    sought: str = "0018,9087"
    b_value: Callable[[Dataset], BValue | None] = standard_b
    direction: Callable[[Dataset], Vector | None] = standard_direction
    kind: Callable[[Dataset], Kind | None] = _no_opinion
    tiles: Callable[[Dataset], Tiles | None] = _no_tiles
    scale: Callable[[Dataset], float] = _no_scale
    group: Callable[[Dataset], int] = _no_group
    acquired_share: Callable[[Dataset], AcquiredShare | None] = _no_share
