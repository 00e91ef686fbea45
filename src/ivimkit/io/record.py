"""A result as the structs of its record, and back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ivimkit import methods, models
from ivimkit import uncertainty as estimators
from ivimkit.errors import FileFormatError
from ivimkit.extend.compartment import Compartment, Derived, Product
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.plugin import Plugin
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.result import FitResult, Learned, Provenance
from ivimkit.fitting.screening import Screening
from ivimkit.fitting.settings import FitSettings, MeasuredNoise, ScanReading
from ivimkit.io import record_format1
from ivimkit.io.history_record import history_of, history_record
from ivimkit.io.json_form import converted
from ivimkit.io.json_text import plain, read_json, restored
from ivimkit.io.nifti_header import parse_header
from ivimkit.io.record_form import (
    FORMAT,
    Acquired,
    CompartmentRecord,
    DerivedRecord,
    FitRecord,
    Grid,
    LearnedRecord,
    ModelRecord,
    NoiseRecord,
    ParameterRecord,
    PluginRecord,
    ProductRecord,
    ProvenanceRecord,
    ReadingRecord,
    ResultRecord,
    ScreeningRecord,
    SettingsRecord,
    SourceRecord,
    WeightsRecord,
)
from ivimkit.io.untrusted_files import untrusted
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.parameter import Parameter
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.value_weights import WeightSummary

__all__ = [
    "acquisition_of",
    "fit_record",
    "geometry_of",
    "incomplete",
    "learned_of",
    "provenance_of",
    "read_result_record",
    "result_record",
    "screening_of",
    "settings_of",
    "settings_record",
]


# ------------------------------------------------------------------------ result to record


def result_record(result: FitResult, files: list[str]) -> ResultRecord:
    """Return what is needed to rebuild a result, apart from its arrays.

    Parameters
    ----------
    result : FitResult
        The result.
    files : list of str
        Names of the files it is saved in.
    """
    fit = fit_record(result)
    acquisition, geometry = result.acquisition, result.geometry
    return ResultRecord(
        format="ivimkit result",
        format_version=FORMAT,
        settings=fit.settings,
        provenance=fit.provenance,
        learned={
            region: LearnedRecord(
                variance=one.variance,
                rule=one.prior.rule,
                options=_rule_options(result.method),
                about=plain(one.prior.about),
            )
            for region, one in result.learned.items()
        },
        acquisition=Acquired(
            bvals=plain(acquisition.bvals),
            bvecs=plain(acquisition.bvecs),
            tolerance=acquisition.tolerance,
            shell_numbers=plain(acquisition.shell_numbers),
            variables=plain(acquisition.variables),
        ),
        geometry=converted(
            {name: plain(getattr(geometry, name)) for name in Grid.__struct_fields__}, Grid
        ),
        shape=list(result.shape),
        maps=list(result.maps),
        files=files,
        screening=None if result.screening is None else _screening_record(result.screening),
    )


def _screening_record(screening: Screening) -> ScreeningRecord:
    return ScreeningRecord(
        reason=screening.reason,
        volumes=screening.volumes.tolist(),
        repeated=screening.repeated.tolist(),
        slabs=[(int(first), int(last)) for first, last in screening.slabs],
        factors=[[_or_none(value) for value in row] for row in screening.factors],
        left_out=screening.left_out.tolist(),
        shares=screening.shares.tolist(),
        n_voxels=screening.n_voxels.tolist(),
        judges_values=screening.judges_values,
        sigma=_or_none(screening.sigma),
    )


def _rule_options(method: FitMethod) -> dict[str, Any]:
    """Return the options of the rule with which a method makes its priors."""
    rule = method.rule if isinstance(method, PosteriorMethod) else None
    return {} if rule is None else dict(plain(rule.options()))


def fit_record(result: FitResult) -> FitRecord:
    """Return settings and provenance of a result."""
    return FitRecord(settings_record(result.settings), _provenance_record(result.provenance))


def settings_record(settings: FitSettings) -> SettingsRecord:
    """Return the settings of a fit."""
    noise, reading = settings.noise, settings.reading
    return SettingsRecord(
        model=_model_record(settings.model),
        method=_plugin_record(settings.method),
        estimator=None if settings.estimator is None else _plugin_record(settings.estimator),
        sigma=settings.sigma,
        noise=None
        if noise is None
        else NoiseRecord(noise.source, _or_none(noise.degrees), noise.n_voxels),
        weights=_list(settings.weights),
        averages=_list(settings.averages),
        value_weights=settings.value_weights,
        adc_bvals=_list(settings.adc_bvals),
        average=settings.average,
        mask_origin=settings.mask_origin,
        labels=settings.labels,
        device=settings.device,
        precision=settings.precision,
        organ=settings.organ,
        reading=None
        if reading is None
        else converted(plain(dataclasses.asdict(reading)), ReadingRecord),
        call=settings.call,
    )


def _model_record(model: SignalModel) -> ModelRecord:
    return ModelRecord(
        name=model.name,
        title=model.title,
        equation=model.equation,
        parameters=[_parameter_record(parameter) for parameter in model.parameters],
        fixed_maps=sorted(model.fixed_maps),
        references=list(model.references),
        compartments=[CompartmentRecord.of(one) for one in model.compartments],
        ascending=list(model.ascending),
        products=[
            ProductRecord(_parameter_record(one.parameter), one.factors) for one in model.products
        ],
        derived=[
            DerivedRecord(
                [_parameter_record(own) for own in one.maps], list(one.factors), list(one.shown)
            )
            for one in model.derived
        ],
    )


def _parameter_record(parameter: Parameter) -> ParameterRecord:
    low, high = parameter.display
    return ParameterRecord(
        name=parameter.name,
        symbol=parameter.symbol,
        unit=parameter.unit,
        lower=_or_none(parameter.lower),
        upper=_or_none(parameter.upper),
        start=float(parameter.start),
        display=(_or_none(low), _or_none(high)),
        description=parameter.description,
        plausible=parameter.plausible,
        scale=parameter.scale,
        role=parameter.role,
        typical=parameter.typical,
        least=_or_none(parameter.least),
        most=_or_none(parameter.most),
    )


def _plugin_record(plugin: Plugin) -> PluginRecord:
    return PluginRecord(plugin.name, plain(plugin.options()))


def _provenance_record(provenance: Provenance) -> ProvenanceRecord:
    return ProvenanceRecord(
        versions=dict(provenance.versions),
        bvals=plain(list(provenance.bvals)),
        counts=plain(list(provenance.counts)),
        sources=[SourceRecord(**source) for source in provenance.sources],
        started=provenance.started,
        seconds=provenance.seconds,
        threads=provenance.threads,
        status_counts=dict(provenance.status_counts),
        device=provenance.device,
        cpu_target=provenance.cpu_target,
        region_voxels=dict(provenance.region_voxels),
        chosen=dict(provenance.chosen),
        value_weights=None
        if provenance.value_weights is None
        else WeightsRecord(**dataclasses.asdict(provenance.value_weights)),
        history=history_record(provenance.history),
    )


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _list(values: tuple[float, ...] | None) -> list[float] | None:
    return None if values is None else list(values)


# ------------------------------------------------------------------------ record to result


def read_result_record(path: Path) -> ResultRecord:
    """Read ``fit.json``, and check the type of each field.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is damaged, has an unknown version, or a field is missing
        or has a wrong type; the message names the field.
    """
    content = read_json(path)
    version = content.get("format_version")
    if isinstance(version, bool) or version not in (1, FORMAT):
        raise FileFormatError(
            f"{path} has format version {str(version)[:20]}; expected {FORMAT} or 1. Read it with "
            "the ivimkit that wrote it, or fit again"
        )
    with untrusted(lambda why: incomplete(path, why)):
        if version == 1:
            content = record_format1.upgraded(content)
        return converted(content, ResultRecord)


def incomplete(path: Path, why: str) -> FileFormatError:
    """Return the error for a record that is not that of a fit."""
    return FileFormatError(
        f"{path} is not complete ({why}); expected the record of a fit. Fit again"
    )


def settings_of(
    record: SettingsRecord,
    fixed_maps: Mapping[str, Any],
    learned: Mapping[str, Learned],
    model: SignalModel | None = None,
) -> FitSettings:
    """Return the settings of a record.

    Parameters
    ----------
    record : SettingsRecord
        Of ``fit.json``.
    fixed_maps : mapping of str to ndarray
        Maps that fix parameters.
    learned : mapping of str to Learned
        What method bayes used: a prior that was given as a table becomes a table again.
    model : SignalModel, optional
        The model, if it is not registered.
    """
    noise, reading = record.noise, record.reading
    return FitSettings(
        model=dataclasses.replace(_model_of(record.model, model), fixed_maps=dict(fixed_maps)),
        method=_method_of(record.method, learned),
        estimator=None if record.estimator is None else _estimator_of(record.estimator),
        sigma=record.sigma,
        noise=None
        if noise is None
        else MeasuredNoise(
            noise.source, math.inf if noise.degrees is None else noise.degrees, noise.n_voxels
        ),
        weights=_tuple(record.weights),
        averages=_tuple(record.averages),
        value_weights=record.value_weights,
        adc_bvals=_tuple(record.adc_bvals),
        average=record.average,
        mask_origin=record.mask_origin,
        labels=record.labels,
        device=record.device,
        precision=record.precision,
        organ=record.organ,
        reading=None if reading is None else ScanReading(**_as_tuples(reading)),
        call=record.call,
    )


def _model_of(record: ModelRecord, given: SignalModel | None) -> SignalModel:
    """Return the model of a record, with its equation if the model is given or registered."""
    known = given
    if known is None and record.name in models.names():
        known = models.get(record.name)
    names = tuple(parameter.name for parameter in record.parameters)
    if len(set(names)) < len(names):
        raise ValueError("settings.model.parameters: two have the same name")
    if known is not None and names != known.names:
        raise ValueError(
            f"the parameters are {', '.join(names)[:200]}; expected those of model {known.name}, "
            f"{', '.join(known.names)}"
        )
    parameters = tuple(_parameter_of(one, known) for one in record.parameters)
    if known is not None:
        return dataclasses.replace(known, parameters=parameters)
    by_name = dict(zip(names, parameters, strict=True))
    return SignalModel(
        name=record.name,
        title=record.title,
        equation=record.equation,
        compartments=tuple(_compartment_of(one, by_name) for one in record.compartments),
        ascending=tuple(record.ascending),
        products=tuple(
            Product(_parameter_of(one.parameter, None), one.factors) for one in record.products
        ),
        derived=tuple(
            Derived(
                tuple(_parameter_of(own, None) for own in one.maps),
                tuple(one.factors),
                shown=tuple(one.shown),
            )
            for one in record.derived
        ),
        references=tuple(record.references),
        parameters=parameters,
    )


def _compartment_of(record: CompartmentRecord, parameters: Mapping[str, Parameter]) -> Compartment:
    """Return a compartment without its atom, which files do not contain."""
    named = (*record.parameters, *(() if record.fraction is None else (record.fraction,)))
    for name in named:
        if name not in parameters:
            raise ValueError(
                f"settings.model.compartments: {name!r} is not a parameter of the model"
            )
    return Compartment(
        name=record.name,
        atom=None,
        parameters=tuple(parameters[name] for name in record.parameters),
        fraction=None if record.fraction is None else parameters[record.fraction],
        variables=tuple(record.variables),
        signal=record.signal,
    )


def _parameter_of(record: ParameterRecord, known: SignalModel | None) -> Parameter:
    low, high = record.display
    return Parameter(
        name=record.name,
        symbol=record.symbol,
        unit=record.unit,
        lower=-math.inf if record.lower is None else record.lower,
        upper=math.inf if record.upper is None else record.upper,
        start=record.start,
        display=(math.nan if low is None else low, math.nan if high is None else high),
        description=record.description,
        **_of_model(record, known),
    )


def _of_model(record: ParameterRecord, known: SignalModel | None) -> dict[str, Any]:
    """Return what belongs to the model, not to a fit."""
    if known is None:
        return {
            "plausible": record.plausible,
            "scale": record.scale,
            "role": record.role,
            "typical": record.typical,
            "least": -math.inf if record.least is None else record.least,
            "most": math.inf if record.most is None else record.most,
        }
    fields = ("plausible", "role", "scale", "typical", "least", "most", "like")
    return {name: getattr(known[record.name], name) for name in fields}


def _method_of(record: PluginRecord, learned: Mapping[str, Learned]) -> FitMethod:
    """Return the method with its options; a prior that was a table becomes one again."""
    options = _options(record)
    if isinstance(options.get("prior"), Mapping) and "table" in options["prior"]:
        # All regions were fitted with the table that was given.
        options["prior"] = next(iter(learned.values())).prior
    return methods.get(record.name, **options)


def _estimator_of(record: PluginRecord) -> Estimator:
    return estimators.get(record.name, **_options(record))


def _options(record: PluginRecord) -> dict[str, Any]:
    """Return options as in Python: words become numbers again, lists become tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in restored(record.options).items()
    }


def provenance_of(record: ProvenanceRecord) -> Provenance:
    """Return the provenance of a record."""
    fields = msgspec.to_builtins(record)
    weights = fields.pop("value_weights")
    fields["history"] = history_of(record.history)
    return Provenance(
        **fields, value_weights=None if weights is None else WeightSummary(**weights)
    )


def screening_of(record: ScreeningRecord | None, acquisition: Acquisition) -> Screening | None:
    """Return the screening of a record."""
    if record is None:
        return None
    shape = len(record.slabs), len(record.volumes)
    return Screening(
        record.reason,
        np.array(record.volumes, dtype=np.intp),
        acquisition.bvals,
        np.array(record.repeated, dtype=bool),
        np.array(record.slabs, dtype=np.intp).reshape(-1, 2),
        np.array(record.factors, dtype=np.float64).reshape(shape),
        np.array(record.left_out, dtype=bool).reshape(shape),
        np.array(record.shares, dtype=np.float64).reshape(shape),
        np.array(record.n_voxels, dtype=np.intp),
        record.judges_values,
        math.nan if record.sigma is None else record.sigma,
    )


def learned_of(
    record: Mapping[str, LearnedRecord], tables: Mapping[str, PriorTable | ModelPrior]
) -> dict[str, Learned]:
    """Return what method bayes used in each region, with the priors from their files."""
    return {region: Learned(tables[region], one.variance) for region, one in record.items()}


def acquisition_of(record: Acquired) -> Acquisition:
    """Return the acquisition of a record."""
    return Acquisition(**msgspec.to_builtins(record))


def geometry_of(record: Grid, header: bytes) -> Geometry:
    """Return the geometry of a record, with the header of one of its maps."""
    other = parse_header(header).geometry.other_affine if header else None
    return Geometry(
        record.affine,
        voxel_units=record.voxel_units,
        sform_code=record.sform_code,
        qform_code=record.qform_code,
        header=header,
        other_affine=other,
    )


def _tuple(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)


def _as_tuples(record: ReadingRecord) -> dict[str, Any]:
    found = msgspec.structs.asdict(record)
    return {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
