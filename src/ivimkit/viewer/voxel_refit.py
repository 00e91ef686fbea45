"""Voxel refit: one voxel with another method, other options, bounds or fixed values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
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
from ivimkit.viewer.method_options import method_of, settled
from ivimkit.viewer.request_form import RefitRequest, checked
from ivimkit.viewer.study import Study
from ivimkit.viewer.voxel_answer import fit_entry, one_voxel

__all__ = ["refit_voxel"]

_LONGEST = 80
"""Characters of a name that a message repeats."""


def refit_voxel(study: Study, request: Mapping[str, Any]) -> dict[str, Any]:
    """Fit one voxel again.

    Parameters
    ----------
    study : Study
        The study.
    request : mapping
        What JSON gave, see `RefitRequest`.

    Returns
    -------
    dict
        As `fit_entry`, with ``id`` and ``name``, and ``notes`` on the acquisition.

    Raises
    ------
    InputError
        For an invalid request, with the message of the fit.
    """
    asked = checked(request, RefitRequest)
    number = study.result(asked.result)
    old, index = study.results[number], study.index(asked.voxel)
    model = _model(old, index, asked)
    # A voxel alone cannot be screened: it keeps the weights that it had in the fit.
    method = _method(old, asked).without_screen()
    alone = one_voxel(study.scan(number), index)
    # Before anything asks the method about a model that it does not take.
    method.check(model, alone.fit_acquisition)
    new = _fitted(old, alone, model, method)
    entry = fit_entry(new, new.at((0,)), int(new.status[0]), alone)
    return {"id": "refit", "name": _name(method, model, asked), **entry, "notes": _notes(new)}


def _fitted(old: FitResult, alone: DWI, model: SignalModel, method: FitMethod) -> FitResult:
    """Fit the voxel with the settings of the old fit, except model and method."""
    told = old.settings
    return fit(
        alone,
        model=model,
        method=method,
        sigma=None if told.sigma == "map" else told.sigma,
        uncertainty=_estimator(model, method),
        adc_bvals=told.adc_bvals,
        threads=1,
        device="cpu",
    )


def _method(old: FitResult, asked: RefitRequest) -> FitMethod:
    if asked.method is not None or asked.options:
        return method_of(asked.method or old.method.name, asked.options, old)
    return settled(old.method, old) if isinstance(old.method, PosteriorMethod) else old.method


def _estimator(model: SignalModel, method: FitMethod) -> Estimator | None:
    """Return the quick estimator, if the method has no intervals."""
    estimator = estimators.get("curvature")
    if set(method.extras(model)) & set(estimator.maps(model)):
        return None
    try:
        estimator.check(model, method)
    except InputError:
        return None
    return estimator


def _model(old: FitResult, index: tuple[int, ...], asked: RefitRequest) -> SignalModel:
    """Return the model of the old fit, at this voxel, or another one, with the changes."""
    if asked.model in (None, old.model.name):
        # As maps of one voxel: a number would make other tables, and so other roundings.
        here = {key: values[index].reshape(1) for key, values in old.model.fixed_maps.items()}
        model = dataclasses.replace(old.model, fixed_maps=here)
    elif asked.model in models.names():
        model = models.get(asked.model)
    else:
        known = ", ".join(models.names())
        raise OptionError(f"unknown model {asked.model[:_LONGEST]!r}; there are {known}")
    # An upper bound that is not there is infinite, which JSON has no number for.
    bounds = {
        key: (float(low), math.inf if high is None else float(high))
        for key, (low, high) in asked.bounds.items()
    }
    for key in (*bounds, *asked.fixed):
        model.index(key)
    return model.with_bounds(**bounds).with_fixed(**asked.fixed)


def _name(method: FitMethod, model: SignalModel, asked: RefitRequest) -> str:
    """Say what is different from the saved fit."""
    words = [f"{key}={_word(value)}" for key, value in asked.options.items()]
    words += [f"{key} fixed to {value:g}" for key, value in asked.fixed.items()]
    for key in asked.bounds:
        words.append(f"{key} in {model[key].lower:g} to {model[key].upper:g}")
    if asked.model is not None:
        words.insert(0, model.name)
    return f"{method.name} ({', '.join(words)})" if words else method.name


def _word(value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if number else str(value)


def _notes(new: FitResult) -> list[str]:
    """Return what is to be said of the acquisition for this model."""
    return new.model.advice(new.acquisition)
