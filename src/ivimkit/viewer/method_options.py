"""Method options: described for the page, and read from its requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ivimkit import methods, organs
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior import ChoosingPrior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.fitting.result import FitResult
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.methods._spectral import SpectralMethod
from ivimkit.viewer.request_form import Number, checked

__all__ = ["describe_options", "method_of", "settled"]

_ORGAN = "organ "
_PRIORS = ("auto", "learned", "flat", *(f"{_ORGAN}{name}" for name in organs.names()))


def describe_options(name: str) -> dict[str, Any]:
    """Return name, title and options of a method, with kind, default and choices of each.

    Parameters
    ----------
    name : str
        Name of the method.

    Returns
    -------
    dict
        An option is a ``number``, a ``choice`` or a ``flag``. Other kinds, such as the
        distribution of a variance, are left out.
    """
    method = methods.get(name)
    options = [_option(method, field) for field in dataclasses.fields(method)]
    return {
        "name": name,
        "title": method.title,
        "options": [option for option in options if option is not None],
    }


def _option(method: FitMethod, field: dataclasses.Field[Any]) -> dict[str, Any] | None:
    default = getattr(method, field.name)
    choices = field.metadata.get("choices", ())
    if isinstance(method, PosteriorMethod) and field.name == "prior":
        choices = _PRIORS
    if choices:
        kind = "choice"
    elif isinstance(default, bool):
        kind = "flag"
    elif default is None or isinstance(default, int | float):
        kind = "number"
    else:
        return None
    return {"name": field.name, "kind": kind, "default": default, "choices": list(choices)}


def method_of(name: str, options: Mapping[str, Any], result: FitResult) -> FitMethod:
    """Return the method that the page asks for.

    Parameters
    ----------
    name : str
        Name of the method.
    options : mapping
        Its options; those not given keep their defaults.
    result : FitResult
        The result to refit: a prior learned from the whole scan is reused, because nothing can be
        learned from one voxel.

    Returns
    -------
    FitMethod

    Raises
    ------
    OptionError
        For an unknown method or option, or a value of the wrong kind.
    """
    if name not in methods.names():
        there = ", ".join(methods.names())
        raise OptionError(f"unknown method {repr(name)[:80]}; there are {there}")
    known = {option["name"]: _kind(option) for option in describe_options(name)["options"]}
    for key in options:
        if key not in known:
            has = f"expected one of {', '.join(known)}" if known else "it has none"
            raise OptionError(f"method {name} has no option {key!r} here; {has}")
    # An option that is not given has the default of the method, not null.
    form = msgspec.defstruct(
        "Options", [(key, kind | msgspec.UnsetType, msgspec.UNSET) for key, kind in known.items()]
    )
    given = msgspec.to_builtins(checked(options, form, f"the options of method {name}"))
    if str(given.get("prior", "")).startswith(_ORGAN):
        given["prior"] = {"name": "organ", "organ": given["prior"].removeprefix(_ORGAN)}
    if isinstance(result.method, SpectralMethod) and name == result.method.name:
        # That of the whole scan: in single voxels the rules scatter by orders of magnitude.
        given.setdefault("order", result.method.order)
        if given["order"] == result.method.order:
            given["regularisation"] = result.method.regularisation
    method = methods.get(name, **given)
    return settled(method, result) if isinstance(method, PosteriorMethod) else method


def _kind(option: Mapping[str, Any]) -> Any:
    """Return the type of the values that an option takes."""
    kind: Any = {"number": Number, "flag": bool, "choice": Literal[tuple(option["choices"])]}[
        option["kind"]
    ]
    return kind | None if option["default"] is None else kind


def settled(method: PosteriorMethod, result: FitResult) -> FitMethod:
    """Return a method with the prior that the result learned from the whole scan.

    Prior auto takes one for a single voxel, if the result has none.

    Parameters
    ----------
    method : PosteriorMethod
        The method.
    result : FitResult
        A fit of the whole scan.

    Returns
    -------
    FitMethod

    Raises
    ------
    OptionError
        If the method needs a prior that the result does not have.
    """
    rule = method.rule
    if not method.learns:
        return method
    trains = rule is not None and rule.trains
    if len(result.learned) != 1:
        if isinstance(rule, ChoosingPrior):
            organ = result.settings.organ if rule.organ is None else rule.organ
            return dataclasses.replace(method, prior=dataclasses.replace(rule, organ=organ).fixed)
        if trains:
            raise OptionError(
                f"prior {method.options()['prior']} is learned from a whole scan, and the fit by "
                f"{result.method.name} has none for all voxels; expected prior flat, or "
                "that of an organ"
            )
        return method
    (learned,) = result.learned.values()
    variance = learned.variance if method.variance == "scan" else method.variance
    prior = learned.prior if trains else method.prior
    if isinstance(prior, PriorTable | ModelPrior):
        prior = prior.alone()
    # A single voxel is no image in which the noise of the floor could be measured.
    floor = method.floor
    if method.wants_floor and isinstance(result.method, PosteriorMethod):
        floor = result.method.floor
    return dataclasses.replace(method, prior=prior, variance=variance, floor=floor)
