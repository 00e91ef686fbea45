"""The sidecars of the maps of a result: content, unit and fit of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ivimkit import priors
from ivimkit.extend.derived_maps import describe
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.fitting.adc import ADC
from ivimkit.fitting.result import FitResult
from ivimkit.parameter import RATE_UNIT
from ivimkit.scan.variables import B, variable_of
from ivimkit.status import explain

__all__ = ["sidecar", "spectrum_sidecar", "status_sidecar"]


def sidecar(result: FitResult, name: str) -> dict[str, Any]:
    """Describe one map: name, unit, model, method, settings of the acquisition."""
    about = describe(name, result.model.quantities)
    model, method = result.model, result.method
    if name == "ADC" and name not in model.names:
        # The ADC in addition to another model has a separate fit.
        model, method = ADC.model, ADC.method
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
        "Acquisition": _acquisition(result, is_adc_alone=model is not result.model),
        "NaN": "no value; the reason is in status.nii.gz",
        "References": list(
            dict.fromkeys(
                [*model.references, *method.references, *further, *_references_of(result, prior)]
            )
        ),
    }


def _acquisition(result: FitResult, *, is_adc_alone: bool) -> dict[str, Any]:
    """Return the settings behind a map, like ``{"b": 800.0, "echo_time": 75.0, "Volumes": 3}``.

    One for each b-value and value of the other variables; `Directions` is the number of distinct
    ones, if they are known. An ADC in addition to a model of further variables is that of the
    series with the most values, see `ivimkit.fitting.fit.adc_weight`.
    """
    acquisition, settings = result.acquisition, result.settings
    shells = acquisition.shells
    numbers: Sequence[int] = range(len(shells))
    if is_adc_alone and acquisition.varying_for(result.model.variables):
        number = acquisition.longest_series(averaged=settings.average != "none")
        numbers = acquisition.series[number].members
    chosen = settings.adc_bvals if is_adc_alone else None
    units = {name: variable_of(name).unit for name in (B.name, *acquisition.variables)}
    return {
        "Units": {name: unit for name, unit in units.items() if unit},
        "Settings": [
            {
                B.name: shell.b,
                **shell.variables,
                "Volumes": shell.count,
                **({} if shell.n_directions is None else {"Directions": shell.n_directions}),
            }
            for shell in (shells[k] for k in numbers)
        ],
        **({} if chosen is None else {"BValuesOfADC": list(chosen)}),
    }


def _estimator_of(result: FitResult, name: str) -> Estimator | None:
    """Return the estimator that a map comes from; None for all other maps."""
    estimator = result.settings.estimator
    return estimator if estimator is not None and name in estimator.maps(result.model) else None


def _prior_of(result: FitResult, method: FitMethod) -> dict[str, Any]:
    """Return the origin of the priors behind a map, by region; empty for all other maps."""
    if method is not result.method:
        return {}
    # The Gaussians themselves are in prior.npz and fit.json: once is enough.
    return {
        region: {
            "Rule": table.rule,
            "About": {key: value for key, value in table.about.items() if key != "mixture"},
        }
        for region, table in result.priors.items()
    }


def _references_of(result: FitResult, prior: Mapping[str, Any]) -> list[str]:
    rules = {table.rule for table in result.priors.values()} if prior else set()
    known = sorted(rules.intersection(priors.names()))
    return [reference for rule in known for reference in priors.get(rule).references]


def spectrum_sidecar(result: FitResult) -> dict[str, Any]:
    """Describe the spectra of all voxels: the rate of each volume, and the windows."""
    first = tuple(0 for _ in result.shape)
    spectrum = result.spectrum(first)
    return {
        **sidecar(result, "S0"),
        "Name": "spectrum",
        "Description": "Signal at b = 0 of each rate, a volume per rate",
        "Rates": spectrum.rates.tolist(),
        "RateUnits": RATE_UNIT,
        "Windows": {one.name: [one.low, one.high] for one in spectrum.windows},
    }


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
