"""mr_series: a map as a series of MR images in whole numbers, which every PACS shows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from ivimkit.io.dicom.display_window import display_window, window_function
from ivimkit.io.dicom.header import RESEARCH, Header, coded, decimal, valid
from ivimkit.io.dicom.parametric_map import quantity_items
from ivimkit.io.dicom.quantities import Quantity
from ivimkit.io.dicom.sources import referenced_series, source_images
from ivimkit.io.dicom.texts import MAX_SHORT, text_of

__all__ = ["NO_VALUE", "Scale", "mr_series", "scale_of"]

NO_VALUE = -1
"""The stored number of voxels without a value; others are stored from 0 on."""

MAX_STORED = 2**15 - 1
"""The largest number that 16 bits with a sign can store."""

_NOT_IN_CODES = re.compile("[^A-Z0-9_]")
_STEPS = (1.0, 2.0, 5.0)
_TAKEN_OVER = ("MagneticFieldStrength", "RepetitionTime", "EchoTime")


@dataclass(frozen=True)
class Scale:
    """How numbers are stored: value = stored * slope + intercept.

    With slope 1 and intercept 0, the usual case of D and the ADC, a viewer that ignores both shows
    the right numbers.
    """

    slope: float
    intercept: float

    def stored(self, values: NDArray[np.float64]) -> NDArray[np.int16]:
        """Return values as stored, NO_VALUE where they are not finite."""
        with np.errstate(invalid="ignore"):
            numbers = np.rint((values - self.intercept) / self.slope)
        inside = np.where(np.isfinite(numbers), np.clip(numbers, 0, MAX_STORED), NO_VALUE)
        return inside.astype(np.int16)


def scale_of(quantity: Quantity, values: NDArray[np.float64]) -> Scale:
    """Return the scale that stores all values of a map within half a step.

    It follows from the bounds of the quantity, so that it is the same for all patients, and from
    the values only where the quantity has no bounds.

    Parameters
    ----------
    quantity : Quantity
        What the map is.
    values : ndarray
        The map, in the unit of the quantity.
    """
    finite = values[np.isfinite(values)]
    low, high = quantity.bounds
    if finite.size:
        low = min(low, float(finite.min())) if math.isfinite(low) else float(finite.min())
        high = max(high, float(finite.max())) if math.isfinite(high) else float(finite.max())
    low, high = (limit if math.isfinite(limit) else 0.0 for limit in (low, high))
    low = min(low, 0.0)
    # One step less than there are, as the intercept is a multiple of the step below the lowest.
    slope = max(quantity.unit.step, _nice((high - low) / (MAX_STORED - 1)))
    return Scale(slope, math.floor(low / slope) * slope)


def _nice(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20 ... that is not below a number; 1 for 0."""
    if least <= 0.0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (*_STEPS, 10.0) if step * power >= least * (1 - 1e-12))


def mr_series(
    values: NDArray[np.float64], quantity: Quantity, header: Header, offset: int
) -> Iterator[Dataset]:
    """Yield a map as MR images, one per slice, as scanners write ADC maps.

    Parameters
    ----------
    values : ndarray, shape (x, y, z)
        The map, in its own unit.
    quantity : Quantity
        What it is.
    header : Header
        Of the export.
    offset : int
        Position of its series in the export.
    """
    scaled = values * quantity.unit.factor
    scale, window = scale_of(quantity, scaled), display_window(quantity, scaled)
    stored = scale.stored(scaled)
    for position in range(values.shape[2]):
        made = _image(quantity, header, position)
        made.SeriesNumber = header.series_number(offset)
        _set_pixels(made, stored[:, :, position].T, scale, window)
        made.RealWorldValueMappingSequence = Items([_mapping(quantity, scale)])
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        yield made


def _image(quantity: Quantity, header: Header, position: int) -> Dataset:
    """Return one image without its pixels."""
    made = header.of_slice(position)
    made.SOPClassUID = MRImageStorage
    made.SOPInstanceUID = header.uids.of("mr", quantity.name, str(position))
    made.SeriesInstanceUID = header.uids.of("mr", quantity.name)
    made.InstanceNumber = position + 1
    # ADC as scanners name it; for others the third and fourth values are free.
    contrast = _NOT_IN_CODES.sub("_", quantity.name.upper())[:MAX_SHORT]
    made.ImageType = ["DERIVED", "PRIMARY", "DIFFUSION", contrast]
    made.ImageComments = RESEARCH
    made.DerivationDescription = text_of(f"{quantity.description}. {RESEARCH}", 1024)
    made.DerivationCodeSequence = Items([coded(quantity.code)])
    images = header.sources(position)
    made.SourceImageSequence = source_images(images)
    made.ReferencedSeriesSequence = referenced_series(images)
    _set_acquisition(made, header)
    header.finish_image(made, f"ivimkit {quantity.label}")
    return made


def _set_acquisition(made: Dataset, header: Header) -> None:
    """Set what the standard asks of every MR image."""
    known = header.context.equipment
    made.ScanningSequence = valid("ScanningSequence", known.get("ScanningSequence", "")) or "EP"
    made.SequenceVariant = valid("SequenceVariant", known.get("SequenceVariant", "")) or "NONE"
    made.MRAcquisitionType = valid("MRAcquisitionType", known.get("MRAcquisitionType", "")) or "2D"
    made.ScanOptions, made.EchoTrainLength = "", None
    for keyword in _TAKEN_OVER:
        setattr(made, keyword, valid(keyword, known.get(keyword, "")) or None)


def _set_pixels(
    made: Dataset, stored: NDArray[np.int16], scale: Scale, window: tuple[float, float]
) -> None:
    """Set the pixels of an image, shape (rows, columns), and how they are shown."""
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = stored.shape
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.PixelRepresentation = 1
    made.add_new("PixelPaddingValue", "SS", NO_VALUE)
    made.RescaleSlope, made.RescaleIntercept = decimal(scale.slope), decimal(scale.intercept)
    made.RescaleType = "US"
    width = window[1] - window[0]
    made.WindowCenter, made.WindowWidth = decimal(sum(window) / 2), decimal(width)
    made.VOILUTFunction = window_function(width)
    made.PixelData = np.ascontiguousarray(stored, dtype="<i2").tobytes()


def _mapping(quantity: Quantity, scale: Scale) -> Dataset:
    made = Dataset()
    # With the padding, although it has no value: readers refuse images with unmapped numbers.
    made.add_new("RealWorldValueFirstValueMapped", "SS", NO_VALUE)
    made.add_new("RealWorldValueLastValueMapped", "SS", MAX_STORED)
    made.RealWorldValueSlope, made.RealWorldValueIntercept = scale.slope, scale.intercept
    made.LUTExplanation, made.LUTLabel = (
        text_of(quantity.description),
        text_of(quantity.name, MAX_SHORT),
    )
    made.MeasurementUnitsCodeSequence = Items([coded(quantity.unit.code)])
    made.QuantityDefinitionSequence = quantity_items(quantity)
    return made
