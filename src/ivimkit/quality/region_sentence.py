"""Sentences on a result without a lesion: the values of its regions, or of all voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ivimkit.extend.derived_maps import describe
from ivimkit.parameter import Parameter
from ivimkit.quality.map_summary import summary_rows
from ivimkit.quality.region_estimates import RegionEstimate
from ivimkit.rounding import (
    after_number,
    in_unit,
    interval,
    legible_error,
    shown_factor,
    spread,
    thousands,
)

if TYPE_CHECKING:
    from ivimkit.fitting.result import FitResult

__all__ = ["estimate_text", "median_text", "regions_sentence", "voxels_sentence"]

_BASES = {
    "voxels": "medians of the reliable voxels",
    "mean signal": "from the fit of the mean signal, as too few voxels are reliable",
}


def estimate_text(one: RegionEstimate, *others: RegionEstimate) -> str:
    """Write the number of a region with its 95 % limits: ``1.33 (1.30 to 1.37)``.

    Parameters
    ----------
    one : RegionEstimate
        The number.
    *others : RegionEstimate
        Numbers next to it, which must not have more decimal places than the largest deserves.
    """
    found = one.estimate.clipped(one.parameter)
    if not found.known:
        return in_unit(one.parameter, found.value)
    values = (other.estimate.value for other in (one, *others))
    error = legible_error((found.high - found.low) / 4.0, *values)
    value, low, high = (
        in_unit(one.parameter, number, error) for number in (found.value, found.low, found.high)
    )
    return f"{value} ({low} to {high})"


def median_text(parameter: Parameter, row: Mapping[str, Any]) -> str:
    """Write the median of a map with its quartiles: ``1.33 (1.10 to 1.52)``.

    Parameters
    ----------
    parameter : Parameter
        Describes the map.
    row : mapping
        The row of the map in `ivimkit.quality.summary_rows`.
    """
    width, factor = spread(row["q25"], row["q75"]), shown_factor(parameter)
    ends = interval(row["q25"] * factor, row["q75"] * factor)
    return f"{in_unit(parameter, row['median'], width)} ({ends})"


def regions_sentence(found: Sequence[RegionEstimate]) -> str:
    """Describe the values of one region, or the lowest and the highest of several.

    Parameters
    ----------
    found : sequence of RegionEstimate
        Of every region and map, from `ivimkit.quality.region_estimates.region_estimates`.

    Returns
    -------
    str
        Values with 95 % limits, what they rest on, and the maps without a number, with the reason.
    """
    regions = list(dict.fromkeys(one.region for one in found))
    if len(regions) == 1:
        return f"{regions[0]}: {_values(found)}"
    parts = []
    for name in dict.fromkeys(one.map for one in found):
        known = [one for one in found if one.map == name and one.basis != "none"]
        symbol = next(one.parameter.symbol for one in found if one.map == name)
        parts.append(f"{symbol} {_extremes(known)}")
    return f"{len(regions)} regions: {'; '.join(parts)}. Numbers in brackets are 95 % limits."


def voxels_sentence(result: FitResult, maps: Sequence[str]) -> str:
    """Describe the values of all voxels, where no region is known.

    Parameters
    ----------
    result : FitResult
        The fit.
    maps : sequence of str
        Which maps.

    Returns
    -------
    str
        Medians with the quartiles.
    """
    rows = summary_rows(result, maps)
    parts = []
    for name, row in rows.items():
        parameter = describe(name, result.model.quantities)
        parts.append(f"{parameter.symbol} {median_text(parameter, row)}{after_number(parameter)}")
    n = thousands(max(row["n"] for row in rows.values()))
    return (
        f"All {n} voxels together: {', '.join(parts)}; medians, with the quartiles in brackets. "
        "They mix all tissues of the mask: name a region to get the values of one."
    )


def _values(found: Sequence[RegionEstimate]) -> str:
    parts = []
    for basis, words in _BASES.items():
        known = [
            f"{one.parameter.symbol} {estimate_text(one)}{after_number(one.parameter)}"
            for one in found
            if one.basis == basis
        ]
        if known:
            parts.append(f"{', '.join(known)}, with 95 % limits; {words}")
    for why in dict.fromkeys(one.why for one in found if one.why):
        symbols = ", ".join(one.parameter.symbol for one in found if one.why == why)
        parts.append(f"{symbols}: unknown, {why}")
    return f"{'. '.join(parts)}."


def _extremes(known: Sequence[RegionEstimate]) -> str:
    if not known:
        return "unknown, too few voxels are reliable"
    low, high = (choose(known, key=lambda one: one.estimate.value) for choose in (min, max))
    if low is high:
        return f"{estimate_text(low)}{after_number(low.parameter)} in {low.region}, else unknown"
    return (
        f"from {estimate_text(low, high)} in {low.region} to {estimate_text(high)}"
        f"{after_number(high.parameter)} in {high.region}"
    )
