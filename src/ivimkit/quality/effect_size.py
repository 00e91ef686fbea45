"""Separation of two groups of values: Hedges' g, area under the ROC curve, Mann-Whitney."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.quality.normal_quantile import NORMAL_975

__all__ = ["Effect", "effect"]


@dataclass(frozen=True)
class Effect:
    """The separation of two groups.

    Parameters
    ----------
    g, g_lo, g_hi : float
        Hedges' g, the difference of the means by their pooled standard deviation, corrected for
        small groups, and its 95 % interval (normal approximation).
    auc : float
        Area under the ROC curve: the probability that a value of the first group is larger than
        one of the second; 0.5 if they do not differ.
    p : float
        Two-sided p-value of the Mann-Whitney U test.
    """

    g: float
    g_lo: float
    g_hi: float
    auc: float
    p: float


def effect(first: NDArray[np.float64], second: NDArray[np.float64]) -> Effect:
    """Compare two groups of values.

    Parameters
    ----------
    first, second : ndarray, shape (n,) and (m,)
        Finite values, at least one each.

    Returns
    -------
    Effect
        For groups with fewer than three values in total, or without spread, g is NaN.

    References
    ----------
    Hedges LV. J Educ Stat 1981;6:107-128. doi:10.3102/10769986006002107
    Hanley JA, McNeil BJ. Radiology 1982;143:29-36. doi:10.1148/radiology.143.1.7063747
    """
    # Imported here: it takes half a second, and most results have no regions.
    from scipy import stats

    n, m = first.size, second.size
    g, half = _hedges(first, second)
    if max(first.max(), second.max()) == min(first.min(), second.min()):
        return Effect(g, g - half, g + half, 0.5, 1.0)
    test = stats.mannwhitneyu(first, second, alternative="two-sided")
    return Effect(g, g - half, g + half, float(test.statistic) / (n * m), float(test.pvalue))


def _hedges(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """Return g and the half width of its 95 % interval."""
    from scipy.special import gammaln

    n, m = first.size, second.size
    degrees = n + m - 2
    if degrees < 1:
        return math.nan, math.nan
    squares = float(((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum())
    pooled = math.sqrt(squares / degrees)
    scale = max(abs(float(first.mean())), abs(float(second.mean())))
    if not pooled > 1e-12 * scale or degrees < 2:
        return math.nan, math.nan
    unbiased = math.exp(gammaln(degrees / 2) - gammaln((degrees - 1) / 2)) / math.sqrt(degrees / 2)
    g = unbiased * float(first.mean() - second.mean()) / pooled
    variance = (n + m) / (n * m) + g * g / (2 * (n + m))
    return g, NORMAL_975 * math.sqrt(variance)
