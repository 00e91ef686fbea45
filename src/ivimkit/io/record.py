"""The text side of a saved result: fit.json and the sidecars of its maps."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ivimkit import methods, models, priors
from ivimkit import uncertainty as estimators
from ivimkit.errors import FileFormatError
from ivimkit.extend.derived_maps import describe
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.result import FitResult
from ivimkit.io.nifti_header import MM, parse_header
from ivimkit.io.record_form import checked_form
from ivimkit.io.untrusted_files import reason_of, untrusted
from ivimkit.parameter import Parameter
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.geometry import Geometry
from ivimkit.status import explain

__all__ = [
    "VERSION",
    "from_json",
    "incomplete",
    "plain",
    "read_json",
    "read_result_record",
    "sidecar",
    "status_sidecar",
    "to_json",
    "to_record",
    "write_json",
]

_NOT_UTF8 = re.compile("[\ud800-\udfff]")
VERSION = 1
"""Version of the form of ``fit.json``."""

_KINDS = {list: "a list", str: "a text", bool: "yes or no", int: "a number", float: "a number"}
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def to_record(result: FitResult) -> dict[str, Any]:
    """Return what makes the object again, apart from its arrays."""
    model = result.model
    further = result.acquisition.variables
    return {
        "model": model.name,
        "parameters": [_parameter(parameter) for parameter in model.parameters],
        "fixed_maps": sorted(model.fixed_maps),
        "method": result.method.name,
        "method_options": result.method.options(),
        "acquisition": {
            "bvals": result.acquisition.bvals,
            "bvecs": result.acquisition.bvecs,
            "tolerance": result.acquisition.tolerance,
            "labels": result.acquisition.shell_numbers,
            **({"variables": further} if further else {}),
        },
        "geometry": {
            "affine": result.geometry.affine,
            "affine_units": "mm",
            "voxel_units": result.geometry.voxel_units,
            "sform_code": result.geometry.sform_code,
            "qform_code": result.geometry.qform_code,
        },
        "shape": result.shape,
        "maps": list(result.maps),
        "priors": list(result.priors),
    }


_OF_MODEL = ("plausible", "role", "scale", "typical", "least", "most")
"""Of a parameter, what no fit changes."""


def model_of(record: Mapping[str, Any]) -> SignalModel:
    """Return the model of a record, without fixed maps."""
    known = models.get(record["model"])
    parameters = []
    for values in record["parameters"]:
        name = values["name"]
        own = {**values, "display": tuple(values["display"])}
        of_model = (
            {key: getattr(known[name], key) for key in _OF_MODEL} if name in known.names else {}
        )
        parameters.append(Parameter(**own, **of_model))
    names = tuple(parameter.name for parameter in parameters)
    if names != known.names:
        raise ValueError(
            f"the parameters are {', '.join(names)[:200] or 'none'}; expected those of model "
            f"{known.name}, {', '.join(known.names)}"
        )
    return dataclasses.replace(known, parameters=tuple(parameters))


def _parameter(parameter: Parameter) -> dict[str, Any]:
    """Return what a fit may have changed of a parameter; the rest is the model's."""
    values = dataclasses.asdict(parameter)
    return {key: value for key, value in values.items() if key not in _OF_MODEL}


def method_of(record: Mapping[str, Any], tables: Mapping[str, PriorTable]) -> FitMethod:
    """Return the method of a record, with its options; a prior that was a table is one again."""
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record["method_options"].items()
    }
    if isinstance(options.get("prior"), Mapping) and "table" in options["prior"]:
        # All regions were fitted with the one table that was given.
        options["prior"] = next(iter(tables.values()))
    return methods.get(record["method"], **options)


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options of a fit that name plug-ins, or options of these, that there are not."""
    if options.get("uncertainty") is not None:
        estimators.get(options["uncertainty"], **options.get("uncertainty_options", {}))
    for region in options.get("regions", {}).values():
        # A prior that was given may be of any rule: nothing is made of its name.
        if not region["prior_given"]:
            priors.get(region["prior"], **region["prior_options"])


def acquisition_of(record: Mapping[str, Any]) -> Acquisition:
    """Return the acquisition of a record."""
    known = dict(record["acquisition"])
    return Acquisition(shell_numbers=known.pop("labels", None), **known)


def geometry_of(record: Mapping[str, Any], header: bytes) -> Geometry:
    """Return the geometry of a record, with the header of one of its maps."""
    known = dict(record["geometry"])
    affine = Geometry(known.pop("affine")).affine.copy()
    if known.pop("affine_units", None) is None:
        # Before it was written down, the affine was in the unit of the file.
        affine[:3] *= MM.get(str(known["voxel_units"]), 1.0)
    other = parse_header(header).geometry.other_affine if header else None
    return Geometry(affine, **known, header=header, other_affine=other)


def sidecar(result: FitResult, name: str) -> dict[str, Any]:
    """Describe one map: name, unit, model, method."""
    about = describe(name, result.model.quantities)
    model, method = result.model, result.method
    if name == "ADC" and name not in model.names:
        # The ADC beside another model has a fit of its own.
        model, method = models.get("monoexp"), methods.get("loglinear")
    estimator = _estimator_of(result, name)
    uncertainty = (
        {}
        if estimator is None
        else {
            "Uncertainty": estimator.name,
            "UncertaintyTitle": estimator.title,
            "UncertaintyOptions": estimator.options(),
        }
    )
    prior = _prior_of(result, method)
    further = () if estimator is None else estimator.references
    return {
        "Name": name,
        "Description": about.description,
        "Units": about.unit or "1",
        "Model": model.name,
        "ModelTitle": model.title,
        "Equation": model.equation,
        "Method": method.name,
        "MethodTitle": method.title,
        "MethodOptions": method.options(),
        **uncertainty,
        **({"Prior": prior} if prior else {}),
        "NaN": "no value; the reason is in status.nii.gz",
        "References": list(
            dict.fromkeys(
                [*model.references, *method.references, *further, *_references_of(result, prior)]
            )
        ),
    }


def _estimator_of(result: FitResult, name: str) -> Estimator | None:
    """Return the estimator that a map comes from; None for all other maps."""
    options = result.provenance.options
    if options.get("uncertainty") is None:
        return None
    estimator = estimators.get(options["uncertainty"], **options["uncertainty_options"])
    return estimator if name in estimator.maps(result.model) else None


def _prior_of(result: FitResult, method: FitMethod) -> dict[str, Any]:
    """Return how the priors behind a map came about, by region; nothing for all other maps."""
    if method is not result.method:
        return {}
    return {
        region: {"Rule": table.rule, "About": dict(table.about)}
        for region, table in result.priors.items()
    }


def _references_of(result: FitResult, prior: Mapping[str, Any]) -> list[str]:
    rules = {table.rule for table in result.priors.values()} if prior else set()
    known = sorted(rules.intersection(priors.names()))
    return [reference for rule in known for reference in priors.get(rule).references]


def status_sidecar(result: FitResult) -> dict[str, Any]:
    """Describe the status map: the meaning of every flag."""
    return {
        "Name": "status",
        "Description": "Why a voxel has no value, or what to know about it: a sum of flags",
        "Units": "1",
        "Model": result.model.name,
        "Method": result.method.name,
        "Flags": {
            str(flag): {"Name": name, "Meaning": sentence, "WhatToDo": advice}
            for flag, (name, sentence, advice) in explain(result.model).items()
        },
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write readable JSON; inf and nan, which JSON has not, become words."""
    path.write_text(to_json(content, indent=2) + "\n", encoding="utf-8")


def to_json(content: Mapping[str, Any], indent: int | None = None) -> str:
    """Return JSON; inf and nan, which JSON has not, become words.

    Names of files that are not UTF-8 come back as they are: their odd bytes are escaped.
    """
    text = json.dumps(plain(content), indent=indent, ensure_ascii=False, allow_nan=False)
    return _NOT_UTF8.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def from_json(text: str) -> dict[str, Any]:
    """Return what `to_json` was given, lists in place of tuples and arrays.

    Raises
    ------
    ValueError
        If it is no JSON, or JSON of something else.
    """
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(f"it holds {_kind(content)}")
    return _all_restored(content)


def read_json(path: Path) -> dict[str, Any]:
    """Read JSON that `write_json` wrote.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is damaged.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileFormatError(
            f"there is no {path.name} in {path.parent}; expected the folder of a result that "
            "ivimkit has saved. Check the path, or fit again"
        ) from None
    except (OSError, UnicodeError) as error:
        raise _unreadable(path, reason_of(error)) from None
    with untrusted(lambda why: _unreadable(path, why)):
        found = json.loads(content)
        if not isinstance(found, dict):
            raise FileFormatError(
                f"{path} holds {_kind(found)}; expected the record of a fit. Fit again"
            )
        return _all_restored(found)


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "nothing")


def _all_restored(content: dict[str, Any]) -> dict[str, Any]:
    return {name: _restored(value) for name, value in content.items()}


def _unreadable(path: Path, why: str) -> FileFormatError:
    return FileFormatError(
        f"{path} cannot be read ({why}); expected JSON that ivimkit has written. Fit again"
    )


def read_result_record(path: Path) -> dict[str, Any]:
    """Read ``fit.json``, and check that each field in it is of its kind.

    Raises
    ------
    FileFormatError
        If there is no such file, it is damaged, of another version, or has a field that is
        missing or of another kind; the message names the field.
    """
    content = read_json(path)
    version = content.get("format_version")
    if version != VERSION or isinstance(version, bool):
        raise FileFormatError(
            f"{path} has format version {str(version)[:20]}; expected {VERSION}. Read it with the "
            "ivimkit that wrote it, or fit again"
        )
    with untrusted(lambda why: incomplete(path, why)):
        return checked_form(content)


def incomplete(path: Path, why: str) -> FileFormatError:
    """Return the error for a record that is none of a fit."""
    return FileFormatError(
        f"{path} is not complete ({why}); expected the record of a fit. Fit again"
    )


def plain(value: Any, not_finite: Callable[[float], str | None] = str) -> Any:
    """Return a value as JSON types, all the way down.

    Parameters
    ----------
    value : object
        Mappings, sequences, arrays, numbers, texts.
    not_finite : callable
        What stands for inf and nan, which JSON has not; by default their names.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, not_finite) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist(), not_finite)
    if isinstance(value, list | tuple):
        return [plain(item, not_finite) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return not_finite(value)
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value
