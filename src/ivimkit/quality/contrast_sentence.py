"""The sentence on the result of a comparison of two regions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.parameter import Parameter
from ivimkit.quality.normal_quantile import NORMAL_975
from ivimkit.rounding import after_number, in_unit, legible_error, shown_unit, thousands
from ivimkit.rounding import limits as limits_in_unit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEGREES", "sentence"]

DEGREES = ((10.0, "slightly "), (25.0, ""), (math.inf, "clearly "))
"""Word for a difference, by the upper limit in per cent of the reference."""

_MAX_PERCENT = 999.0


def sentence(
    comparison: pd.DataFrame,
    *,
    reference: str = "the surrounding tissue",
    maps: Sequence[str] | None = None,
    words: bool = False,
    limits: bool = False,
) -> str:
    """Describe the result of `compare_regions` in words.

    Parameters
    ----------
    comparison : pandas.DataFrame
        What `compare_regions` returned.
    reference : str
        What the lesion was compared with.
    maps : sequence of str, optional
        Which maps, in this order; by default ADC, D, f, D*, f D*, then others, of those compared.
    words : bool
        Whether to grade the differences: ``slightly`` up to 10 % of the reference, ``clearly``
        above 25 %, and no word in between.
    limits : bool
        Whether to give the 95 % limits of the differences that were found, too.

    Returns
    -------
    str
        Maps that differ, with both values and the difference in per cent of the reference; those
        without a difference, with the 95 % limits of the difference; and those without a verdict,
        with the reason.

    Raises
    ------
    OptionError
        If a map was not compared.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(64, 48, 2))
    >>> lesion, liver = made.region("lesion"), made.region("liver")
    >>> table = ik.quality.compare_regions(ik.fit(made.dwi), lesion, liver)
    >>> ik.quality.sentence(table, reference="the liver", maps=["ADC"])
    'ADC 1.40 against 1.53 ·10⁻³ mm²/s (8 % lower), compared with the liver'
    >>> ik.quality.sentence(table, reference="the liver", maps=["ADC"], words=True)
    'ADC 1.40 against 1.53 ·10⁻³ mm²/s (slightly lower, 8 %), compared with the liver'
    >>> ik.quality.sentence(table, maps=["ADC"], limits=True)[:74]
    'ADC 1.40 against 1.53 ·10⁻³ mm²/s (8 % lower; 95 % limits −10 % to −6 %), '
    """
    rows: dict[str, Any] = {str(name): row for name, row in comparison.iterrows()}
    usual = [name for name in models.shown_maps() if name in rows]
    wanted = [*usual, *(name for name in rows if name not in usual)] if maps is None else maps
    missing = [name for name in wanted if name not in rows]
    if missing or not wanted:
        raise OptionError(
            f"map {missing[0] if missing else '(none)'} was not compared; expected some of "
            f"{', '.join(rows)}. Compare it, too"
        )
    differing, others = [], []
    for name in wanted:
        row, parameter = rows[name], _parameter(name, rows[name])
        if row["verdict"] in ("lower", "higher"):
            differing.append(_difference(parameter, row, words, limits))
        elif row["verdict"] == "no difference":
            others.append(f"{parameter.symbol}: no difference found ({_limits(parameter, row)})")
        else:
            others.append(f"{parameter.symbol}: unknown, {row['why']}")
    if differing:
        return "; ".join([f"{', '.join(differing)}, compared with {reference}", *others])
    return f"compared with {reference}, {'; '.join(others)}"


def _difference(parameter: Parameter, row: Any, words: bool, with_limits: bool) -> str:
    lesion, reference = float(row["lesion_value"]), float(row["reference_value"])
    low, high = float(row["value_difference_lo"]), float(row["value_difference_hi"])
    error = legible_error((high - low) / (2 * NORMAL_975), lesion, reference)
    both = " against ".join(in_unit(parameter, value, error) for value in (lesion, reference))
    notes = [_direction(row, reference, words)]
    notes += [_interval(parameter, row)] if with_limits else []
    notes += ["fit of the mean signal"] if row["basis"] == "mean signal" else []
    return f"{parameter.symbol} {both}{after_number(parameter)} ({'; '.join(notes)})"


def _direction(row: Any, reference: float, words: bool) -> str:
    word, size = str(row["verdict"]), abs(float(row["value_difference"]))
    percent = 100.0 * size / abs(reference) if reference else math.inf
    if percent > _MAX_PERCENT:
        return word
    shown = f"{thousands(percent)} %" if percent >= 0.5 else "< 1 %"
    if not words:
        return f"{shown} {word}"
    degree = next(degree for limit, degree in DEGREES if percent <= limit)
    return f"{degree}{word}, {shown}"


def _limits(parameter: Parameter, row: Any) -> str:
    found = _interval(parameter, row)
    return f"{found}; fit of the mean signal" if row["basis"] == "mean signal" else found


def _interval(parameter: Parameter, row: Any) -> str:
    """Return the 95 % limits of the difference in per cent of the reference, or in its unit."""
    low, high = float(row["value_difference_lo"]), float(row["value_difference_hi"])
    reference = abs(float(row["reference_value"]))
    if reference and max(abs(low), abs(high)) <= _MAX_PERCENT / 100 * reference:
        ends = (_signed(100 * end / reference) for end in (low, high))
        return "95 % limits {} % to {} %".format(*ends)
    unit = shown_unit(parameter)
    free = Parameter(parameter.name, "", parameter.unit, -math.inf, math.inf, 0.0)
    return f"95 % limits of the difference {limits_in_unit(free, low, high)} {unit}".rstrip()


def _signed(percent: float) -> str:
    text = thousands(percent)
    return f"+{text}" if percent > 0 and text != "0" else text


def _parameter(name: str, row: Any) -> Parameter:
    """Return the description of a map; for one of an unknown model, with its unit."""
    try:
        return describe(name, models.quantities())
    except OptionError:
        return Parameter(name, name, str(row.get("unit", "")), -math.inf, math.inf, 0.0)
