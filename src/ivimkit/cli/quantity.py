"""Numbers with units, as tables show them."""

from __future__ import annotations

import math

from ivimkit.parameter import Parameter

__all__ = ["percent_change", "shown_number", "shown_unit"]

_SHOWN = {"mm^2/s": ("10⁻³ mm²/s", 1e3), "a.u.^2": ("a.u.²", 1.0), "": ("", 1.0)}


def shown_unit(parameter: Parameter) -> str:
    """Return the unit of the numbers that are shown."""
    return _SHOWN.get(parameter.unit, (parameter.unit, 1.0))[0]


def shown_number(parameter: Parameter, value: float, digits: int = 4) -> str:
    """Write a stored value as a number in the shown unit."""
    factor = _SHOWN.get(parameter.unit, (parameter.unit, 1.0))[1]
    return significant(value * factor, digits)


def percent_change(ratio: float) -> str:
    """Write a ratio as the change in per cent; a dash if there is none."""
    if not math.isfinite(ratio):
        return "–"
    rounded = round(100.0 * (ratio - 1.0))
    return f"{rounded:+d} %" if rounded else "0 %"


def significant(value: float, digits: int = 4) -> str:
    """Write a number with a few significant digits; a dash if there is none."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 10**digits:
        return f"{value:.0f}" if abs(value) < 1e9 else f"{value:.3g}"
    return f"{value:#.{digits}g}".rstrip(".")
