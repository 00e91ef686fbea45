"""The distribution of the values of one map in one region, in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.quality.table_rows import mean_sd
from ivimkit.scan.blocks import finite

__all__ = ["ENTROPY_BINS", "centre_and_spread", "distribution", "entropy", "shape_of"]

ENTROPY_BINS = 64
"""Number of histogram bins for the entropy between the limits of a map."""

_PERCENTILES = (5, 25, 50, 75, 95)
# Relative spread below which values are the same: moments of rounding errors are meaningless.
_MIN_RELATIVE_SPREAD = 1e-12


def distribution(values: NDArray[np.float64], limits: tuple[float, float]) -> dict[str, float]:
    """Return the statistics of the values of a region for `roi_table`.

    Parameters
    ----------
    values : ndarray
        Values, NaN if there is none.
    limits : tuple of float
        Range that the histogram of the entropy divides into bins, in the unit of the values.

    Returns
    -------
    dict of str to float
    """
    valid = finite(values)
    skewness, kurtosis = shape_of(valid)
    return {
        **centre_and_spread(values),
        "skewness": skewness,
        "kurtosis": kurtosis,
        "entropy": entropy(valid, limits),
    }


def centre_and_spread(values: NDArray[np.float64]) -> dict[str, float]:
    """Return the statistics of `distribution` that take no time: all but those of the shape.

    Parameters
    ----------
    values : ndarray
        Values, NaN if there is none.

    Returns
    -------
    dict of str to float
    """
    valid = finite(values)
    mean, sd = mean_sd(valid)
    p5, q25, median, q75, p95 = _percentiles(valid)
    return {
        "n": valid.size,
        "missing": np.size(values) - valid.size,
        "mean": mean,
        "sd": sd,
        "cv": sd / abs(mean) if mean else math.nan,
        "median": median,
        "q25": q25,
        "q75": q75,
        "iqr": q75 - q25,
        "p5": p5,
        "p95": p95,
    }


def shape_of(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return skewness and excess kurtosis, both adjusted for the number of values.

    G1 and G2 of Joanes and Gill, as in Excel, SAS and SPSS; NaN for fewer than three or four
    values, or if all are the same.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite values.

    Returns
    -------
    tuple of float

    References
    ----------
    Joanes DN, Gill CA. J R Stat Soc D 1998;47:183-189. doi:10.1111/1467-9884.00122
    """
    # Imported here: it takes half a second, and most results have no regions. Those of scipy take
    # ten times as long for a region.
    from pandas import Series

    spread = float(np.ptp(values)) if values.size else 0.0
    if values.size < 3 or spread <= _MIN_RELATIVE_SPREAD * float(np.abs(values).max()):
        return math.nan, math.nan
    # Scaled first: the fourth power of 1e-3 mm2/s is far from 1.
    scaled: Any = Series((values - values.mean()) / spread)
    return float(scaled.skew()), float(scaled.kurt())


def entropy(values: NDArray[np.float64], limits: tuple[float, float]) -> float:
    """Return the Shannon entropy of a histogram in bits: 0 if all values are in one bin.

    The bins have the same width for all regions and scans, `ENTROPY_BINS` of them between the
    limits, and continue beyond: with bins between the extremes of each region, entropies could not
    be compared, and with one last bin for all values beyond, a region there would have none.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite values.
    limits : tuple of float
        Usual range of the values.

    Returns
    -------
    float
        Bits; NaN without values.

    References
    ----------
    Zwanenburg A et al. Radiology 2020;295:328-338. doi:10.1148/radiol.2020191145
    """
    if not values.size:
        return math.nan
    low, high = limits
    if not high > low:
        return 0.0
    bins = np.floor((values - low) / ((high - low) / ENTROPY_BINS))
    share = np.unique(bins, return_counts=True)[1] / values.size
    return float(-(share * np.log2(share)).sum()) + 0.0


def _percentiles(values: NDArray[np.float64]) -> Sequence[float]:
    if not values.size:
        return [math.nan] * len(_PERCENTILES)
    return [float(value) for value in np.percentile(values, _PERCENTILES)]
