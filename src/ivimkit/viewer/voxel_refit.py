"""Another fit of one voxel: another method, other options, bounds or fixed values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ivimkit import models
from ivimkit import uncertainty as estimators
from ivimkit.errors import InputError, OptionError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.fit import fit
from ivimkit.fitting.result import FitResult
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.scan.dwi import DWI
from ivimkit.viewer.method_options import method_of, number_of, settled
from ivimkit.viewer.study import Study
from ivimkit.viewer.voxel_answer import fit_entry, one_voxel

__all__ = ["REFIT_KEYS", "refit_voxel"]

_LONGEST = 80
REFIT_KEYS = ("voxel", "result", "method", "options", "bounds", "fixed", "model")
"""What a request may hold; only the voxel has to be there."""


def refit_voxel(study: Study, request: Mapping[str, Any]) -> dict[str, Any]:
    """Fit one voxel again.

    Parameters
    ----------
    study : Study
        What is looked at.
    request : mapping
        ``voxel`` [x, y, z], and what is to be different from ``result``: ``method`` with
        ``options``, ``model``, ``bounds`` {name: [low, high]}, ``fixed`` {name: value}.

    Returns
    -------
    dict
        As `fit_entry`, with ``id`` and ``name``, and ``notes`` on the acquisition.

    Raises
    ------
    InputError
        For a request that cannot be done, with what the fit says.
    """
    unknown = [key for key in request if key not in REFIT_KEYS]
    if unknown:
        known = ", ".join(REFIT_KEYS)
        raise OptionError(f"unknown {_short(unknown[0])}; expected some of {known}")
    number = study.result(str(request.get("result", "0")))
    old, index = study.results[number], study.index(_whole_numbers(request.get("voxel")))
    model = _model(old, index, request)
    method = _method(old, request)
    alone = one_voxel(study.scan(number), index)
    new = _fitted(old, alone, model, method)
    entry = fit_entry(new, new.at((0,)), int(new.status[0]), alone)
    return {"id": "refit", "name": _name(method, model, request), **entry, "notes": _notes(new)}


def _fitted(old: FitResult, alone: DWI, model: SignalModel, method: FitMethod) -> FitResult:
    """Fit the voxel with all that the old fit was told beside model and method."""
    told = old.provenance.options
    sigma = told.get("sigma")
    return fit(
        alone,
        model=model,
        method=method,
        sigma=sigma if isinstance(sigma, float) else None,
        uncertainty=_estimator(model, method),
        weights=told.get("weights"),
        adc_bvals=told.get("adc_bvals"),
        threads=1,
        device="cpu",
    )


def _method(old: FitResult, request: Mapping[str, Any]) -> FitMethod:
    options = _mapping(request, "options")
    if "method" in request or options:
        return method_of(request.get("method", old.method.name), options, old)
    return settled(old.method, old) if isinstance(old.method, PosteriorMethod) else old.method


def _estimator(model: SignalModel, method: FitMethod) -> Estimator | None:
    """Return the quick estimator, where the method has no intervals of its own."""
    estimator = estimators.get("curvature")
    if set(method.extras(model)) & set(estimator.maps(model)):
        return None
    try:
        estimator.check(model, method)
    except InputError:
        return None
    return estimator


def _model(old: FitResult, index: tuple[int, ...], request: Mapping[str, Any]) -> SignalModel:
    """Return the model of the old fit, at this voxel, or another one, with the changes."""
    name = request.get("model", old.model.name)
    if name == old.model.name:
        # As maps of one voxel: a number would make other tables, and so other roundings.
        here = {key: values[index].reshape(1) for key, values in old.model.fixed_maps.items()}
        model = dataclasses.replace(old.model, fixed_maps=here)
    elif name in models.names():
        model = models.get(name)
    else:
        raise OptionError(f"unknown model {_short(name)}; there are {', '.join(models.names())}")
    bounds = {key: _pair(key, pair) for key, pair in _mapping(request, "bounds").items()}
    fixed = {key: _number(key, value) for key, value in _mapping(request, "fixed").items()}
    for key in (*bounds, *fixed):
        model.index(key)
    return model.with_bounds(**bounds).with_fixed(**fixed)


def _mapping(request: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = request.get(key, {})
    if not isinstance(value, dict):
        raise OptionError(f"{key} is {_short(value)}; expected names with their values")
    return value


def _whole_numbers(value: Any) -> Sequence[int]:
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise OptionError(f"voxel is {_short(value)}; expected three whole numbers [x, y, z]")
    return value


def _number(name: str, value: Any) -> float:
    found = number_of(value)
    if found is None:
        raise OptionError(f"{name} is {_short(value)}; expected a number")
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _pair(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise OptionError(f"the bounds of {name} are {_short(value)}; expected [low, high]")
    low, high = value
    # An upper bound that is not there is infinite, which JSON has no number for.
    return _number(name, low), math.inf if high is None else _number(name, high)


def _name(method: FitMethod, model: SignalModel, request: Mapping[str, Any]) -> str:
    """Say what is different from the saved fit."""
    options = _mapping(request, "options")
    words = []
    for key, value in options.items():
        number = number_of(value)
        words.append(f"{key}={value}" if number is None else f"{key}={number:g}")
    words += [f"{key} fixed to {value:g}" for key, value in _mapping(request, "fixed").items()]
    for key in _mapping(request, "bounds"):
        words.append(f"{key} in {model[key].lower:g} to {model[key].upper:g}")
    if "model" in request:
        words.insert(0, model.name)
    return f"{method.name} ({', '.join(words)})" if words else method.name


def _notes(new: FitResult) -> list[str]:
    """Return what is to be said of the acquisition for this model."""
    return new.model.advice(new.acquisition)
