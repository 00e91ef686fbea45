"""References from results to the images they were computed from, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.coding import Code

from ivimkit.io.dicom.context import SourceImage
from ivimkit.io.dicom.header import Header, coded

__all__ = ["derivation", "referenced_series", "set_sources", "source_images"]

_PURPOSE = Code("121322", "DCM", "Source image for image processing operation")


def source_images(images: Sequence[SourceImage]) -> Items:
    """Return references to images, each frame once."""
    made = []
    for image in dict.fromkeys(images):
        item = _instance(image)
        if image.frame:
            item.ReferencedFrameNumber = image.frame
        item.PurposeOfReferenceCodeSequence = Items([coded(_PURPOSE)])
        item.SpatialLocationsPreserved = "YES"
        made.append(item)
    return Items(made)


def derivation(images: Sequence[SourceImage], code: Code, description: str) -> Items:
    """Return what a frame was derived from, and how."""
    item = Dataset()
    item.DerivationDescription = description
    item.DerivationCodeSequence = Items([coded(code)])
    item.SourceImageSequence = source_images(images)
    return Items([item])


def referenced_series(images: Sequence[SourceImage]) -> Items:
    """Return the instances of images by series, each once."""
    by_series: dict[str, dict[str, SourceImage]] = {}
    for image in images:
        by_series.setdefault(image.series, {}).setdefault(image.sop_instance, image)
    made = []
    for series, instances in by_series.items():
        item = Dataset()
        item.SeriesInstanceUID = series
        item.ReferencedInstanceSequence = Items([_instance(one) for one in instances.values()])
        made.append(item)
    return Items(made)


def set_sources(made: Dataset, header: Header, code: Code, description: str) -> None:
    """Refer from each frame of a multi-frame object to all source images of its slice.

    The library links one image per frame; a map comes from all volumes.

    Parameters
    ----------
    made : pydicom.Dataset
        The object, changed.
    header : Header
        Of the export.
    code : Code
        The derivation.
    description : str
        The derivation in words.
    """
    to_index = np.linalg.inv(header.affine)
    used: list[SourceImage] = []
    for frame in made.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        images = header.sources(int(np.rint((to_index @ [*map(float, position), 1.0])[0])))
        frame.DerivationImageSequence = derivation(images, code, description)
        used += images
    made.ReferencedSeriesSequence = referenced_series(used)


def _instance(image: SourceImage) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID = image.sop_class
    made.ReferencedSOPInstanceUID = image.sop_instance
    return made
