"""Which models are compared on a scan, on which data, and why others are left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ivimkit import models as registry
from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.extend.b_value_advice import n_distinct_settings
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.identifiability import require_identifiable
from ivimkit.parameter import Parameter
from ivimkit.scan.dwi import DWI
from ivimkit.scan.variables import DIRECTION

__all__ = [
    "ALL",
    "Supported",
    "asked_models",
    "diffusion_of",
    "supported_models",
    "values_needed",
]

ALL = "all"
"""Instead of a list of models: all that are registered."""

_DIRECTIONS = {axis.name for axis in DIRECTION}


@dataclass(frozen=True)
class Supported:
    """The models that a scan supports.

    Parameters
    ----------
    models : list of SignalModel
        Two or more.
    left_out : dict of str to str
        Names of the others, and why.
    dwi : DWI
        The scan as all of them are fitted: if one of them depends on the directions of the
        gradients, with a value for each direction for all of them.
    """

    models: list[SignalModel]
    left_out: dict[str, str]
    dwi: DWI


def asked_models(models: str | Sequence[str | SignalModel], criterion: str) -> list[SignalModel]:
    """Return the models; for the evidence, with the same prior for the rate they share.

    Parameters
    ----------
    models : sequence of str or SignalModel, or "all"
        All means all that are registered, the simplest first.
    criterion : str
        The criterion.

    Raises
    ------
    OptionError
        For fewer than two models, an unknown one, or one that is given twice.
    """
    if isinstance(models, str) and models == ALL:
        every = [registry.get(name) for name in registry.names()]
        models = [model.name for model in sorted(every, key=lambda model: model.n_free)]
    if isinstance(models, str | SignalModel) or len(models) < 2:
        raise OptionError(
            f"models is {models!r}; expected two or more, like ('monoexp', 'biexp'), or "
            f"{ALL!r}. There are {', '.join(registry.names())}"
        )
    found = [registry.get(model) for model in models]
    names = [model.name for model in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise OptionError(f"model {twice[0]} is given twice; expected it once. Leave one out")
    if criterion != "evidence":
        return found
    slow = [diffusion_of(model) for model in found]
    rates = [rate for rate in slow if rate is not None]
    low, high = max(r.lower for r in rates), min(r.upper for r in rates)
    for i, (given, rate) in enumerate(zip(models, slow, strict=True)):
        if isinstance(given, str) and rate is not None:
            found[i] = found[i].with_bounds(**{rate.name: (low, high)})
    return found


def supported_models(
    models: Sequence[SignalModel],
    method: FitMethod,
    dwi: DWI,
    criterion: str,
    *,
    is_noise_known: bool,
    is_choice_free: bool,
) -> Supported:
    """Return the models that a scan supports, and the scan as it is fitted.

    A criterion compares fits of the same values. Volumes are averaged over the directions of the
    gradients unless a model depends on these; where one does, each model is fitted to the values
    of single directions. All other variables keep values apart for every model.

    Parameters
    ----------
    models : sequence of SignalModel
        The models asked for.
    method : FitMethod
        The method.
    dwi : DWI
        The scan.
    criterion : str
        The criterion.
    is_noise_known : bool
        Whether sigma is given.
    is_choice_free : bool
        Whether models that the criterion cannot compare are left out; otherwise they are an
        error.

    Raises
    ------
    AcquisitionError
        If fewer than two are left.
    OptionError
        If the models asked for are not nested, for an F-test.
    """
    left_out: dict[str, str] = {}
    used = []
    for model in models:
        try:
            reason = _unsupported(model, method, dwi, criterion, is_noise_known)
        except OptionError as error:
            if not is_choice_free:
                raise
            reason = str(error)
        if reason:
            left_out[model.name] = reason
        else:
            used.append(model)
    if criterion == "f_test":
        used = _nested(used, left_out) if is_choice_free else used
        _check_nested(used)
    if len(used) < 2:
        listed = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise AcquisitionError(
            f"the b-values are sufficient for {len(used)} of {len(models)} models ({listed}); "
            "expected at least two to compare. Use simpler models, or give sigma"
        )
    directions = [name for model in used for name in model.variables if name in _DIRECTIONS]
    return Supported(used, left_out, dwi.for_variables(("b", *dict.fromkeys(directions))))


def diffusion_of(model: SignalModel) -> Parameter | None:
    """Return the parameter of the diffusion of tissue, the rate that models share."""
    reference = model.compartments[-1].parameters if model.compartments else ()
    names = [parameter.name for parameter in reference if parameter.role == "diffusion"]
    return model[names[0]] if names else None


def _unsupported(
    model: SignalModel, method: FitMethod, dwi: DWI, criterion: str, is_noise_known: bool
) -> str | None:
    """Say why a scan does not support a model; None if it does."""
    reason = _too_few(model, dwi, criterion, is_noise_known)
    try:
        method.check(model, dwi.fit_acquisition)
    except AcquisitionError as error:
        return reason or str(error)
    return reason


def values_needed(model: SignalModel, criterion: str) -> int:
    """Return the number of values that a criterion needs where the noise is not known."""
    return model.n_free + (3 if criterion == "aicc" else 1)


def _too_few(model: SignalModel, dwi: DWI, criterion: str, known: bool) -> str | None:
    """Say why the b-values are not sufficient for a model; None if they are."""
    try:
        dwi = dwi.for_variables(model.variables)
        acquisition = dwi.fit_acquisition
        distinct = n_distinct_settings(model, acquisition)
        if distinct < max(model.n_free, 2):
            what = "b-values" if model.variables == ("b",) else "settings"
            return f"{distinct} distinct {what} are too few for its {model.n_free} free parameters"
        require_identifiable(model, acquisition)
    except AcquisitionError as error:
        return str(error)
    if known or criterion == "evidence":
        return None
    n = int(np.count_nonzero(dwi.fit_counts))
    needed = values_needed(model, criterion)
    if n >= needed:
        return None
    return (
        f"{n} values leave no room for criterion {criterion} with its {model.n_free} free "
        f"parameters and an unknown noise, which needs {needed}; give sigma"
    )


def _nested(models: Sequence[SignalModel], left_out: dict[str, str]) -> list[SignalModel]:
    """Return a chain of nested models, from the simplest on; add the others to those left out."""
    chain: list[SignalModel] = []
    for model in sorted(models, key=lambda model: model.n_free):
        if not chain or _is_special_case(chain[-1], model):
            chain.append(model)
        else:
            left_out[model.name] = f"model {chain[-1].name} is not a special case of it"
    return chain


def _check_nested(models: Sequence[SignalModel]) -> None:
    """Raise unless each model is a special case of the next richer one."""
    order = sorted(models, key=lambda model: model.n_free)
    for small, large in pairwise(order):
        if not _is_special_case(small, large):
            chain = max((small, large), key=lambda model: len(model.special_cases))
            nested = ", ".join([*reversed(list(chain.special_cases)), chain.name])
            raise OptionError(
                f"models {small.name} and {large.name} are not nested, as an F-test needs; "
                f"expected some of {nested}. Use criterion aicc"
            )


def _is_special_case(small: SignalModel, large: SignalModel) -> bool:
    """Return whether a model is a richer one with some of its parameters fixed."""
    values = large.special_cases.get(small.name)
    return (
        values is not None
        and small.n_free < large.n_free
        and all(_reaches(large, name, value) for name, value in values.items())
    )


def _reaches(model: SignalModel, name: str, value: float) -> bool:
    """Return whether a parameter can have a value, or is free to approach it if it is a limit."""
    parameter = model[name]
    if name in model.fixed_maps:
        return bool(np.all(model.fixed_maps[name] == value))
    if parameter.fixed:
        return parameter.lower == value
    return math.isinf(value) or parameter.lower <= value <= parameter.upper
