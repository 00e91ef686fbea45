"""capture: a picture as a Secondary Capture."""

from __future__ import annotations

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from ivimkit.errors import ShapeError
from ivimkit.io.dicom.header import MANUFACTURER, RESEARCH, VERSION, Header
from ivimkit.io.dicom.sources import referenced_series, source_images

__all__ = ["capture", "check_picture"]

MIN_STRIP_HEIGHT_PX = 16
"""Height of the strip below the picture that says what it is for."""

_STRIP_SHARE = 0.035
_INK, _PAPER = (0, 0, 0), (255, 255, 255)


def check_picture(picture: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return a picture, or refuse what is not one.

    Raises
    ------
    ShapeError
        If it is not of shape (rows, columns, 3) and type uint8.
    """
    array = np.asarray(picture)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or 0 in array.shape:
        raise ShapeError(
            f"the picture has shape {array.shape} and type {array.dtype}; expected "
            "(rows, columns, 3) and uint8: red, green and blue from 0 to 255. Convert it"
        )
    return array


def capture(picture: NDArray[np.uint8], header: Header, offset: int) -> Dataset:
    """Return a picture as a Secondary Capture, with a line below it that says what it is for.

    Parameters
    ----------
    picture : ndarray of uint8, shape (rows, columns, 3)
        Red, green, blue.
    header : Header
        Of the export.
    offset : int
        Position of its series in the export.
    """
    made = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=header.of_slice(0),
        pixel_array=_with_line(picture, f"ivimkit {VERSION}. {RESEARCH}"),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=header.uids.of("sc", "series"),
        series_number=header.series_number(offset),
        sop_instance_uid=header.uids.of("sc"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        patient_orientation=("L", "P"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    # Several panels on a page: no direction of it is one of the patient.
    made["PatientOrientation"].value = None
    made.BurnedInAnnotation = "NO"
    made.ImageComments = RESEARCH
    made.ImageType = ["DERIVED", "SECONDARY"]
    for part, form in (("Date", "%Y%m%d"), ("Time", "%H%M%S")):
        setattr(made, f"{part}OfSecondaryCapture", header.made.strftime(form))
    header.finish_image(made, "ivimkit overview")
    images = [image for position in range(header.shape[2]) for image in header.sources(position)]
    made.SourceImageSequence = source_images(images)
    made.ReferencedSeriesSequence = referenced_series(images)
    return made


def _with_line(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Return the picture with a line of text below it."""
    rows, columns = picture.shape[:2]
    height = max(MIN_STRIP_HEIGHT_PX, round(_STRIP_SHARE * rows))
    page = Image.new("RGB", (columns, rows + height), _PAPER)
    page.paste(Image.fromarray(picture), (0, 0))
    size = 0.7 * height
    # The whole line, also below a narrow picture.
    length = ImageFont.load_default(size).getlength(text)
    size = max(size * min(1.0, (columns - height) / length), 1.0)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(page).text((height // 2, rows + height // 2), text, _INK, font, anchor="lm")
    return np.asarray(page, dtype=np.uint8)
