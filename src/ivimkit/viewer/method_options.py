"""Method options: described for the page, and read from its requests."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from ivimkit import methods, organs
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.fitting.result import FitResult
from ivimkit.methods._posterior import PosteriorMethod

__all__ = ["describe_options", "method_of", "number_of", "settled"]

_EXPECTED = {"number": "a number", "choice": "one of {}", "flag": "true or false"}
_ORGAN = "organ "
_PRIORS = ("learned", "flat", *(f"{_ORGAN}{name}" for name in organs.names()))


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


def method_of(name: Any, options: Mapping[str, Any], result: FitResult) -> FitMethod:
    """Return the method requested by the page.

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
        names = ", ".join(methods.names())
        raise OptionError(f"unknown method {repr(name)[:80]}; expected one of {names}")
    described = {option["name"]: option for option in describe_options(name)["options"]}
    for key, value in options.items():
        if key not in described:
            has = f"expected one of {', '.join(described)}" if described else "it has none"
            raise OptionError(f"method {name} has no option {key!r} here; {has}")
        _check(described[key], value)
    given = dict(options)
    if str(given.get("prior", "")).startswith(_ORGAN):
        given["prior"] = {"name": "organ", "organ": given["prior"].removeprefix(_ORGAN)}
    method = methods.get(name, **given)
    return settled(method, result) if isinstance(method, PosteriorMethod) else method


def _check(option: Mapping[str, Any], value: Any) -> None:
    kind, choices = option["kind"], option["choices"]
    number = number_of(value) is not None
    fits = {
        "number": number or (value is None and option["default"] is None),
        "choice": value in choices and not isinstance(value, bool),
        "flag": isinstance(value, bool),
    }[kind]
    if not fits:
        expected = _EXPECTED[kind].format(", ".join(map(str, choices)))
        raise OptionError(f"option {option['name']} is {repr(value)[:80]}; expected {expected}")


def number_of(value: Any) -> float | None:
    """Return a number in a request as a float; None if it is not a usable number.

    Parameters
    ----------
    value : object
        The value from JSON, where an integer with hundreds of digits is a number.

    Examples
    --------
    >>> from ivimkit.viewer.method_options import number_of
    >>> number_of(3), number_of(10**400), number_of(True)
    (3.0, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def settled(method: PosteriorMethod, result: FitResult) -> FitMethod:
    """Return a method with the prior that the result learned from the whole scan.

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
    regions = result.provenance.options.get("regions", {})
    if len(result.priors) != 1 or list(regions) != list(result.priors):
        if trains:
            raise OptionError(
                f"prior {method.options()['prior']} is learned from a whole scan, and the fit by "
                f"{result.method.name} has none for all voxels; expected prior flat, or "
                "that of an organ"
            )
        return method
    region, table = next(iter(result.priors.items()))
    recorded = regions[region]["variance"]
    variance = method.variance
    if variance == "scan":
        variance = recorded if isinstance(recorded, str) else tuple(recorded)
    prior = table if trains else method.prior
    return dataclasses.replace(method, prior=prior, variance=variance)
