"""The median of a group of values with its limits, and the difference of two medians."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.fitting.result import FitResult
from ivimkit.parameter import Parameter
from ivimkit.quality.normal_quantile import NORMAL_975

__all__ = ["MIN_VALUES", "Estimate", "difference_of", "of_mean_signal", "of_voxels"]

MIN_VALUES = 5
"""Minimum number of values for a median with limits."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % limits, NaN if there is none.

    Parameters
    ----------
    value, low, high : float
        In the unit of the map.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        """Whether there are a value and limits."""
        return all(math.isfinite(number) for number in (self.value, self.low, self.high))

    def clipped(self, parameter: Parameter) -> Estimate:
        """Return the same with limits inside the bounds of a parameter."""
        if parameter.fixed:
            return self
        low, high = (
            min(max(end, parameter.lower), parameter.upper) if math.isfinite(end) else end
            for end in (self.low, self.high)
        )
        return Estimate(self.value, low, high)


def of_voxels(values: NDArray[np.float64]) -> Estimate:
    """Return the median with its 95 % limits, without limits for fewer than `MIN_VALUES` values.

    The standard error is that of two order statistics, so neither a few values at a bound nor a
    long tail affects it.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite values, assumed to be independent.

    Returns
    -------
    Estimate

    References
    ----------
    Bonett DG, Price RM. Psychol Methods 2002;7:370-383. doi:10.1037/1082-989X.7.3.370
    """
    n = values.size
    if not n:
        return Estimate()
    median = float(np.median(values))
    if n < MIN_VALUES:
        return Estimate(median)
    # Imported here: it takes half a second, and most results have no regions.
    from scipy import stats

    ordered = np.sort(values)
    place = max(1, round((n + 1) / 2 - math.sqrt(n)))
    beyond = float(stats.binom.cdf(place - 1, n, 0.5))
    error = float(ordered[n - place] - ordered[place - 1]) / (2 * float(stats.norm.isf(beyond)))
    return Estimate(median, median - NORMAL_975 * error, median + NORMAL_975 * error)


def of_mean_signal(fits: FitResult, name: str, position: int, parameter: Parameter) -> Estimate:
    """Return the estimate of a map from the fit of the mean signal of a region.

    Parameters
    ----------
    fits : FitResult
        What `ivimkit.quality.roi_fit` returned.
    name : str
        Name of the map.
    position : int
        Position of the region.
    parameter : Parameter
        The parameter of the map; its bounds also limit the estimate.

    Returns
    -------
    Estimate
    """
    ends = [f"{name}{end}" for end in ("", "_lo", "_hi")]
    if ends[0] not in fits.maps:
        return Estimate()
    numbers = [float(fits.maps[key][position]) if key in fits.maps else math.nan for key in ends]
    return Estimate(*numbers).clipped(parameter)


def difference_of(first: Estimate, second: Estimate) -> Estimate:
    """Return first minus second, with limits from the limits of both.

    Limits need not be symmetric: the method of variance estimates recovery uses the distance to
    the relevant end of each.

    Parameters
    ----------
    first, second : Estimate
        Independent of each other.

    Returns
    -------
    Estimate

    References
    ----------
    Zou GY, Donner A. Stat Med 2008;27:1693-1702. doi:10.1002/sim.3095
    """
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, low, high)
