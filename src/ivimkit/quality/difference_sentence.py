"""The sentence on the difference of two results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ivimkit.extend.derived_maps import describe
from ivimkit.parameter import Parameter
from ivimkit.quality.difference import Difference
from ivimkit.rounding import after_number, in_unit, legible_error, thousands

__all__ = ["difference_sentence", "mean_difference"]


def difference_sentence(found: Difference, maps: Sequence[str] | None = None) -> str:
    """Describe the difference of two results in words.

    Parameters
    ----------
    found : Difference
        Their difference.
    maps : sequence of str, optional
        Which maps, of those that were compared; by default all.

    Returns
    -------
    str
        Mean difference of each map with the limits of agreement, which contain 95 % of the voxels.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.quality.difference_sentence import difference_sentence
    >>> result = ik.fit(ik.simulate.phantom(shape=(32, 24, 1)).dwi)
    >>> found = ik.quality.difference(result, result, ("first", "second"))
    >>> difference_sentence(found, ["D"])
    'second minus first: D the same in all 330 voxels.'
    """
    parameters = (*found.first.model.quantities, *found.second.model.quantities)
    parts = []
    for name in found.rows if maps is None else maps:
        row, parameter = found.rows[name], describe(name, parameters)
        sd = float(row["sd"])
        if row["difference"] == 0.0 and not sd > 0.0:
            parts.append(f"{parameter.symbol} the same in all {thousands(row['n'])} voxels")
            continue
        value = mean_difference(parameter, row)
        low, high = (in_unit(parameter, float(row[key]), sd) for key in ("lower", "upper"))
        sign = "" if value.startswith("−") else "+"
        parts.append(
            f"{parameter.symbol} {sign}{value} ({low} to {high}){after_number(parameter)}"
        )
    agreement = any("(" in part for part in parts)
    about = "; in brackets the limits of agreement, which contain 95 % of the voxels"
    first, second = found.names
    return f"{second} minus {first}: {', '.join(parts)}{about if agreement else ''}."


def mean_difference(parameter: Parameter, row: Mapping[str, Any]) -> str:
    """Write the mean difference of a map to the precision of its standard error."""
    value, sd, n = (float(row[key]) for key in ("difference", "sd", "n"))
    return in_unit(parameter, value, legible_error(sd / math.sqrt(max(n, 1.0)), value))
