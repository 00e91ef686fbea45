"""parametric_map: a map as a Parametric Map, with the exact values of the fit."""

from __future__ import annotations

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.coding import Code

from ivimkit.io.dicom.display_window import display_window
from ivimkit.io.dicom.header import (
    MANUFACTURER,
    MODEL_NAME,
    RESEARCH,
    VERSION,
    Header,
    coded,
    decimal,
)
from ivimkit.io.dicom.quantities import Quantity
from ivimkit.io.dicom.sources import set_sources
from ivimkit.io.dicom.texts import MAX_SHORT, text_of

__all__ = ["map_uids", "parametric_map", "quantity_items"]

_QUANTITY = Code("246205007", "SCT", "Quantity")
_MEASUREMENT_METHOD = Code("370129005", "SCT", "Measurement Method")
_FITTING_METHOD = Code("113241", "DCM", "Model fitting method")
_B_VALUE = Code("113240", "DCM", "Source image diffusion b-value")
_DERIVATION = Code("121401", "DCM", "Derivation")
_PER_AREA = Code("s/mm2", "UCUM", "s/mm2")
_SERIAL_NUMBER = "0"


def parametric_map(
    values: NDArray[np.float64], quantity: Quantity, header: Header, offset: int
) -> Dataset:
    """Return a map as a Parametric Map of 32-bit floats; NaN stays NaN.

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
    scaled = (values * quantity.unit.factor).astype(np.float32)
    window = display_window(quantity, scaled)
    instance, series = map_uids(quantity.name, header)
    made = hd.pm.ParametricMap(
        source_images=[header.of_slice(0)],
        pixel_array=header.volume(scaled),
        series_instance_uid=series,
        series_number=header.series_number(offset),
        sop_instance_uid=instance,
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=VERSION,
        device_serial_number=_SERIAL_NUMBER,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(quantity, scaled)],
        voi_lut_transformations=[
            hd.VOILUTTransformation(
                window_center=sum(window) / 2,
                window_width=window[1] - window[0],
                voi_lut_function="LINEAR_EXACT",
            )
        ],
        content_label="MAP",
        content_description=text_of(f"{RESEARCH} {quantity.label}"),
        content_qualification="RESEARCH",
        derived_pixel_contrast="QUANTITY",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    header.finish_image(made, f"ivimkit {quantity.label}")
    header.finish_frames(made, "pm", quantity.name)
    made.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = Items([header.anatomy()])
    _sort_along_normal(made)
    set_sources(made, header, quantity.code, text_of(quantity.description, 200))
    return made


def _sort_along_normal(made: Dataset) -> None:
    """Put the frames in the order of their positions along the normal of the slices.

    The library sorts by coordinate, which runs against the normal for some orientations, and dcmqi
    places the frames of a map by their numbers: it would flip these.
    """
    shared = made.SharedFunctionalGroupsSequence[0]
    axes = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    normal = np.cross(axes[:3], axes[3:])
    frames = list(made.PerFrameFunctionalGroupsSequence)
    positions = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames]
    order = np.argsort(np.array(positions, dtype=float) @ normal, kind="stable")
    pixels = np.frombuffer(made.FloatPixelData, dtype="<f4").reshape(len(frames), -1)
    made.FloatPixelData = pixels[order].tobytes()
    made.PerFrameFunctionalGroupsSequence = Items([frames[place] for place in order])
    for number, frame in enumerate(made.PerFrameFunctionalGroupsSequence, start=1):
        frame.FrameContentSequence[0].DimensionIndexValues = [number]


def map_uids(name: str, header: Header) -> tuple[str, str]:
    """Return the UIDs of the Parametric Map of a map, and of its series."""
    return header.uids.of("pm", name), header.uids.of("pm", name, "series")


def _mapping(quantity: Quantity, scaled: NDArray[np.float32]) -> hd.pm.RealWorldValueMapping:
    finite = scaled[np.isfinite(scaled)]
    limits = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    made = hd.pm.RealWorldValueMapping(
        lut_label=text_of(quantity.name, MAX_SHORT),
        lut_explanation=text_of(quantity.description),
        unit=quantity.unit.code,
        value_range=limits,
        slope=1.0,
        intercept=0.0,
        quantity_definition=quantity.code,
    )
    # The library takes one code; model, method and b-values belong there as well.
    made["QuantityDefinitionSequence"].value = quantity_items(quantity)
    return made


def quantity_items(quantity: Quantity) -> Items:
    """Return what values mean: quantity, model, method, b-values, and how they were derived."""
    codes = [
        (_QUANTITY, quantity.code),
        (_MEASUREMENT_METHOD, quantity.model),
        (_FITTING_METHOD, quantity.method),
    ]
    if quantity.derivation is not None:
        codes.append((_DERIVATION, quantity.derivation))
    return Items(
        [*(_code_item(name, code) for name, code in codes), *map(_b_item, quantity.bvals)]
    )


def _code_item(name: Code, code: Code) -> Dataset:
    made = Dataset()
    made.ValueType = "CODE"
    made.ConceptNameCodeSequence = Items([coded(name)])
    made.ConceptCodeSequence = Items([coded(code)])
    return made


def _b_item(b: float) -> Dataset:
    made = Dataset()
    made.ValueType = "NUMERIC"
    made.ConceptNameCodeSequence = Items([coded(_B_VALUE)])
    made.NumericValue = decimal(round(b, 6))
    made.MeasurementUnitsCodeSequence = Items([coded(_PER_AREA)])
    return made
