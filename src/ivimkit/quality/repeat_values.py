"""Values of repeated scans: one per subject, scan, region and map."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, RegionWarning, ShapeError
from ivimkit.extend.derived_maps import describe
from ivimkit.quality.region_tables import region_values
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = [
    "KEYS",
    "STATISTICS",
    "each_measurement",
    "numbered",
    "pairs",
    "repeat_values",
    "repeated",
    "units",
    "values_of",
]

KEYS = ("subject", "session", "region", "map")
"""Columns of a table of values that identify the measurement."""

STATISTICS = ("mean", "median", "p5", "q25", "q75", "p95", "roi_fit")
"""Columns of `roi_table` that can represent a region."""


def repeat_values(
    scans: Mapping[str, Sequence[FitResult]],
    labels: ArrayLike | Labels | Mapping[str, Sequence[ArrayLike | Labels]] | None = None,
    *,
    maps: Sequence[str] | None = None,
    statistic: str = "median",
    reliable_only: bool = False,
) -> pd.DataFrame:
    """Collect one number per subject, scan, region and map.

    Parameters
    ----------
    scans : mapping of str to sequence of FitResult
        The results of each subject, in the order of the scans.
    labels : Labels, array_like of int, or mapping of str to sequence of these, optional
        Regions: the same for all scans, or those of each scan in the structure of `scans`. By
        default all voxels that were fitted are one region, ``"all"``.
    maps : sequence of str, optional
        Which maps; by default ADC, D, f, D* and f D*, or those of the first fit's model.
    statistic : {"mean", "median", "p5", "q25", "q75", "p95", "roi_fit"}
        Which column of `roi_table` represents a region.
    reliable_only : bool
        Whether to use only voxels whose value the data identify, see `ivimkit.FitResult.reliable`.

    Returns
    -------
    pandas.DataFrame
        Columns ``subject``, ``session`` (1, 2, ...), ``region``, ``map``, ``unit`` and ``value``.

    Raises
    ------
    OptionError
        If there is no scan, map or statistic with that name, or the labels have another structure
        than the scans.
    ShapeError
        If labels have another shape than the maps.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = [ik.simulate.phantom(shape=(24, 18, 1), seed=seed) for seed in (1, 2)]
    >>> scans = {"phantom": [ik.fit(one.dwi) for one in made]}
    >>> values = ik.quality.repeat_values(scans, made[0].region("liver"), maps=["D"])
    >>> values["session"].tolist(), values["map"].tolist()
    ([1, 2], ['D', 'D'])
    """
    # Imported here: it takes a fifth of a second.
    import pandas as pd

    if statistic not in STATISTICS:
        raise OptionError(f"statistic is {statistic!r}; expected one of {', '.join(STATISTICS)}")
    if reliable_only and statistic == "roi_fit":
        raise OptionError(
            "roi_fit is asked for of reliable voxels only, and it is of the mean signal of all "
            "fitted voxels; expected another statistic, like median. Leave one out"
        )
    if not any(map(len, scans.values())):
        raise OptionError("there is no scan; expected two or more of each subject. Name them")
    first = next(one for of_subject in scans.values() for one in of_subject)
    wanted = [n for n in first.model.shown_maps if n in first.maps] if maps is None else list(maps)
    rows = []
    for subject, results in scans.items():
        for session, result in enumerate(results, start=1):
            regions = _labels_of(labels, subject, session, len(results), result)
            found = region_values(result, regions, wanted, statistic, reliable_only=reliable_only)
            rows += [
                (subject, session, *key, describe(key[1], result.model.quantities).unit, value)
                for key, value in found.items()
            ]
    return pd.DataFrame(rows, columns=[*KEYS, "unit", "value"])


def _labels_of(
    labels: Any, subject: str, session: int, n_sessions: int, result: FitResult
) -> ArrayLike | Labels:
    if labels is None:
        if not result.mask.any():
            raise ShapeError("the result has no fitted voxel; expected some. Check its mask")
        return Labels(result.mask, {1: "all"})
    if not isinstance(labels, Mapping):
        return labels  # type: ignore[no-any-return]
    own = labels.get(subject, ())
    if len(own) != n_sessions:
        raise OptionError(
            f"subject {subject} has {n_sessions} scans and {len(own)} sets of labels; expected "
            "one set per scan"
        )
    return own[session - 1]  # type: ignore[no-any-return]


def numbered(values: pd.DataFrame, *, statistic: str = "median") -> pd.DataFrame:
    """Return one row per subject, region and map, and one column per scan, numbered from 1.

    Parameters
    ----------
    values : pandas.DataFrame
        A table from `repeat_values`. Scans are numbered within each subject, in the
        order of the rows.
    statistic : str
        The column to use if there is none called ``value``.

    Returns
    -------
    pandas.DataFrame
        Index ``region``, ``map``, ``subject``; NaN where a subject has fewer scans.

    Raises
    ------
    OptionError
        If a column is missing or does not contain numbers, or a value occurs twice.
    """
    column = "value" if "value" in values.columns else statistic
    missing = [name for name in (*KEYS, column) if name not in values.columns]
    if missing:
        has = ", ".join(map(str, values.columns))
        raise OptionError(
            f"the table has no column {missing[0]!r}; expected {', '.join(KEYS)} and value (or "
            f"{statistic}); it has {has}"
        )
    if values[column].dtype.kind not in "iuf":
        raise OptionError(
            f"the column {column} holds other than numbers; expected one number in each row"
        )
    twice = values.duplicated(list(KEYS))
    if twice.any():
        row = values.loc[twice, list(KEYS)].iloc[0]
        raise OptionError(
            f"subject {row['subject']} has two values of {row['map']} in region {row['region']} "
            f"of session {row['session']}; expected one. Name sessions apart"
        )
    table = values.assign(session=values["session"].astype(str))
    order = table[["subject", "session"]].drop_duplicates()
    number = order.groupby("subject", sort=False).cumcount() + 1
    scan = table.merge(order.assign(scan=number), on=["subject", "session"])
    index = ["region", "map", "subject"]
    wide = scan.pivot(index=index, columns="scan", values=column)
    kept = values[index].drop_duplicates()
    kept = kept.sort_values(["region", "map"], key=lambda c: c.map(_positions(c)), kind="stable")
    return wide.reindex(list(kept.itertuples(index=False, name=None)))


def _positions(column: pd.Series[Any]) -> dict[Any, int]:
    """Return the position of each value in the order of appearance."""
    return {value: place for place, value in enumerate(column.unique())}


def pairs(values: pd.DataFrame, *, statistic: str = "median") -> pd.DataFrame:
    """Return the first two scans of each subject and their difference, for Bland-Altman plots.

    Parameters
    ----------
    values : pandas.DataFrame
        A table from `repeat_values`.
    statistic : str
        The column to use if there is none called ``value``.

    Returns
    -------
    pandas.DataFrame
        One row per region, map and subject with both: ``unit``, ``first``, ``second``, ``mean``
        and ``difference`` (second - first).

    Raises
    ------
    OptionError
        If the table lacks a column, or no subject has two scans.

    Warns
    -----
    RegionWarning
        If a subject has one scan only.

    Examples
    --------
    >>> import pandas as pd, ivimkit as ik
    >>> values = pd.DataFrame({"subject": list("aabb"), "session": [1, 2, 1, 2]})
    >>> values = values.assign(region="liver", map="D", value=[1.0, 1.2, 2.0, 1.9])
    >>> ik.quality.pairs(values)["difference"].round(3).tolist()
    [0.2, -0.1]
    """
    wide = repeated(numbered(values, statistic=statistic))
    table = wide[[1, 2]].rename(columns={1: "first", 2: "second"}).dropna()
    table.columns.name = None
    table["mean"] = table.mean(axis=1)
    table["difference"] = table["second"] - table["first"]
    table.insert(0, "unit", [units(values).get(str(key[1]), "") for key in table.index])
    return table


def repeated(wide: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `numbered` with two values or more; warn of the others."""
    enough = wide.notna().sum(axis=1) >= 2
    if not enough.any():
        raise OptionError(
            "no subject has two scans with a value in the same region and map; expected two or "
            "more scans of some subjects. Check the names of subjects and regions"
        )
    # A region that a subject lacks altogether was not asked for.
    alone = sorted({str(key[2]) for key in wide.index[wide.notna().sum(axis=1) == 1]})
    if alone:
        warnings.warn(
            f"subjects {', '.join(alone[:5])}{', ...' if len(alone) > 5 else ''} have one value "
            "only in some region; expected two or more scans. They are left out there",
            RegionWarning,
            stacklevel=3,
        )
    return wide[enough]


def units(values: pd.DataFrame) -> dict[str, str]:
    """Return the unit of each map; empty if the table has none."""
    if "unit" not in values.columns:
        return {}
    first = values.drop_duplicates("map")
    # An empty unit is read from a file as NaN.
    return {
        str(k): u if isinstance(u, str) else ""
        for k, u in zip(first["map"], first["unit"], strict=True)
    }


def each_measurement(
    wide: pd.DataFrame,
) -> Iterator[tuple[tuple[str, str], NDArray[np.float64]]]:
    """Yield region and map with the values of a table of `numbered`, one row per subject."""
    for key, part in wide.groupby(level=["region", "map"], sort=False):
        region, name = key
        yield (str(region), str(name)), part.to_numpy(dtype=np.float64)


def values_of(
    scans: pd.DataFrame | Mapping[str, Sequence[FitResult]],
    labels: Any,
    maps: Sequence[str] | None,
    statistic: str,
) -> pd.DataFrame:
    """Return a table of values, made from results if there is none."""
    if isinstance(scans, Mapping):
        return repeat_values(scans, labels, maps=maps, statistic=statistic)
    if labels is not None:
        raise OptionError("labels were given beside a table of values; leave them out")
    if maps is None or "map" not in scans.columns:
        return scans
    missing = [name for name in maps if name not in set(scans["map"])]
    if missing:
        there = ", ".join(map(str, scans["map"].unique()))
        raise OptionError(f"the table has no map {missing[0]!r}; expected some of {there}")
    return scans[scans["map"].isin(list(maps))]
