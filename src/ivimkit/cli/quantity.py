"""Numbers with units, as tables show them."""

from __future__ import annotations

import math

from ivimkit.parameter import Parameter

__all__ = ["shown_number", "shown_unit"]

_SHOWN = {"mm^2/s": ("10⁻³ mm²/s", 1e3), "a.u.^2": ("a.u.²", 1.0), "": ("", 1.0)}


def shown_unit(parameter: Parameter) -> str:
    """Return the unit of the numbers that are shown."""
    return _SHOWN.get(parameter.unit, (parameter.unit, 1.0))[0]


def shown_number(parameter: Parameter, value: float, digits: int = 4) -> str:
    """Write a stored value as a number in the shown unit."""
    factor = _SHOWN.get(parameter.unit, (parameter.unit, 1.0))[1]
    return significant(value * factor, digits)


def significant(value: float, digits: int = 4) -> str:
    """Write a number with a few significant digits; a dash if there is none."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 10**digits:
        return f"{value:.0f}" if abs(value) < 1e9 else f"{value:.3g}"
    return f"{value:#.{digits}g}".rstrip(".")
