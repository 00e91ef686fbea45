"""Response: whether a change exceeds the differences between scans of an unchanged subject."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ivimkit.errors import OptionError
from ivimkit.quality.repeat_values import numbered, repeated, units, values_of
from ivimkit.quality.table_rows import table_of
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = ["change"]


def change(
    scans: pd.DataFrame | Mapping[str, Sequence[FitResult]],
    repeat: pd.DataFrame,
    labels: ArrayLike | Labels | Mapping[str, Sequence[ArrayLike | Labels]] | None = None,
    *,
    maps: Sequence[str] | None = None,
    statistic: str = "median",
    region: str | None = None,
    relative: bool = False,
) -> pd.DataFrame:
    """Judge the change from the first to each later scan against the repeatability.

    A change is significant, at the level of 5 %, if it is larger than the repeatability
    coefficient: then it is not explained by the differences of scans of an unchanged subject.

    Parameters
    ----------
    scans : pandas.DataFrame or mapping of str to sequence of FitResult
        The scans of each subject in order of time, as for `repeatability`.
    repeat : pandas.DataFrame
        What `repeatability` returned for scans of unchanged subjects.
    labels : Labels, array_like of int, or mapping of str to sequence of these, optional
        Regions of results, see `repeat_values`.
    maps : sequence of str, optional
        Which maps; by default those of both tables.
    statistic : str
        Which column of `roi_table` represents a region.
    region : str, optional
        The region whose repeatability is used for all regions; by default each its own.
    relative : bool
        Whether to judge by ``rc_relative``, a share of the first value, for numbers that vary
        in proportion to their size.

    Returns
    -------
    pandas.DataFrame
        One row per subject, scan (2, 3, ...), region and map: ``unit``, ``before``, ``after``,
        ``difference``, ``ratio`` (after / before), ``rc``, ``lo`` and ``hi`` (difference ± rc,
        the 95 % interval of the true change) and ``significant``.

    Raises
    ------
    OptionError
        If the repeatability of a region or map is not known, no subject has two scans, or a
        table lacks a column.

    Examples
    --------
    >>> import pandas as pd, ivimkit as ik
    >>> values = pd.DataFrame({"subject": list("aabb"), "session": [1, 2] * 2})
    >>> values = values.assign(region="lesion", map="D", value=[1.0, 1.2, 2.0, 1.9])
    >>> treated = values.assign(value=[1.0, 2.0, 1.0, 1.1])
    >>> ik.quality.change(treated, ik.quality.repeatability(values))["significant"].tolist()
    [True, False]

    References
    ----------
    Raunig DL et al. Stat Methods Med Res 2015;24:27-67. doi:10.1177/0962280214537344
    """
    needed = ["rc", "rc_relative"]
    if [*repeat.index.names] != ["region", "map"] or not set(needed) <= set(repeat.columns):
        raise OptionError(
            "the repeatability is not a table of repeatability; expected rows by region and map "
            "with columns rc and rc_relative. Make it with quality.repeatability, or ivimkit "
            "repeat --out"
        )
    names = maps if maps is not None else _maps_in(repeat, scans)
    values = values_of(scans, labels, names, statistic)
    wide, known = repeated(numbered(values, statistic=statistic)), units(values)
    rows = {}
    subjects = wide.index.get_level_values("subject").tolist()
    places = wide.index.get_level_values("region").astype(str).tolist()
    what = wide.index.get_level_values("map").astype(str).tolist()
    matrix = wide.to_numpy(dtype=np.float64)
    limit_of = functools.cache(functools.partial(_limit, repeat, relative=relative))
    for place, name, subject, found in zip(places, what, subjects, matrix, strict=True):
        limit = limit_of(region or place, name)
        first, *later = np.flatnonzero(np.isfinite(found)).tolist()
        before = float(found[first])
        for scan in later:
            allowed = limit * abs(before) if relative else limit
            rows[subject, scan + 1, place, name] = {
                "unit": known.get(name, ""),
                **_judged(before, float(found[scan]), allowed),
            }
    return table_of(rows, ("subject", "scan", "region", "map"))


def _maps_in(
    repeat: pd.DataFrame, scans: pd.DataFrame | Mapping[str, Sequence[FitResult]]
) -> list[str]:
    """Return the maps that both tables have."""
    known = [str(name) for name in repeat.index.unique("map")]
    if isinstance(scans, Mapping):
        first = next((one for of_subject in scans.values() for one in of_subject), None)
        return known if first is None else [name for name in known if name in first.maps]
    there = set(scans["map"]) if "map" in scans.columns else set(known)
    return [name for name in known if name in there]


def _limit(repeat: pd.DataFrame, region: str, name: str, *, relative: bool) -> float:
    if (region, name) not in repeat.index:
        known = ", ".join(f"{place} {what}" for place, what in repeat.index.tolist()[:8])
        raise OptionError(
            f"the repeatability of {name} in region {region} is not known; expected one of "
            f"{known}. Name the region whose repeatability holds (region=, --like)"
        )
    column = repeat["rc_relative" if relative else "rc"].to_numpy(dtype=np.float64)
    return float(column[repeat.index.get_loc((region, name))])


def _judged(before: float, after: float, rc: float) -> dict[str, float | bool]:
    difference = after - before
    return {
        "before": before,
        "after": after,
        "difference": difference,
        "ratio": after / before if before else math.nan,
        "rc": rc,
        "lo": difference - rc,
        "hi": difference + rc,
        "significant": abs(difference) > rc,
    }
