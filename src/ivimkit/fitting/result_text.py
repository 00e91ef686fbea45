"""A result in a few lines of text: what was fitted, and the usual numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ivimkit.parameter import Parameter
from ivimkit.rounding import NONE, in_unit, plus_minus, shown_unit, spread

__all__ = ["lines_of_maps", "lines_of_regions"]

_NO_VALUES = np.array([math.nan])


def lines_of_maps(
    maps: Mapping[str, NDArray[np.float64]], shown: Sequence[Parameter]
) -> list[str]:
    """Return one line per map: its value and error, or its median and quartiles.

    Parameters
    ----------
    maps : mapping of str to ndarray, shape (...)
        The maps, and those of their errors (``_sd``).
    shown : sequence of Parameter
        Which maps, and their units.

    Returns
    -------
    list of str
        With the unit that is shown; a dash where no voxel has a value.
    """
    rows = [(one.symbol, _numbers(maps, one), shown_unit(one)) for one in shown]
    width = max((len(symbol) for symbol, *_ in rows), default=0)
    return [f"{symbol:{width}}  {numbers} {unit}".rstrip() for symbol, numbers, unit in rows]


def lines_of_regions(
    maps: Mapping[str, NDArray[np.float64]], shown: Sequence[Parameter], regions: Sequence[str]
) -> list[str]:
    """Return a table with one row per region, for maps whose voxels are regions.

    Parameters
    ----------
    maps : mapping of str to ndarray, shape (n_regions,)
        The maps, and those of their errors (``_sd``).
    shown : sequence of Parameter
        Which maps, and their units.
    regions : sequence of str
        Names of the regions.

    Returns
    -------
    list of str
        The heads of the columns, their units, and the rows.
    """
    columns = [["", "", *regions]]
    for about in shown:
        own = {name: maps[name] for name in (about.name, f"{about.name}_sd") if name in maps}
        numbers = (
            _numbers({name: values[[place]] for name, values in own.items()}, about)
            for place in range(len(regions))
        )
        columns.append([about.symbol, shown_unit(about), *numbers])
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _numbers(maps: Mapping[str, NDArray[np.float64]], about: Parameter) -> str:
    values = _finite(maps, about.name)
    if not values.size:
        return NONE
    if values.size == 1:
        errors = _finite(maps, f"{about.name}_sd")
        return plus_minus(about, float(values[0]), float(errors[0]) if errors.size else math.nan)
    q25, median, q75 = (float(one) for one in np.percentile(values, (25, 50, 75)))
    error = spread(q25, q75)
    ends = (in_unit(about, end, error) for end in (q25, q75))
    return f"{in_unit(about, median, error)} ({' to '.join(ends)})"


def _finite(maps: Mapping[str, NDArray[np.float64]], name: str) -> NDArray[np.float64]:
    """Return the values of a map that there are."""
    values = maps.get(name, _NO_VALUES)
    return np.asarray(values[np.isfinite(values)], dtype=np.float64)
