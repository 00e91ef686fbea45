"""Frames of an enhanced image object: its functional groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.tag import Tag

from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.element import first, number, numbers, text, words
from ivimkit.io.dicom.frame import Frame, Instance
from ivimkit.io.dicom.kinds import Kind, has_unit_of_a_map
from ivimkit.io.dicom.single_frame import (
    image_position,
    image_shape,
    kind_by_all,
    placing,
    rescaling,
)
from ivimkit.io.dicom.vendor import BValue, Vector, unit

__all__ = ["multi_frames"]

# Elements of older objects that a conversion has put into a frame, and those of Philips.
_UNASSIGNED = "UnassignedSharedConvertedAttributesSequence"
_UNASSIGNED_FRAME = "UnassignedPerFrameConvertedAttributesSequence"
_PHILIPS_FRAME = Tag(0x2005, 0x140F)


@dataclass(frozen=True)
class _Groups:
    """The functional groups of one frame, its own before shared ones.

    Parameters
    ----------
    whole : Dataset
        Elements of the object, and of older objects that all its frames share.
    shared, own : Dataset
        Functional groups.
    """

    whole: Dataset
    shared: Dataset
    own: Dataset

    def __getitem__(self, sequence: str) -> Dataset:
        found = first(self.own, sequence)
        return found if len(found) else first(self.shared, sequence)

    @cached_property
    def flat(self) -> Dataset:
        """The elements that a classic image would have, as far as vendors read them."""
        further = [first(self.own, _UNASSIGNED_FRAME)]
        if _PHILIPS_FRAME in self.own and len(self.own[_PHILIPS_FRAME].value):
            further.append(self.own[_PHILIPS_FRAME].value[0])
        if not any(map(len, further)):
            return self.whole
        flat = Dataset()
        for source in (self.whole, *further, self["PixelValueTransformationSequence"]):
            flat.update(source)
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
    if not own:
        raise FileFormatError("without functional groups of frames (5200,9230)")
    shape = image_shape(header)
    whole = Dataset()
    whole.update({element.tag: element for element in header if element.VR != "SQ"})
    whole.update(first(shared, _UNASSIGNED))
    whole.update(first(shared, "PlaneOrientationSequence"))
    for index, groups in enumerate(own):
        yield _frame(_Groups(whole, shared, groups), instance, index, shape)


def _frame(groups: _Groups, instance: Instance, index: int, shape: tuple[int, int]) -> Frame:
    vendor, flat = instance.vendor, groups.flat
    diffusion = groups["MRDiffusionSequence"]
    directionality = text(diffusion, "DiffusionDirectionality").upper()
    found = _b_value(diffusion, directionality) or vendor.b_value(flat) or BValue(np.nan, "")
    content = groups["FrameContentSequence"]
    transformed = groups["PixelValueTransformationSequence"]
    rescaled = rescaling(transformed)
    placed: dict[str, Any] = placing(
        groups["PixelMeasuresSequence"], groups["PlaneOrientationSequence"], flat
    )
    return Frame(
        instance=instance,
        number=index + 1,
        tile=None,
        kind=_kind(groups, instance, directionality),
        b=None if np.isnan(found.b) else found.b,
        b_from=found.source,
        direction=_direction(diffusion) or (None if directionality else vendor.direction(flat)),
        position=image_position(groups["PlanePositionSequence"]),
        shape=shape,
        echo_time=number(groups["MREchoSequence"], "EffectiveEchoTime")
        or number(flat, "EchoTime")
        or 0.0,
        scale=vendor.scale(flat),
        group=0,
        order=(instance.number, int(number(content, "TemporalPositionIndex") or 0), index),
        slope=rescaled["slope"],
        intercept=rescaled["intercept"],
        **placed,
    )


def _kind(groups: _Groups, instance: Instance, directionality: str) -> Kind:
    mapped = groups["RealWorldValueMappingSequence"]
    if has_unit_of_a_map(groups["PixelValueTransformationSequence"], mapped):
        return Kind.DERIVED
    frame_type = words(groups["MRImageFrameTypeSequence"], "FrameType")
    kind = kind_by_all(frame_type or words(groups.flat, "ImageType"), groups.flat, instance)
    return Kind.TRACE if directionality == "ISOTROPIC" and kind is Kind.DWI else kind


def _b_value(diffusion: Dataset, directionality: str) -> BValue | None:
    b = number(diffusion, "DiffusionBValue")
    if b is not None:
        return BValue(b, "MRDiffusionSequence")
    return BValue(0.0, "directionality NONE") if directionality == "NONE" else None


def _direction(diffusion: Dataset) -> Vector | None:
    item = first(diffusion, "DiffusionGradientDirectionSequence")
    return unit(numbers(item, "DiffusionGradientOrientation"))
