"""One model parameter: its name, unit, bounds, starting value and how to show it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ivimkit.errors import OptionError

__all__ = ["BLOOD_RATE", "RATE_UNIT", "ROLES", "TISSUE_RATE", "Parameter", "Role", "Scale"]

Role = Literal[
    "signal", "fraction", "diffusion", "shape", "perfusion", "time", "orientation", "other"
]
"""What a parameter describes: a signal, the fraction of a compartment, tissue diffusion, the
shape of its decay (a kurtosis, an exponent), the motion of blood, a relaxation time, or what
depends on the axes of the image and is not shown as a map."""

ROLES: tuple[Role, ...] = (
    "signal",
    "fraction",
    "diffusion",
    "shape",
    "perfusion",
    "time",
    "orientation",
    "other",
)

Scale = Literal["linear", "log"]
"""How values of a parameter are spaced in a search: evenly, or evenly in its logarithm."""

RATE_UNIT = "mm^2/s"
"""Unit in which decay rates are stored: D, D*, ADC."""

TISSUE_RATE = (1e-6, 0.1)
"""Lowest and highest plausible D or ADC, in mm^2/s."""

BLOOD_RATE = (1e-5, 1.0)
"""The same for D*."""

_OF = {TISSUE_RATE: "for tissue", BLOOD_RATE: "for blood"}
_FACTORS = (1e-3, 1e-6, 1e-9)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a signal model.

    Parameters
    ----------
    name : str
        The field's name for it, e.g. ``"D_star"``.
    symbol : str
        Its form in figures, e.g. ``"D*"``.
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
    plausible : tuple of float, optional
        Range of plausible values. A greater one was meant in another unit, and is refused; the
        message scales it into the range. By default up to `most` if that is finite, and up to 1
        for rates.
    role : str
        What the parameter describes, one of `ROLES`: determines where and how its map is shown.
    scale : {"linear", "log"}
        Spacing of its values in a search.
    typical : tuple of float, optional
        Range of values in tissue, in `unit`; by default the middle of `display`.
    least, most : float
        The lowest and the highest possible value, in `unit`: bounds lie inside.
    like : str
        Name of a parameter of the bi-exponential model that has the same values in tissue, such as
        ``"D"`` for a mean diffusivity: presets and phantoms have a value for that one.

    Raises
    ------
    OptionError
        If the bounds are not numbers or are not in order, or the role or scale does not exist.

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
    plausible: tuple[float, float] | None = None
    role: Role = "other"
    scale: Scale = "linear"
    typical: tuple[float, float] | None = None
    least: float = 0.0
    most: float = math.inf
    like: str = ""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise OptionError(
                f"role of {self.name} is {self.role!r}; expected one of {', '.join(ROLES)}"
            )
        if self.scale not in ("linear", "log"):
            raise OptionError(f"scale of {self.name} is {self.scale!r}; expected linear or log")
        if math.isnan(self.lower) or math.isnan(self.upper) or self.lower > self.upper:
            raise OptionError(
                f"bounds of {self.name} are {self.lower} to {self.upper}; "
                "expected two numbers, the lower one first"
            )

    def check_unit(self, value: float) -> None:
        """Refuse a value that can only have been meant in another unit.

        Parameters
        ----------
        value : float
            The value, or the highest of several, in `unit`.

        Raises
        ------
        OptionError
            If it is not plausible; the message suggests what may have been meant.

        Examples
        --------
        >>> from ivimkit import models
        >>> models.get("biexp")["D_star"].check_unit(37)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ivimkit.errors.OptionError: D_star is to be up to 37 mm^2/s; ... did you mean 0.037?
        """
        greatest = 1.0 if self.unit == "mm^2/s" else math.inf
        least, most = self.plausible or (0.0, min(self.most, greatest))
        if value <= most:
            return
        factors = _FACTORS if self.unit else (1e-2,) if self.role == "fraction" else ()
        scaled = (value * factor for factor in factors)
        meant = next((v for v in scaled if least <= v <= most), None)
        unit = f" {self.unit}" if self.unit else ""
        of = _OF.get(self.plausible, "as a rule") if self.plausible else "as a rule"
        shares = "values are shares, " if self.role == "fraction" else ""
        expected = f"values are in {self.unit}, " if self.unit else shares
        raise OptionError(
            f"{self.name} is to be up to {value:g}{unit}; {expected}"
            f"about {self.start:g} {of}" + ("" if meant is None else f": did you mean {meant:g}?")
        )

    @property
    def fixed(self) -> bool:
        """Whether lower and upper bound are the same."""
        return self.lower == self.upper

    @property
    def usual(self) -> tuple[float, float]:
        """The range of values in tissue: `typical`, or the middle of `display`, or near `start`.

        Examples
        --------
        >>> from ivimkit import models
        >>> models.get("biexp")["f"].usual
        (0.08, 0.32)
        """
        if self.typical is not None:
            return self.typical
        low, high = self.display
        if low < high:
            return low + 0.2 * (high - low), low + 0.8 * (high - low)
        near = abs(self.start) * 0.12
        return self.start - near, self.start + near
