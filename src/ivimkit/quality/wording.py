"""The sentence that says what a comparison of two regions has found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ivimkit.derived import DERIVED
from ivimkit.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEGREES", "sentence"]

DEGREES = ((10.0, "slightly "), (25.0, ""), (math.inf, "clearly "))
"""Word for a difference of up to so many per cent of the reference."""

_LEVEL = 0.05
_SYMBOLS = {"D_star": "D*", **{parameter.name: parameter.symbol for parameter in DERIVED}}
_ORDER = ("ADC", "D", "f", "D_star", "fD_star")


def sentence(
    comparison: pd.DataFrame,
    *,
    reference: str = "the surrounding tissue",
    maps: Sequence[str] | None = None,
    words: bool = False,
) -> str:
    """Say in words what `compare_regions` has found.

    Parameters
    ----------
    comparison : pandas.DataFrame
        What `compare_regions` returned.
    reference : str
        What the lesion was compared with.
    maps : sequence of str, optional
        Which maps, in this order; by default ADC, D, f, D*, f D*, then others, as far as they
        were compared.
    words : bool
        Whether to grade the differences: ``slightly`` up to 10 % of the reference, ``clearly``
        above 25 %, and no word between; the percentages stand in brackets then.

    Returns
    -------
    str
        Per map the difference of the means in per cent of the reference; a map whose values do
        not differ (Mann-Whitney, p >= 0.05) or that has no ratio is said to be so.

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
    >>> ik.quality.sentence(table, reference="the liver", maps=["ADC", "D"])
    'ADC 9 % lower, D 27 % lower than the liver'
    >>> ik.quality.sentence(table, reference="the liver", maps=["ADC", "D"], words=True)
    'ADC slightly lower (9 %), D clearly lower (27 %) than the liver'
    """
    rows: dict[str, Any] = {str(name): row for name, row in comparison.iterrows()}
    usual = [name for name in _ORDER if name in rows]
    wanted = [*usual, *(name for name in rows if name not in usual)] if maps is None else maps
    missing = [name for name in wanted if name not in rows]
    if missing or not wanted:
        raise OptionError(
            f"map {missing[0] if missing else '(none)'} was not compared; expected some of "
            f"{', '.join(rows)}. Compare it, too"
        )
    found = [_part(name, rows[name], words) for name in wanted]
    differing = [text for differs, text in found if differs]
    others = [text for differs, text in found if not differs]
    parts = [f"{', '.join(differing)} than {reference}"] if differing else []
    if others:
        parts.append(f"{', '.join(others)} not different from {reference}")
    return "; ".join(parts)


def _part(name: str, row: Any, words: bool) -> tuple[bool, str]:
    """Return whether a map differs, and its part of the sentence."""
    symbol = _SYMBOLS.get(name, name)
    ratio, p = float(row["ratio"]), float(row["p"])
    if math.isnan(ratio) or not p < _LEVEL:
        return False, symbol
    percent = 100.0 * (ratio - 1.0)
    direction = "lower" if percent < 0 else "higher"
    size = f"{abs(percent):.0f} %"
    if not words:
        return True, f"{symbol} {size} {direction}"
    degree = next(word for limit, word in DEGREES if abs(percent) <= limit)
    return True, f"{symbol} {degree}{direction} ({size})"
