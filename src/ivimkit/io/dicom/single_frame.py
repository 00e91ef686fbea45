"""Frames of a classic image object: one slice, or the tiles of a mosaic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.element import number, numbers, words
from ivimkit.io.dicom.frame import Frame, Instance
from ivimkit.io.dicom.kinds import Kind, kind_of
from ivimkit.io.dicom.vendor import BValue

__all__ = [
    "UnplacedError",
    "image_position",
    "image_shape",
    "kind_by_all",
    "placing",
    "rescaling",
    "single_frames",
]


class UnplacedError(FileFormatError):
    """An image lacks position or size, as screenshots and some localisers do."""


def single_frames(header: Dataset, instance: Instance) -> Iterator[Frame]:
    """Yield the slices of a classic image.

    Parameters
    ----------
    header : Dataset
        Everything but the pixels.
    instance : Instance
        What the slices have in common.

    Raises
    ------
    FileFormatError
        If position, orientation, size or spacing are missing.
    """
    vendor = instance.vendor
    found = vendor.b_value(header) or BValue(np.nan, "")
    common: dict[str, Any] = {
        "instance": instance,
        "number": 0,
        "kind": kind_by_all(words(header, "ImageType"), header, instance),
        "b": None if np.isnan(found.b) else found.b,
        "b_from": found.source,
        "direction": vendor.direction(header),
        "echo_time": number(header, "EchoTime") or 0.0,
        "scale": vendor.scale(header),
        "group": vendor.group(header),
        "order": (instance.number,),
        **placing(header, header, header),
        **rescaling(header),
    }
    tiles = vendor.tiles(header)
    if tiles is None:
        yield Frame(
            position=image_position(header),
            shape=image_shape(header),
            tile=None,
            **common,
        )
        return
    rows, columns = image_shape(header)
    shape = (rows // tiles.rows, columns // tiles.columns)
    if min(shape) < 1:
        raise FileFormatError(
            f"with {len(tiles.positions)} slices side by side in {rows} x {columns} pixels"
        )
    for tile, position in enumerate(tiles.positions):
        yield Frame(position=np.array(position), shape=shape, tile=tile, **common)


def kind_by_all(image_type: tuple[str, ...], header: Dataset, instance: Instance) -> Kind:
    """Return what an image shows: by the standard, and where that says nothing, by the vendor."""
    kind = kind_of(image_type, header)
    own = instance.vendor.kind(header)
    if own is None or kind not in (Kind.DWI, Kind.TRACE):
        return kind
    return own


def placing(measures: Dataset, orientation: Dataset, header: Dataset) -> dict[str, Any]:
    """Return axes, spacing and thickness of a frame.

    Raises
    ------
    UnplacedError
        If one of them is missing.
    FileFormatError
        If the axes are impossible.
    """
    axes = numbers(orientation, "ImageOrientationPatient")
    spacing = numbers(measures, "PixelSpacing")
    if len(axes) != 6:
        raise UnplacedError("without Image Orientation (0020,0037)")
    if len(spacing) != 2 or min(spacing) <= 0:
        raise UnplacedError("without Pixel Spacing (0028,0030)")
    matrix = np.array(axes).reshape(2, 3)
    lengths = np.sqrt((matrix**2).sum(axis=1))
    if np.abs(lengths - 1.0).max() > 0.01 or abs(float(matrix[0] @ matrix[1])) > 0.01:
        raise FileFormatError("with axes that are not perpendicular (0020,0037)")
    return {
        "axes": matrix,
        "spacing": (spacing[0], spacing[1]),
        "thickness": number(measures, "SliceThickness") or number(header, "SliceThickness") or 0.0,
    }


def rescaling(header: Dataset) -> dict[str, float]:
    """Return slope and intercept; 1 and 0 by default."""
    slope = number(header, "RescaleSlope")
    return {
        "slope": 1.0 if slope is None or slope == 0 else slope,
        "intercept": number(header, "RescaleIntercept") or 0.0,
    }


def image_position(header: Dataset) -> NDArray[np.float64]:
    """Return the position of the first voxel, shape (3,), mm.

    Raises
    ------
    UnplacedError
        If it is missing.
    """
    position = numbers(header, "ImagePositionPatient")
    if len(position) != 3:
        raise UnplacedError("without Image Position (0020,0032)")
    return np.array(position)


def image_shape(header: Dataset) -> tuple[int, int]:
    """Return the numbers of rows and columns of an image.

    Raises
    ------
    UnplacedError
        If they are missing.
    """
    rows, columns = number(header, "Rows") or 0, number(header, "Columns") or 0
    if rows < 1 or columns < 1:
        raise UnplacedError("without Rows and Columns (0028,0010)")
    return int(rows), int(columns)
