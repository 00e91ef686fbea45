"""Maps in addition to the parameters of a model: their names, units and ranges."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from ivimkit.errors import OptionError
from ivimkit.parameter import Parameter

__all__ = ["DERIVED", "FLOW", "SUFFIXES", "describe", "is_about_another"]

FLOW = Parameter(
    "fD_star",
    "f D*",
    "mm^2/s",
    0.0,
    math.inf,
    2e-3,
    (0.0, 10e-3),
    "Product of perfusion fraction and pseudo-diffusion, a surrogate of flow",
    role="perfusion",
)
"""The product of f and D* of a model that has both."""

DERIVED = (
    Parameter(
        "ADC",
        "ADC",
        "mm^2/s",
        0.0,
        math.inf,
        1e-3,
        (0.0, 3e-3),
        "Apparent diffusion coefficient over all b-values",
        role="diffusion",
    ),
    FLOW,
    Parameter(
        "rmse",
        "RMSE",
        "a.u.",
        0.0,
        math.inf,
        0.0,
        description="Root of the mean squared residual, in the unit of the signal",
    ),
    Parameter(
        "r2",
        "R²",
        "",
        -math.inf,
        1.0,
        1.0,
        (0.5, 1.0),
        "Coefficient of determination",
    ),
    Parameter(
        "cost",
        "cost",
        "a.u.^2",
        0.0,
        math.inf,
        0.0,
        description="Weighted sum of squared residuals",
    ),
    Parameter(
        "ln_evidence",
        "ln evidence",
        "",
        -math.inf,
        math.inf,
        0.0,
        description="Logarithm of the marginal likelihood of the model, S0 flat",
    ),
    Parameter(
        "accuracy",
        "accuracy",
        "sd",
        0.0,
        math.inf,
        0.03,
        (0.0, 0.1),
        "Error of the integration of the posterior, at most, in standard deviations",
    ),
    Parameter(
        "n_iter",
        "iterations",
        "",
        0.0,
        math.inf,
        0.0,
        description="Number of iterations of the fit",
    ),
    Parameter(
        "sigma",
        "sigma",
        "a.u.",
        0.0,
        math.inf,
        0.0,
        description="Noise of one volume, per channel, that the fit was given or found",
    ),
    Parameter(
        "n_peaks",
        "peaks",
        "",
        0.0,
        math.inf,
        0.0,
        (0.0, 5.0),
        "Number of peaks of the spectrum, of 1 % of it or more",
    ),
    Parameter(
        "spectrum_rmse",
        "RMSE of the spectrum",
        "a.u.",
        0.0,
        math.inf,
        0.0,
        description="Root of the mean squared residual of the spectrum, in the unit of the signal",
    ),
    Parameter(
        "local_weight",
        "local weight",
        "",
        0.0,
        1.0,
        1.0,
        (0.0, 1.0),
        "Share of the posterior that comes from the population of the voxels around",
    ),
    Parameter(
        "n_neighbours",
        "neighbours",
        "",
        0.0,
        math.inf,
        0.0,
        description="Effective number of neighbours that the prior of a voxel was learned from",
    ),
    Parameter(
        "n_left_out",
        "left out",
        "",
        0.0,
        math.inf,
        0.0,
        description="Number of volumes that were left out of the voxel, because they or its value "
        "in them do not belong to the scan",
    ),
)
"""One `Parameter` per derived map; bounds are those of the quantity, not of a fit."""

SUFFIXES = {
    "_sd": "standard deviation of",
    "_lo": "lower limit of the 95 % interval of",
    "_hi": "upper limit of the 95 % interval of",
    "_lo50": "lower limit of the 50 % interval of",
    "_hi50": "upper limit of the 50 % interval of",
    "_bits": "information that the data gave, beyond the prior, on",
    "_width": "standard deviation, in the spectrum, of the logarithm of",
    "_flow": "fraction of the compartment times",
}
"""Meaning of a map whose name is that of a quantity with one of these endings."""

# Units of the maps that do not have that of their quantity, and those that are 0 or more.
_UNITS = {"_bits": "bit", "_width": ""}
_NOT_NEGATIVE = ("_sd", "_bits", "_width", "_flow")

_CORRELATION = "corr_"


def _uncertainty(name: str, known: dict[str, Parameter]) -> Parameter | None:
    """Return the description of a map of the uncertainty of another one; None for other maps."""
    for suffix, what in SUFFIXES.items():
        about = known.get(name.removesuffix(suffix))
        if name.endswith(suffix) and about is not None:
            text = f"{what} {about.name}"
            return replace(
                about,
                name=name,
                symbol=f"{about.symbol} {suffix[1:]}",
                unit=_UNITS.get(suffix, about.unit),
                lower=0.0 if suffix in _NOT_NEGATIVE else -math.inf,
                upper=math.inf,
                start=0.0,
                display=_range_of(suffix, about),
                role="other",
                description=text[0].upper() + text[1:],
            )
    pair = name.removeprefix(_CORRELATION)
    for first, one in known.items():
        second = known.get(pair.removeprefix(f"{first}_"))
        if name.startswith(_CORRELATION) and pair.startswith(f"{first}_") and second is not None:
            symbol = f"corr({one.symbol}, {second.symbol})"
            text = f"Correlation of the errors of {one.name} and {second.name}"
            return Parameter(name, symbol, "", -1.0, 1.0, 0.0, (-1.0, 1.0), text)
    return None


def _range_of(suffix: str, about: Parameter) -> tuple[float, float]:
    """Return the display range: that of the quantity for limits, a quarter of it for an sd."""
    if suffix in ("_bits", "_width"):
        return (0.0, 6.0 if suffix == "_bits" else 1.0)
    low, high = about.display
    return (0.0, 0.25 * (high - low)) if suffix in ("_sd", "_flow") else (low, high)


def describe(name: str, parameters: Sequence[Parameter]) -> Parameter:
    """Return the description of a map, a parameter of a model or a derived one.

    Parameters
    ----------
    name : str
        Name of the map.
    parameters : sequence of Parameter
        The parameters of the fitted model.

    Returns
    -------
    Parameter

    Raises
    ------
    OptionError
        If there is no such map; the message lists those there are.

    Examples
    --------
    >>> from ivimkit.extend.derived_maps import describe
    >>> describe("ADC", ()).unit
    'mm^2/s'
    """
    known = {parameter.name: parameter for parameter in (*DERIVED, *parameters)}
    if name not in known:
        found = _uncertainty(name, known)
        if found is not None:
            return found
        raise OptionError(f"there is no map {name!r}; expected one of {', '.join(known)}")
    return known[name]


def is_about_another(name: str, names: Collection[str]) -> bool:
    """Return whether a map is the uncertainty or correlation of other maps.

    Parameters
    ----------
    name : str
        Name of the map.
    names : collection of str
        Names of all maps.

    Examples
    --------
    >>> from ivimkit.extend.derived_maps import is_about_another
    >>> [is_about_another(name, ["D", "D_sd"]) for name in ("D", "D_sd")]
    [False, True]
    """
    of_one = any(name.endswith(end) and name.removesuffix(end) in names for end in SUFFIXES)
    return of_one or name.startswith(_CORRELATION)
