"""Numbers as the tables of a report write them."""

from __future__ import annotations

import math

from ivimkit.parameter import Parameter
from ivimkit.report.shown import how_to_show

__all__ = ["in_unit", "percent", "significant", "thousands", "unit_of"]


def significant(value: float, digits: int = 3) -> str:
    """Write a number with a few significant digits; a dash if there is none."""
    if not math.isfinite(value):
        return "–"
    if value != 0.0 and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    if abs(value) >= 10**digits:
        return f"{value:.0f}".replace("-", "−")
    return f"{value:#.{digits}g}".rstrip(".").replace("-", "−")


def in_unit(parameter: Parameter, value: float, digits: int = 3) -> str:
    """Write a stored value as a number in the unit that is shown, see `unit_of`."""
    return significant(value * how_to_show(parameter.name, [parameter], []).factor, digits)


def unit_of(parameter: Parameter) -> str:
    """Return the unit in which the numbers of a parameter are shown, in one unbroken word."""
    return how_to_show(parameter.name, [parameter], []).unit.replace(" ", "\u00a0")


def percent(share: float) -> str:
    """Write a share in per cent."""
    return f"{100 * share:.1f} %" if math.isfinite(share) else "–"


def thousands(n: int) -> str:
    """Write a number of things, with thin spaces between thousands."""
    return f"{n:,}".replace(",", "\u202f")
