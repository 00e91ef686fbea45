"""Pooling: one sigma from the sums of squares of many voxels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError

__all__ = ["POOLS", "check_pool", "evenly", "median_of_chi2", "pooled"]

MAX_POOLED_VALUES = 1 << 26
"""Values of voxels that are pooled: noise from as many is known to a hundredth of a percent."""

POOLS = ("median", "mean")
"""Ways to pool voxels to one value."""


def check_pool(pool: str) -> None:
    """Raise OptionError for an unknown way of pooling."""
    if pool not in POOLS:
        raise OptionError(f"pool is {pool!r}; expected one of {', '.join(POOLS)}")


def pooled(
    squares: NDArray[np.float64], degrees: NDArray[np.float64], pool: str
) -> tuple[float, float]:
    """Pool sums of squares, each sigma^2 times chi-squared with its own degrees of freedom.

    The median is taken of the sums, each divided by the median of its own chi-squared
    distribution: all of these have the median sigma^2, whatever their degrees. If fewer than half
    of the voxels are disturbed, its change is bounded.

    Parameters
    ----------
    squares : ndarray, shape (n_voxels,)
        Sums of squares, a.u.^2.
    degrees : ndarray, shape (n_voxels,)
        Their degrees of freedom, > 0.
    pool : {"median", "mean"}
        The mean is the most efficient, but is affected by every disturbed voxel.

    Returns
    -------
    sigma : float
        A.u.
    degrees : float
        Degrees of freedom of sigma^2, i.e. twice its inverse relative variance.
    """
    if pool == "mean" or squares.size < 3:
        # Rounded once, so that the result does not depend on the order of the voxels.
        total = math.fsum(degrees.tolist())
        return math.sqrt(math.fsum(squares.tolist()) / total), total
    distinct, counts = np.unique(degrees, return_counts=True)
    middle, steepness = median_of_chi2(distinct)
    own = middle[0] if distinct.size == 1 else middle[np.searchsorted(distinct, degrees)]
    sigma = math.sqrt(float(np.median(squares / own, overwrite_input=True)))
    # The variance of a median of n values is 1 / (4 n g^2), where g is their mean density there.
    density = float((counts * steepness).sum() / squares.size)
    return sigma, 8.0 * squares.size * density**2


def evenly(n_voxels: int, n_values: int) -> slice:
    """Return which voxels to pool: all, or every second, third ... of so many that all are enough.

    Parameters
    ----------
    n_voxels : int
        Number of voxels.
    n_values : int
        Number of values of each that are in memory at a time.

    Examples
    --------
    >>> from ivimkit.noise.pooling import evenly
    >>> evenly(1_000_000, 10), evenly(50_000_000, 10)
    (slice(0, 1000000, 1), slice(0, 50000000, 8))
    """
    return slice(0, n_voxels, max(1, math.ceil(n_voxels * n_values / MAX_POOLED_VALUES)))


def median_of_chi2(
    degrees: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the median of chi-squared, and its density at the median times the median."""
    from scipy.special import chdtri, gammaln  # Slow to load, and few need it.

    middle = np.asarray(chdtri(degrees, 0.5), dtype=np.float64)
    half = 0.5 * degrees
    return middle, np.exp(half * np.log(0.5 * middle) - 0.5 * middle - gammaln(half))
