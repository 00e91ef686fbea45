"""Shown: the style of a map in a figure - label, unit, range and colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap
from numpy.typing import NDArray

from ivimkit.extend.derived_maps import describe
from ivimkit.parameter import Parameter
from ivimkit.rounding import rounded, shown_factor, shown_unit

__all__ = ["BACKGROUND", "Shown", "Stored", "how_to_show", "title_of"]

BACKGROUND = "black"
"""Colour of voxels without a value; only the colour map of signals contains it."""

Stored = NDArray[Any] | Callable[[], NDArray[Any]]
"""A map or its values, or a function that returns them, as they may not be needed."""

_COLOURS = {
    "signal": "gray",
    "diffusion": "viridis",
    "fraction": "plasma",
    "perfusion": "plasma",
}
_OTHERS = "cividis"
_ABOUT = {"_sd": "sd of", "_bits": "information on"}


@dataclass(frozen=True)
class Shown:
    """The style of a map.

    Parameters
    ----------
    symbol : str
        Short label, e.g. ``"D*"``.
    unit : str
        Unit of the shown values, e.g. ``"10⁻³ mm²/s"``; empty if dimensionless.
    factor : float
        Ratio of shown to stored value.
    limits : tuple of float
        Display range, in the shown unit.
    colours : str
        Name of a perceptually uniform colour map.
    """

    symbol: str
    unit: str
    factor: float
    limits: tuple[float, float]
    colours: str

    @property
    def label(self) -> str:
        """Symbol and unit."""
        return f"{self.symbol} ({self.unit})" if self.unit else self.symbol

    @property
    def colormap(self) -> Colormap:
        """The colour map, with missing values as background."""
        return colormaps[self.colours].with_extremes(bad=BACKGROUND)

    def values(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Convert stored to shown values; infinite ones become NaN."""
        numbers = np.asarray(stored, dtype=np.float64) * self.factor
        return np.where(np.isfinite(numbers), numbers, np.nan)

    def extend(self, numbers: Sequence[NDArray[Any]]) -> str:
        """Return at which ends of the colour bar some of the values exceed it."""
        low, high = self.limits
        below = any(bool((array < low).any()) for array in numbers)
        above = any(bool((array > high).any()) for array in numbers)
        return {(False, False): "neither", (True, False): "min", (False, True): "max"}.get(
            (below, above), "both"
        )

    def text(self, stored: float) -> str:
        """Write one stored value as a number in the shown unit."""
        return rounded(stored * self.factor)


def how_to_show(
    name: str,
    parameters: Sequence[Parameter],
    stored: Sequence[Stored],
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> Shown:
    """Choose the style of a map, from its parameter.

    Parameters
    ----------
    name : str
        Name of the map.
    parameters : sequence of Parameter
        Those of the fitted model.
    stored : sequence of ndarray, or of functions that return one
        The maps that share the range, or their values, for parameters whose range depends on the
        data; a function is called for these alone.
    limits : mapping of str to tuple of float, optional
        Ranges by name, in the stored unit, that take precedence.

    Returns
    -------
    Shown

    Raises
    ------
    OptionError
        If there is no such map.
    """
    parameter = describe(name, parameters)
    unit, factor = shown_unit(parameter), shown_factor(parameter)
    low, high = _range(parameter, parameters, stored, limits or {})
    return Shown(
        parameter.symbol, unit, factor, (low * factor, high * factor), _colours(parameter)
    )


def title_of(name: str, parameters: Sequence[Parameter]) -> str:
    """Return the title of a map, e.g. ``"D*"`` or ``"sd of D*"``.

    Parameters
    ----------
    name : str
        Name of the map.
    parameters : sequence of Parameter
        Those of the fitted model.

    Returns
    -------
    str

    Raises
    ------
    OptionError
        If there is no such map.
    """
    for suffix, what in _ABOUT.items():
        if name.endswith(suffix):
            return f"{what} {describe(name.removesuffix(suffix), parameters).symbol}"
    return describe(name, parameters).symbol


def _range(
    parameter: Parameter,
    parameters: Sequence[Parameter],
    stored: Sequence[Stored],
    limits: Mapping[str, tuple[float, float]],
) -> tuple[float, float]:
    if parameter.name in limits:
        return limits[parameter.name]
    if parameter.name == "ADC":
        # One scale for both: where ADC is brighter than D there is perfusion.
        tissue = [one for one in parameters if one.role == "diffusion" and one.name != "ADC"]
        if tissue:
            return _range(tissue[-1], parameters, stored, limits)
    if all(math.isfinite(end) for end in parameter.display):
        return parameter.display
    return _percentiles(stored, parameter.lower)


def _percentiles(stored: Sequence[Stored], lower: float) -> tuple[float, float]:
    arrays = [one() if callable(one) else one for one in stored]
    finite = [array[np.isfinite(array)] for array in arrays]
    values = np.concatenate([np.ravel(array) for array in finite]) if finite else np.empty(0)
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, [1, 99.5])
    if math.isfinite(lower):
        low = min(lower, low)
    return float(low), float(high if high > low else low + 1.0)


def _colours(parameter: Parameter) -> str:
    return _COLOURS.get(parameter.role, _OTHERS)
