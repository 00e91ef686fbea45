"""Format 1 of ``fit.json``, written by earlier versions: checked, and converted to format 2."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from ivimkit import models
from ivimkit.io.json_form import converted
from ivimkit.io.json_text import plain, restored
from ivimkit.io.record_form import (
    FORMAT,
    Code,
    CompartmentRecord,
    Count,
    FileName,
    Length,
    ProvenanceRecord,
    Row,
)
from ivimkit.scan.geometry import MM

__all__ = ["upgraded"]

Numbers = list[float]


class _Parameter(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    symbol: str
    unit: str
    lower: float
    upper: float
    start: float
    display: tuple[float, float]
    description: str = ""


class _Acquisition(msgspec.Struct, forbid_unknown_fields=True):
    bvals: Numbers
    bvecs: list[Numbers] | None = None
    tolerance: float | None = None
    labels: list[int] | None = None


class _Geometry(msgspec.Struct):
    affine: tuple[Row, Row, Row, Row]
    voxel_units: Literal["unknown", "meter", "mm", "micron"]
    sform_code: Code
    qform_code: Code
    affine_units: str | None = None


class _Result(msgspec.Struct):
    model: str
    parameters: list[_Parameter]
    fixed_maps: list[FileName]
    method: str
    method_options: dict[str, Any]
    acquisition: _Acquisition
    geometry: _Geometry
    shape: Annotated[list[Length], msgspec.Meta(max_length=7)]
    maps: list[FileName]
    priors: list[FileName] = []


class _Region(msgspec.Struct):
    prior: str | None
    prior_options: dict[str, Any]
    prior_given: bool
    variance: Literal["scan", "voxel"] | tuple[float, float]


class _Scan(msgspec.Struct):
    b_unit: Literal["s/mm2", "ms/um2", "s/cm2"] = "s/mm2"
    average: str = "auto"
    tolerance: float | None = None
    bmin: float | None = None
    bmax: float | None = None
    bvals: Numbers | None = None
    volumes: list[int] | None = None
    bval: Numbers | None = None
    stack: bool = False


class _Options(msgspec.Struct):
    uncertainty: str | None = None
    uncertainty_options: dict[str, Any] = {}
    sigma: float | Literal["map"] | None = None
    average: str = "auto"
    weights: Numbers | None = None
    adc_bvals: Numbers | None = None
    mask_origin: str | None = None
    labels: bool = False
    precision: str = "float64"
    organ: str | None = None
    scan: _Scan | None = None
    regions: dict[str, _Region] = {}
    region_voxels: dict[str, Count] = {}


class _Source(msgspec.Struct):
    role: str
    path: str
    sha256: str


class _Record(msgspec.Struct):
    result: _Result
    versions: dict[str, str]
    call: str
    options: _Options
    bvals: Numbers
    counts: Numbers
    sources: list[_Source]
    started: str
    seconds: float
    threads: int
    status_counts: dict[str, Count]
    device: str = "cpu"


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a ``fit.json`` of format 1 in format 2.

    Parameters
    ----------
    content : dict
        The content of the file.

    Raises
    ------
    ValueError
        If a field is missing or has a wrong type; the message names the place.

    Examples
    --------
    >>> from ivimkit.io.record_format1 import upgraded
    >>> upgraded({"result": []})
    Traceback (most recent call last):
    ...
    ValueError: result: expected names with values, got a list
    """
    # Format 1 had words for inf and nan everywhere.
    content = {name: restored(value) for name, value in content.items()}
    record = _checked(content)
    result, options = record.result, record.options
    learned = {
        region: {"variance": _variance(options.regions.get(region))} for region in result.priors
    }
    return {
        "format": "ivimkit result",
        "format_version": FORMAT,
        "settings": {
            "model": {
                "name": result.model,
                **_known(result.model, tuple(one.name for one in result.parameters)),
                "parameters": [_parameter(parameter) for parameter in result.parameters],
                "fixed_maps": result.fixed_maps,
            },
            "method": {"name": result.method, "options": plain(result.method_options)},
            "estimator": None
            if options.uncertainty is None
            else {"name": options.uncertainty, "options": plain(options.uncertainty_options)},
            "sigma": options.sigma,
            "weights": options.weights,
            "adc_bvals": options.adc_bvals,
            "average": options.average,
            "mask_origin": options.mask_origin or "",
            "labels": options.labels,
            "precision": options.precision,
            "organ": options.organ,
            "reading": None if options.scan is None else msgspec.to_builtins(options.scan),
            "call": record.call,
        },
        "provenance": {
            name: msgspec.to_builtins(getattr(record, name))
            for name in ProvenanceRecord.__struct_fields__
            if hasattr(record, name)
        }
        | {"region_voxels": options.region_voxels},
        "learned": learned,
        "acquisition": {
            "bvals": result.acquisition.bvals,
            "bvecs": result.acquisition.bvecs,
            "tolerance": result.acquisition.tolerance,
            "shell_numbers": result.acquisition.labels,
        },
        "geometry": _grid(result.geometry),
        "shape": result.shape,
        "maps": result.maps,
    }


def _checked(content: dict[str, Any]) -> _Record:
    """Return the content as structs, if each field has its type."""
    # In format 1 a bound may be infinite, and a display range may have no ends.
    record = converted(content, _Record, finite=False)
    for name, values in _lists(record):
        # JSON accepts numbers of hundreds of digits; nothing else does.
        if not all(math.isfinite(value) for value in values):
            raise ValueError(f"{name} has numbers that are not finite")
    return record


def _known(name: str, parameters: tuple[str, ...]) -> dict[str, Any]:
    """Return the properties of a model that format 1 did not record."""
    if name in models.names():
        model = models.get(name)
        return {
            "title": model.title,
            "equation": model.equation,
            "references": list(model.references),
        }
    # At that time every model that could be fitted had two decays, whatever its name.
    every = map(models.get, models.names())
    like = next((model for model in every if model.names == parameters), None)
    about: dict[str, Any] = {"title": name, "equation": ""}
    if like is not None:
        about["compartments"] = msgspec.to_builtins(
            [CompartmentRecord.of(one) for one in like.compartments]
        )
        about["ascending"] = list(like.ascending)
    return about


def _parameter(parameter: _Parameter) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(parameter)
    for name in ("lower", "upper"):
        values[name] = _or_none(values[name])
    values["display"] = [_or_none(end) for end in values["display"]]
    return values


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _variance(region: _Region | None) -> tuple[float, float]:
    """Return the distribution of the noise variances; zeros mean a separate one for each voxel."""
    if region is None or isinstance(region.variance, str):
        return (0.0, 0.0)
    return region.variance


def _grid(geometry: _Geometry) -> dict[str, Any]:
    """Return the geometry with its affine in mm, whatever its unit was."""
    values: dict[str, Any] = msgspec.to_builtins(geometry)
    if values.pop("affine_units") is None:
        # Before the unit was recorded, the affine was in the unit of the file.
        factor = MM[geometry.voxel_units]
        values["affine"] = [
            [factor * number for number in row] if k < 3 else list(row)
            for k, row in enumerate(geometry.affine)
        ]
    return values


def _lists(record: _Record) -> Iterator[tuple[str, Numbers]]:
    yield "bvals", record.bvals
    yield "counts", record.counts
    yield "options.weights", record.options.weights or []
    yield "options.adc_bvals", record.options.adc_bvals or []
