"""Rows of tables: functions shared by all tables about results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = [
    "each_region",
    "labelled",
    "labels_like",
    "map_names",
    "mean_sd",
    "quartiles",
    "table_of",
]


def quartiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the 25th, 50th and 75th percentile; NaN without values."""
    if not values.size:
        return np.nan, np.nan, np.nan
    q25, median, q75 = np.percentile(values, [25, 50, 75])
    return float(q25), float(median), float(q75)


def mean_sd(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard deviation (n - 1); NaN for too few values."""
    mean = float(values.mean()) if values.size else np.nan
    sd = float(values.std(ddof=1)) if values.size > 1 else np.nan
    return mean, sd


def map_names(result: FitResult, maps: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the maps asked for, all by default; OptionError for an unknown one."""
    names = tuple(result.maps) if maps is None else tuple(maps)
    unknown = [name for name in names if name not in result.maps]
    if unknown:
        has = ", ".join(result.maps)
        raise OptionError(f"the result has no map {unknown[0]!r}; expected one of {has}")
    return names


def labels_like(labels: ArrayLike | Labels, result: FitResult) -> NDArray[Any]:
    """Return labels as an array; ShapeError if they have another shape than the maps."""
    array = np.asarray(labels)
    if array.shape != result.shape:
        raise ShapeError(
            f"the region has shape {array.shape}; expected {result.shape}, that of the maps. "
            "Resample it to the scan"
        )
    return array


def labelled(
    labels: ArrayLike | Labels, result: FitResult, names: Mapping[int, str] | None = None
) -> Labels:
    """Return the regions of a result with names; ShapeError if they have another shape."""
    array = labels_like(labels, result)
    known = labels.names if isinstance(labels, Labels) else {}
    return Labels(array, {**known, **(names or {})})


def each_region(labels: NDArray[Any], names: Mapping[int, str] | None) -> list[tuple[int, str]]:
    """Return number and name of each region; ShapeError if there is none."""
    return list(Labels(labels, names).names.items())


def table_of(rows: Mapping[Any, Mapping[str, Any]], index: str | tuple[str, ...]) -> pd.DataFrame:
    """Return a data frame of rows, with one index level per name."""
    # Imported here: it takes a fifth of a second, and not every table becomes a data frame.
    import pandas as pd

    table = pd.DataFrame.from_dict(dict(rows), orient="index")
    if isinstance(index, str):
        table.index.name = index
    else:
        table.index = pd.MultiIndex.from_tuples(list(rows), names=index)
    return table
