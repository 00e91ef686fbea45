"""Distributions of a cohort: the value of each scan in each region, map by map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.figures.figure_page import MARGIN, Page, fitted_size
from ivimkit.figures.map_style import Shown, how_to_show
from ivimkit.figures.plain_text import plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_REGIONS", "cohort_panels"]

MAX_REGIONS = 12
"""Maximum number of regions of a panel; others are left out."""

_HEIGHT, _LEFT, _TOP, _DOWN = 2.2, 0.8, 0.35, 3.3
_WIDTH_OF_REGION, _MIN_WIDTH = 0.55, 2.4
"""Size of the axes, inches; the distances between them are also in inches."""

_PER_ROW = 3
_POINT, _OUTLIER, _LINE = "#0072B2", "#B34700", "#000000"
_TITLE_SIZE, _TEXT_SIZE = 10, 7
"""Points."""

_LONGEST_NAME = 22
"""Characters."""

_SPREAD = 0.28
"""Half width of a cloud of points, in distances of regions."""


def cohort_panels(
    table: pd.DataFrame, outliers: pd.DataFrame, *, maps: Sequence[str], statistic: str = "median"
) -> Figure:
    """Draw the value of each scan in each region, one panel per map.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``region``, ``map``, ``unit`` and `statistic`, one row per scan, region and map.
    outliers : pandas.DataFrame
        Rows of the table, by their index, that are drawn as outliers.
    maps : sequence of str
        Which maps.
    statistic : str
        Which column.

    Returns
    -------
    matplotlib.figure.Figure
        Points of scans; lines at median and quartiles of the scans.

    Examples
    --------
    >>> import pandas as pd, ivimkit as ik
    >>> table = pd.DataFrame({"region": "liver", "map": "D", "median": [1e-3, 1.2e-3, 1.1e-3]})
    >>> figure = ik.figures.cohort_panels(table, table[:0], maps=["D"])
    >>> figure.axes[0].get_ylabel()
    'D (10⁻³ mm²/s)'
    """
    regions = [str(region) for region in table["region"].unique()[:MAX_REGIONS]]
    width = max(_MIN_WIDTH, _WIDTH_OF_REGION * len(regions))
    columns, step = min(_PER_ROW, len(maps)), _LEFT + width + MARGIN
    rows = -(-len(maps) // columns)
    page = Page(columns * step + MARGIN, rows * _DOWN + MARGIN)
    for number, name in enumerate(maps):
        row, column = divmod(number, columns)
        axes = page.place(column * step + _LEFT, row * _DOWN + _TOP, width, _HEIGHT)
        own = table[table["map"] == name]
        _draw(axes, own, outliers.index, regions, _shown(name, own, statistic), statistic)
    return page.figure


def _shown(name: str, own: pd.DataFrame, statistic: str) -> Shown:
    """Return symbol, unit and factor of a map; of one that is not ours, as the table has it."""
    parameters = models.quantities()
    try:
        describe(name, parameters)
    except OptionError:
        return Shown(name, "", 1.0, (float("nan"), float("nan")), "viridis")
    return how_to_show(name, parameters, [own[statistic].to_numpy(dtype=np.float64)])


def _draw(
    axes: Axes,
    own: pd.DataFrame,
    outliers: pd.Index,
    regions: Sequence[str],
    shown: Shown,
    statistic: str,
) -> None:
    for place, region in enumerate(regions):
        part = own[own["region"] == region].dropna(subset=[statistic])
        values = shown.factor * part[statistic].to_numpy(dtype=np.float64)
        if not values.size:
            continue
        at = place + _spread_out(values)
        is_outlier = part.index.isin(outliers)
        axes.plot(at[~is_outlier], values[~is_outlier], "o", color=_POINT, markersize=3, alpha=0.6)
        axes.plot(at[is_outlier], values[is_outlier], "D", color=_OUTLIER, markersize=4)
        low, middle, high = np.percentile(values, (25, 50, 75))
        axes.hlines(middle, place - 0.4, place + 0.4, color=_LINE, linewidth=1.5)
        axes.hlines([low, high], place - 0.3, place + 0.3, color=_LINE, linewidth=0.7)
    names = [plain(region, longest=_LONGEST_NAME, empty="(no name)") for region in regions]
    axes.set_xticks(
        range(len(regions)), names, rotation=35, ha="right", fontsize=_TEXT_SIZE, parse_math=False
    )
    axes.set_xlim(-0.6, len(regions) - 0.4)
    axes.tick_params(axis="y", labelsize=_TEXT_SIZE)
    axes.set_ylabel(plain(shown.label), fontsize=8)
    axes.set_title(plain(shown.symbol), fontsize=fitted_size(shown.symbol, _TITLE_SIZE, 2.0))


def _spread_out(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return offsets by which points of similar values lie side by side, without chance."""
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    # Multiples of the golden ratio are spread evenly, however many there are.
    golden = np.asarray((order * 0.6180339887498949) % 1.0, dtype=np.float64)
    return np.asarray(_SPREAD * (2.0 * golden - 1.0)) if values.size > 1 else np.zeros(1)
