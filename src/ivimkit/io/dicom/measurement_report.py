"""measurement_report: the values of regions as a structured report, template 1500."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.coding import Code

from ivimkit.io.dicom.header import MANUFACTURER, MODEL_NAME, RESEARCH, VERSION, Header, coded
from ivimkit.io.dicom.quantities import PRIVATE_SCHEME, Quantity
from ivimkit.io.dicom.segmentation import Segment
from ivimkit.io.dicom.uids import Uids

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["measurement_report"]

_DIGITS = 6
_MEAN = Code("373098007", "SCT", "Mean")
_MEDIAN = Code("373099004", "SCT", "Median")
_DEVIATION = Code("386136009", "SCT", "Standard Deviation")
_MEAN_FIT = Code("MEANSIGNALFIT", PRIVATE_SCHEME, "Fit of the mean signal of the region")
_OF_VOXELS = {"mean": _MEAN, "sd": _DEVIATION, "median": _MEDIAN}
_VOLUME = Code("118565006", "SCT", "Volume")
_MILLILITRE = Code("ml", "UCUM", "milliliter")
_PROCEDURE = Code("25056-3", "LN", "MR Unspecified body region")
_TITLE = Code("126000", "DCM", "Imaging Measurement Report")


def measurement_report(
    table: pd.DataFrame,
    quantities: Sequence[Quantity],
    segments: Mapping[str, Segment],
    regions: Dataset,
    maps: Mapping[str, Dataset],
    header: Header,
    offset: int,
) -> Dataset:
    """Return the values of regions as a Comprehensive 3D SR of template 1500.

    For each region and map: mean, standard deviation and median of the voxels; and the fit of the
    region's mean signal with its 95 % limits, if the table has them.

    Parameters
    ----------
    table : pandas.DataFrame
        From `ivimkit.quality.roi_table`.
    quantities : sequence of Quantity
        The maps to report.
    segments : mapping of str to Segment
        The regions in the Segmentation.
    regions : pydicom.Dataset
        The Segmentation.
    maps : mapping of str to pydicom.Dataset
        The Parametric Maps that are exported with it, by the names of the maps.
    header : Header
        Of the export.
    offset : int
        Position of its series in the export.
    """
    groups = [
        _group(segment, table.loc[[name]].droplevel("region"), quantities, regions, maps, header)
        for name, segment in segments.items()
    ]
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=_observer(header)),
        procedure_reported=_PROCEDURE,
        imaging_measurements=groups,
        title=_TITLE,
    )
    made = hd.sr.Comprehensive3DSR(
        evidence=[regions, *maps.values()],
        content=content,
        series_number=header.series_number(offset),
        series_instance_uid=header.uids.of("sr", "series"),
        sop_instance_uid=header.uids.of("sr"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    header.finish(made, f"ivimkit measurements. {RESEARCH}")
    return made


def _observer(header: Header) -> hd.sr.ObserverContext:
    """Return the program that made the report."""
    return hd.sr.ObserverContext(
        observer_type=hd.sr.CodedConcept("121007", "DCM", "Device"),
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            # Of the program, the same in all reports.
            uid=Uids(f"{MODEL_NAME} {VERSION}", header.uids.root).of("observer"),
            name=MODEL_NAME,
            manufacturer_name=MANUFACTURER,
            model_name=MODEL_NAME,
            serial_number="0",
        ),
    )


def _group(
    segment: Segment,
    rows: pd.DataFrame,
    quantities: Sequence[Quantity],
    regions: Dataset,
    maps: Mapping[str, Dataset],
    header: Header,
) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """Return the measurements of one region."""
    volume = float(rows["volume_ml"].iloc[0])
    measured = [
        hd.sr.Measurement(name=_VOLUME, value=_rounded(volume), unit=_MILLILITRE),
        *(
            one
            for quantity in quantities
            for one in _measurements(quantity, rows.loc[quantity.name].to_dict(), maps)
        ),
    ]
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=segment.tracking_uid, identifier=segment.label
        ),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=regions.SOPClassUID,
            sop_instance_uid=regions.SOPInstanceUID,
            segment_number=segment.number,
            source_series=hd.sr.SourceSeriesForSegmentation(
                referenced_series_instance_uid=header.sources(0)[0].series
            ),
        ),
        finding_category=segment.category,
        finding_type=segment.kind,
        finding_sites=[hd.sr.FindingSite(anatomic_location=header.region.code)],
        measurements=measured,
        algorithm_id=hd.sr.AlgorithmIdentification(
            name=MODEL_NAME, version=VERSION, parameters=list(header.settings)
        ),
    )


def _measurements(
    quantity: Quantity, row: Mapping[Hashable, Any], maps: Mapping[str, Dataset]
) -> Iterator[hd.sr.Measurement]:
    """Yield the values of one map in one region, those that there are."""
    for column, derivation in _OF_VOXELS.items():
        value = float(row[column]) * quantity.unit.factor
        if math.isfinite(value):
            yield _measurement(quantity, value, derivation, maps)
    if "roi_fit" in row:
        value, low, high = (
            float(row[column]) * quantity.unit.factor
            for column in ("roi_fit", "roi_fit_lo", "roi_fit_hi")
        )
        if math.isfinite(value):
            yield _measurement(quantity, value, _MEAN_FIT, maps, (low, high))


def _measurement(
    quantity: Quantity,
    value: float,
    derivation: Code,
    maps: Mapping[str, Dataset],
    limits: tuple[float, float] = (math.nan, math.nan),
) -> hd.sr.Measurement:
    reference = maps.get(quantity.name)
    return hd.sr.Measurement(
        name=quantity.code,
        value=_rounded(value),
        unit=quantity.unit.code,
        derivation=derivation,
        method=quantity.model,
        properties=_uncertainty(value, *limits, quantity.unit.code),
        referenced_images=None if reference is None else [_image(reference)],
    )


def _image(reference: Dataset) -> hd.sr.SourceImageForMeasurement:
    return hd.sr.SourceImageForMeasurement(
        referenced_sop_class_uid=reference.SOPClassUID,
        referenced_sop_instance_uid=reference.SOPInstanceUID,
    )


def _uncertainty(
    value: float, low: float, high: float, unit: Code
) -> hd.sr.MeasurementProperties | None:
    """Return the limits of a value, as their distances from it."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    # A limit on the other side of the value, by rounding, is at the value.
    made = hd.sr.MeasurementProperties(
        upper_measurement_uncertainty=_rounded(max(high - value, 0.0)),
        lower_measurement_uncertainty=_rounded(max(value - low, 0.0)),
    )
    # The library calls both numbers without a unit; they have that of the value.
    for item in made:
        item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = Items([coded(unit)])
    return made


def _rounded(value: float) -> float:
    """Return a number with as many digits as are worth reporting."""
    return float(f"{value:.{_DIGITS}g}")
