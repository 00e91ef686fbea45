"""Maps that are computed beside the parameters of a model: their names, units and ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ivimkit.errors import OptionError
from ivimkit.parameter import Parameter

__all__ = ["DERIVED", "describe"]

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
    ),
    Parameter(
        "fD_star",
        "f D*",
        "mm^2/s",
        0.0,
        math.inf,
        2e-3,
        (0.0, 10e-3),
        "Product of perfusion fraction and pseudo-diffusion, a surrogate of flow",
    ),
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
        "R^2",
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
        "n_iter",
        "iterations",
        "",
        0.0,
        math.inf,
        0.0,
        description="Number of iterations of the fit",
    ),
)
"""One `Parameter` per derived map; bounds are those of the quantity, not of a fit."""


def describe(name: str, parameters: Sequence[Parameter]) -> Parameter:
    """Return the description of a map, be it a model's parameter or derived.

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
    >>> from ivimkit.derived import describe
    >>> describe("ADC", ()).unit
    'mm^2/s'
    """
    known = {parameter.name: parameter for parameter in (*DERIVED, *parameters)}
    if name not in known:
        raise OptionError(f"there is no map {name!r}; expected one of {', '.join(known)}")
    return known[name]
