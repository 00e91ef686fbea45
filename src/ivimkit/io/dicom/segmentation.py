"""segmentation: regions as a DICOM Segmentation."""

from __future__ import annotations

import re

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from ivimkit.io.dicom.body_parts import code_in
from ivimkit.io.dicom.header import MANUFACTURER, MODEL_NAME, RESEARCH, VERSION, Header
from ivimkit.io.dicom.sources import set_sources
from ivimkit.io.dicom.texts import text_of
from ivimkit.scan.labels import Labels

__all__ = ["Segment", "segmentation", "segments_of"]

_TISSUE = Code("85756007", "SCT", "Tissue")
_STRUCTURE = Code("123037004", "SCT", "Anatomical Structure")
_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
_LESION = Code("52988006", "SCT", "Lesion")
_LESION_WORDS = re.compile(r"l[eéä]sion|tumou?r|metasta|carcinoma|nodule", re.IGNORECASE)
_SEGMENTATION = Code("113076", "DCM", "Segmentation")


class Segment:
    """A region in DICOM: its number, its name, its identity, and what it is.

    Parameters
    ----------
    number : int
        From 1 on, without gaps, as the standard requires.
    name : str
        Name of the region.
    header : Header
        Of the export.
    """

    def __init__(self, number: int, name: str, header: Header) -> None:
        self.number = number
        self.label = text_of(name) or str(number)
        # Of the study and not of the fit, so that another fit of the same region is recognised.
        self.tracking_uid = header.region_uid(name)
        organ = code_in(name)
        self.category, self.kind = _TISSUE, _TISSUE
        if _LESION_WORDS.search(name):
            self.category, self.kind = _ABNORMAL, _LESION
        elif organ is not None:
            self.category, self.kind = _STRUCTURE, organ

    @property
    def description(self) -> hd.seg.SegmentDescription:
        """The item of the Segment Sequence."""
        return hd.seg.SegmentDescription(
            segment_number=self.number,
            segment_label=self.label,
            segmented_property_category=self.category,
            segmented_property_type=self.kind,
            # Who drew it is not known; the other types require the name of a program.
            algorithm_type="MANUAL",
            tracking_uid=self.tracking_uid,
            tracking_id=self.label,
        )


def segments_of(labels: Labels, header: Header) -> dict[str, Segment]:
    """Return the segment of each region."""
    return {name: Segment(k, name, header) for k, name in enumerate(labels, start=1)}


def segmentation(
    labels: Labels, segments: dict[str, Segment], header: Header, offset: int
) -> Dataset:
    """Return regions as a binary Segmentation.

    Parameters
    ----------
    labels : Labels
        The regions, on the grid of the maps.
    segments : dict of str to Segment
        From `segments_of`.
    header : Header
        Of the export.
    offset : int
        Position of its series in the export.
    """
    numbers = np.zeros(labels.array.shape, np.uint16 if len(segments) > 255 else np.uint8)
    for number, name in labels.names.items():
        numbers[labels.array == number] = segments[name].number
    made = hd.seg.Segmentation(
        source_images=[header.of_slice(0)],
        pixel_array=header.volume(numbers),
        segmentation_type="BINARY",
        segment_descriptions=[segment.description for segment in segments.values()],
        series_instance_uid=header.uids.of("seg", "series"),
        series_number=header.series_number(offset),
        sop_instance_uid=header.uids.of("seg"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=VERSION,
        device_serial_number="0",
        content_description=text_of(f"Regions. {RESEARCH}"),
        content_label="REGIONS",
    )
    header.finish_image(made, "ivimkit regions")
    header.finish_frames(made, "seg")
    set_sources(made, header, _SEGMENTATION, "Regions of the maps")
    return made
