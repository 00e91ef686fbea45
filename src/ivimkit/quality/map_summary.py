"""Summaries of the maps of a result over all voxels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ivimkit.extend.derived_maps import describe, is_about_another
from ivimkit.quality.table_rows import map_names, quartiles, table_of

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = ["main_maps", "summary_rows", "summary_table"]


def summary_table(result: FitResult, maps: Sequence[str] | None = None) -> pd.DataFrame:
    """Summarise each map over all voxels that have a value.

    Parameters
    ----------
    result : FitResult
        The fit.
    maps : sequence of str, optional
        Which maps; all by default.

    Returns
    -------
    pandas.DataFrame
        One row per map: ``unit``, ``n`` (voxels with a value), ``median``, ``q25``, ``q75``.

    Raises
    ------
    OptionError
        If the result has no such map.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(16, 12, 1))
    >>> ik.quality.summary_table(ik.fit(made.dwi)).loc["D", "unit"]
    'mm^2/s'
    """
    return table_of(summary_rows(result, maps), "map")


def summary_rows(
    result: FitResult, maps: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the rows of `summary_table` by map, without loading pandas.

    Parameters
    ----------
    result : FitResult
        The fit.
    maps : sequence of str, optional
        Which maps; all by default.

    Returns
    -------
    dict of str to dict
        The columns of `summary_table`.

    Raises
    ------
    OptionError
        If the result has no such map.
    """
    rows = {}
    for name in map_names(result, maps):
        values = result.values_of(name)
        q25, median, q75 = quartiles(values)
        unit = describe(name, result.model.quantities).unit
        rows[name] = {"unit": unit, "n": values.size, "median": median, "q25": q25, "q75": q75}
    return rows


def main_maps(result: FitResult) -> list[str]:
    """Return the maps whose median over all voxels says something, for tables.

    Those about another map, such as its standard deviation, and the elements of an orientation
    are left out.
    """
    oriented = {q.name for q in result.model.quantities if q.role == "orientation"}
    return [
        name
        for name in result.maps
        if name not in oriented and not is_about_another(name, result.maps)
    ]
