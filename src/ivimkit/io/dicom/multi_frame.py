"""Frames of an enhanced image object: its functional groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.tag import Tag

from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.element import first, number, numbers, text, words
from ivimkit.io.dicom.frame import Frame, Instance
from ivimkit.io.dicom.kinds import Kind
from ivimkit.io.dicom.single_frame import kind_by_all, placing, rescaling
from ivimkit.io.dicom.vendor import BValue, Vector, unit

__all__ = ["multi_frames"]

# Elements of older objects that a conversion has put into a frame, and those of Philips.
_UNASSIGNED = ("UnassignedSharedConvertedAttributesSequence",)
_UNASSIGNED_FRAME = ("UnassignedPerFrameConvertedAttributesSequence",)
_PHILIPS_FRAME = Tag(0x2005, 0x140F)


class _Groups:
    """The functional groups of one frame, its own before shared ones."""

    def __init__(self, header: Dataset, shared: Dataset, own: Dataset) -> None:
        self.header, self.shared, self.own = header, shared, own

    def __getitem__(self, sequence: str) -> Dataset:
        found = first(self.own, sequence)
        return found if len(found) else first(self.shared, sequence)

    def flat(self) -> Dataset:
        """Return the frame as a classic image would have its elements, for the vendor."""
        flat = Dataset()
        flat.update(self.header)
        for source, names in ((self.shared, _UNASSIGNED), (self.own, _UNASSIGNED_FRAME)):
            for name in names:
                flat.update(first(source, name))
        if _PHILIPS_FRAME in self.own and len(self.own[_PHILIPS_FRAME].value):
            flat.update(self.own[_PHILIPS_FRAME].value[0])
        for name in ("PixelValueTransformationSequence", "PlaneOrientationSequence"):
            flat.update(self[name])
        if len(self["RealWorldValueMappingSequence"]):
            flat.RealWorldValueMappingSequence = [self["RealWorldValueMappingSequence"]]
        return flat


def multi_frames(header: Dataset, instance: Instance) -> Iterator[Frame]:
    """Yield the slices of an enhanced image.

    Parameters
    ----------
    header : Dataset
        Everything but the pixels.
    instance : Instance
        What the slices have in common.

    Raises
    ------
    FileFormatError
        If it has no functional groups, or positions, orientations or sizes are missing.
    """
    shared = first(header, "SharedFunctionalGroupsSequence")
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    rows, columns = number(header, "Rows") or 0, number(header, "Columns") or 0
    if not own or rows < 1 or columns < 1:
        raise FileFormatError("without functional groups of frames (5200,9230)")
    if int(number(header, "SamplesPerPixel") or 1) != 1:
        raise FileFormatError(f"in colour ({text(header, 'PhotometricInterpretation')})")
    plain = Dataset()
    plain.update({e.tag: e for e in header if e.VR != "SQ"})
    for index, groups in enumerate(own):
        frame = _Groups(plain, shared, groups)
        yield _frame(frame, instance, index, (int(rows), int(columns)))


def _frame(groups: _Groups, instance: Instance, index: int, shape: tuple[int, int]) -> Frame:
    vendor, flat = instance.vendor, groups.flat()
    diffusion = groups["MRDiffusionSequence"]
    directionality = text(diffusion, "DiffusionDirectionality").upper()
    found = _b_value(diffusion, directionality) or vendor.b_value(flat) or BValue(np.nan, "")
    position = numbers(groups["PlanePositionSequence"], "ImagePositionPatient")
    if len(position) != 3:
        raise FileFormatError("without Image Position (0020,0032)")
    frame_type = words(groups["MRImageFrameTypeSequence"], "FrameType")
    kind = kind_by_all(frame_type or words(flat, "ImageType"), flat, instance)
    if directionality == "ISOTROPIC" and kind is Kind.DWI:
        kind = Kind.TRACE
    content = groups["FrameContentSequence"]
    echo_time = number(groups["MREchoSequence"], "EffectiveEchoTime")
    rescaled = rescaling(groups["PixelValueTransformationSequence"])
    placed: dict[str, Any] = placing(
        groups["PixelMeasuresSequence"], groups["PlaneOrientationSequence"], flat
    )
    return Frame(
        instance=instance,
        number=index + 1,
        tile=None,
        kind=kind,
        b=None if np.isnan(found.b) else found.b,
        b_from=found.source,
        direction=_direction(diffusion)
        or (vendor.direction(flat) if not directionality else None),
        position=np.array(position),
        shape=shape,
        echo_time=echo_time or number(flat, "EchoTime") or 0.0,
        scale=vendor.scale(flat),
        group=0,
        order=(instance.number, int(number(content, "TemporalPositionIndex") or 0), index),
        **placed,
        slope=rescaled["slope"],
        intercept=rescaled["intercept"],
    )


def _b_value(diffusion: Dataset, directionality: str) -> BValue | None:
    b = number(diffusion, "DiffusionBValue")
    if b is not None:
        return BValue(b, "MRDiffusionSequence")
    return BValue(0.0, "directionality NONE") if directionality == "NONE" else None


def _direction(diffusion: Dataset) -> Vector | None:
    item = first(diffusion, "DiffusionGradientDirectionSequence")
    return unit(numbers(item, "DiffusionGradientOrientation"))
