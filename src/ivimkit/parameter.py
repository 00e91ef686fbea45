"""One model parameter: its name, unit, bounds, starting value and how to show it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ivimkit.errors import OptionError

__all__ = ["Parameter"]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a signal model.

    Parameters
    ----------
    name : str
        The field's name for it, e.g. ``"D_star"``.
    symbol : str
        How figures write it, e.g. ``"D*"``.
    unit : str
        SI-style unit of the stored value, e.g. ``"mm^2/s"``; empty for fractions.
    lower, upper : float
        Bounds, in `unit`. Equal bounds mean that the parameter is fixed.
    start : float
        Starting value of methods that use one, in `unit`.
    display : tuple of float
        Range that figures show, in `unit`; ``(nan, nan)`` leaves it to the data.
    description : str
        One line for sidecars and tables.

    Raises
    ------
    OptionError
        If the bounds are not numbers or are not in order.

    Examples
    --------
    >>> from ivimkit.parameter import Parameter
    >>> Parameter("D", "D", "mm^2/s", 0.0, 5e-3, 1e-3).fixed
    False
    """

    name: str
    symbol: str
    unit: str
    lower: float
    upper: float
    start: float
    display: tuple[float, float] = (math.nan, math.nan)
    description: str = ""

    def __post_init__(self) -> None:
        if math.isnan(self.lower) or math.isnan(self.upper) or self.lower > self.upper:
            raise OptionError(
                f"bounds of {self.name} are {self.lower} to {self.upper}; "
                "expected two numbers, the lower one first"
            )

    @property
    def fixed(self) -> bool:
        """Whether lower and upper bound are the same."""
        return self.lower == self.upper
