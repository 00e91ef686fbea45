"""Repeatability: how much two scans of an unchanged subject differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.quality.normal_quantile import NORMAL_975
from ivimkit.quality.repeat_values import each_measurement, numbered, repeated, units, values_of
from ivimkit.quality.table_rows import table_of
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = ["repeatability"]

_TAILS = (0.025, 0.975)


def repeatability(
    scans: pd.DataFrame | Mapping[str, Sequence[FitResult]],
    labels: ArrayLike | Labels | Mapping[str, Sequence[ArrayLike | Labels]] | None = None,
    *,
    maps: Sequence[str] | None = None,
    statistic: str = "median",
) -> pd.DataFrame:
    """Estimate the repeatability of region values from scans of unchanged subjects.

    Parameters
    ----------
    scans : pandas.DataFrame or mapping of str to sequence of FitResult
        A table of values with columns ``subject``, ``session``, ``region``, ``map`` and
        ``value`` (or that of `statistic`), or the results of each subject, see `repeat_values`.
        Two or more scans per subject; one subject is enough for all but the correlation.
    labels : Labels, array_like of int, or mapping of str to sequence of these, optional
        Regions of results, see `repeat_values`.
    maps : sequence of str, optional
        Which maps; all of a table, and the parameters of results by default.
    statistic : str
        Which column of `roi_table` represents a region.

    Returns
    -------
    pandas.DataFrame
        One row per region and map, intervals and limits of 95 %:

        - ``unit``; ``subjects``, those with two values or more, and ``scans``, the number of their
          values; ``mean``;
        - ``within_sd``, the root of the mean variance within subjects, and ``within_cv``, the
          root mean square of sd / mean of each subject;
        - ``rc``, the repeatability coefficient 1.96 √2 within_sd: two scans of an unchanged
          subject differ by less in 95 % of cases; its interval ``rc_lo``, ``rc_hi`` (chi-squared);
          ``rc_relative``, the same with within_cv, as a share of the mean;
        - ``icc``, ``icc_lo``, ``icc_hi``: intraclass correlation ICC(3,1) (two-way mixed, single
          scan, consistency) of the subjects with all scans; NaN of fewer than two;
        - Bland-Altman of the first two scans: ``bias`` (second - first) with ``bias_lo`` and
          ``bias_hi``, the limits of agreement ``lower_limit`` and ``upper_limit`` (bias ± 1.96
          standard deviations), and the intervals of these (``lower_limit_lo``, ...); NaN of
          fewer than two subjects.

    Raises
    ------
    OptionError
        If no subject has two scans, or the table lacks a column.

    Warns
    -----
    RegionWarning
        If a subject has one scan only.

    Examples
    --------
    >>> import pandas as pd, ivimkit as ik
    >>> values = pd.DataFrame({"subject": list("aabbcc"), "session": [1, 2] * 3})
    >>> values = values.assign(region="liver", map="D", value=[1.0, 1.2, 2.0, 1.9, 1.4, 1.5])
    >>> table = ik.quality.repeatability(values)
    >>> float(table.loc[("liver", "D"), "within_sd"].round(4))
    0.1

    References
    ----------
    Raunig DL et al. Stat Methods Med Res 2015;24:27-67. doi:10.1177/0962280214537344
    Bland JM, Altman DG. Stat Methods Med Res 1999;8:135-160. doi:10.1177/096228029900800204
    Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428. doi:10.1037/0033-2909.86.2.420
    """
    values = values_of(scans, labels, maps, statistic)
    wide = repeated(numbered(values, statistic=statistic))
    known = units(values)
    rows = {}
    for (region, name), matrix in each_measurement(wide):
        rows[region, name] = {
            "unit": known.get(name, ""),
            **_within(matrix),
            **_correlation(matrix),
            **_agreement(matrix),
        }
    return table_of(rows, ("region", "map"))


def _within(matrix: NDArray[np.float64]) -> dict[str, float]:
    """Return the variation within subjects, the rows."""
    from scipy import stats

    number = np.isfinite(matrix).sum(axis=1)
    degrees, means = number - 1, np.nanmean(matrix, axis=1)
    variance = np.nansum((matrix - means[:, np.newaxis]) ** 2, axis=1) / degrees
    total = int(degrees.sum())
    sd = math.sqrt(float((degrees * variance).sum()) / total)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = float((degrees * variance / means**2).sum()) / total
    cv = math.sqrt(relative) if math.isfinite(relative) else math.nan
    factor = NORMAL_975 * math.sqrt(2.0)
    high, low = np.sqrt(total / stats.chi2.ppf(_TAILS, total))
    return {
        "subjects": len(matrix),
        "scans": int(number.sum()),
        "mean": float(means.mean()),
        "within_sd": sd,
        "within_cv": cv,
        "rc": factor * sd,
        "rc_lo": factor * sd * float(low),
        "rc_hi": factor * sd * float(high),
        "rc_relative": factor * cv,
    }


def _correlation(matrix: NDArray[np.float64]) -> dict[str, float]:
    """Return ICC(3,1) and its interval, of the subjects that have all scans."""
    from scipy import stats

    whole = matrix[np.isfinite(matrix).all(axis=1)]
    n, k = whole.shape
    none = dict.fromkeys(("icc", "icc_lo", "icc_hi"), math.nan)
    if n < 2:
        return none
    grand = whole.mean()
    rows, columns = whole.mean(axis=1, keepdims=True), whole.mean(axis=0, keepdims=True)
    between = k * float(((rows - grand) ** 2).sum()) / (n - 1)
    degrees = (n - 1) * (k - 1)
    error = float(((whole - rows - columns + grand) ** 2).sum()) / degrees
    if not between + error > 0.0:
        return none
    ratio = between / error if error > 0.0 else math.inf
    low = ratio / float(stats.f.ppf(_TAILS[1], n - 1, degrees))
    high = ratio * float(stats.f.ppf(_TAILS[1], degrees, n - 1))
    limits = [(f - 1.0) / (f + k - 1.0) if math.isfinite(f) else 1.0 for f in (ratio, low, high)]
    return dict(zip(none, limits, strict=True))


def _agreement(matrix: NDArray[np.float64]) -> dict[str, float]:
    """Return bias and limits of agreement of the first two scans, with their intervals."""
    from scipy import stats

    differences = matrix[:, 1] - matrix[:, 0]
    differences = differences[np.isfinite(differences)]
    n = differences.size
    bias, sd = float(differences.mean()) if n else math.nan, math.nan
    t = math.nan
    if n > 1:
        sd, t = float(differences.std(ddof=1)), float(stats.t.ppf(_TAILS[1], n - 1))
    half = t * sd / math.sqrt(n) if n else math.nan
    # The exact variance of a limit; 3 sd2 / n is its approximation for many subjects.
    wide = t * sd * math.sqrt(1.0 / n + NORMAL_975**2 / (2.0 * (n - 1))) if n > 1 else math.nan
    lower, upper = bias - NORMAL_975 * sd, bias + NORMAL_975 * sd
    return {
        "bias": bias,
        "bias_lo": bias - half,
        "bias_hi": bias + half,
        "lower_limit": lower,
        "lower_limit_lo": lower - wide,
        "lower_limit_hi": lower + wide,
        "upper_limit": upper,
        "upper_limit_lo": upper - wide,
        "upper_limit_hi": upper + wide,
    }
