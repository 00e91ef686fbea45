"""Bland-Altman plots: how two scans of the same subjects differ, with the limits of agreement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.figures.figure_page import MARGIN, Page, fitted_size
from ivimkit.figures.map_style import Shown, how_to_show
from ivimkit.figures.plain_text import plain
from ivimkit.rounding import rounded

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["bland_altman"]

_WIDTH, _HEIGHT = 3.3, 2.3
"""Of the axes, inches; so are the distances between them."""

_LEFT, _TOP, _RIGHT, _DOWN = 0.8, 0.35, 0.75, 3.15
_MOST = 24
_POINT, _LINE, _LIMIT = "#0072B2", "#000000", "#B34700"
_TITLE_SIZE, _NOTE_SIZE = 10, 7
"""Points."""


def bland_altman(
    pairs: pd.DataFrame,
    repeatability: pd.DataFrame,
    *,
    regions: Sequence[str] | None = None,
    maps: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Draw the difference of two scans of each subject against their mean.

    Parameters
    ----------
    pairs : pandas.DataFrame
        What `ivimkit.quality.pairs` returned: the points.
    repeatability : pandas.DataFrame
        What `ivimkit.quality.repeatability` returned for the same values: the lines.
    regions, maps : sequence of str, optional
        Which of them; all by default, 24 panels at most.
    title : str
        Written on top.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per region (rows) and map (columns): points of subjects, bias (line), limits of
        agreement (dashed), each with its 95 % interval (shaded). With one subject there are no
        limits, and the repeatability coefficient stands in their place (dotted).

    Raises
    ------
    OptionError
        If there is no such region or map, or there are too many panels.

    Examples
    --------
    >>> import pandas as pd, ivimkit as ik
    >>> values = pd.DataFrame({"subject": list("aabbcc"), "session": [1, 2] * 3})
    >>> values = values.assign(
    ...     region="liver", map="D", value=[1e-3, 1.2e-3, 2e-3, 1.9e-3] * 1 + [1.4e-3, 1.5e-3]
    ... )
    >>> table = ik.quality.repeatability(values)
    >>> figure = ik.report.bland_altman(ik.quality.pairs(values), table)
    >>> figure.axes[0].get_ylabel()
    'second − first (10⁻³ mm²/s)'

    References
    ----------
    Bland JM, Altman DG. Stat Methods Med Res 1999;8:135-160. doi:10.1177/096228029900800204
    """
    rows = _chosen(regions, repeatability, "region")
    columns = _chosen(maps, repeatability, "map")
    if len(rows) * len(columns) > _MOST:
        raise OptionError(
            f"there are {len(rows)} regions and {len(columns)} maps; expected up to {_MOST} "
            "panels. Name some of them (--maps)",
            python="Pass maps= or regions=",
        )
    known: dict[Any, Any] = repeatability.to_dict(orient="index")
    step = _LEFT + _WIDTH + _RIGHT
    page = Page(len(columns) * step + MARGIN, len(rows) * _DOWN + MARGIN, title)
    for number, (region, name) in enumerate((r, c) for r in rows for c in columns):
        row, column = divmod(number, len(columns))
        axes = page.place(column * step + _LEFT, row * _DOWN + _TOP, _WIDTH, _HEIGHT)
        numbers = known.get((region, name))
        if numbers is None:
            axes.set_axis_off()
            continue
        points = _points(pairs, region, name)
        shown = _shown(name, numbers, points)
        _draw(axes, points, numbers, shown)
        heading = f"{plain(region, empty='(no name)')}: {plain(shown.symbol)}"
        axes.set_title(heading, fontsize=fitted_size(heading, _TITLE_SIZE, _WIDTH))
    return page.figure


def _chosen(asked: Sequence[str] | None, table: pd.DataFrame, level: str) -> list[str]:
    there = [str(name) for name in table.index.unique(level)]
    unknown = [name for name in asked or () if name not in there]
    if unknown:
        raise OptionError(
            f"there is no {level} {unknown[0]!r}; expected some of {', '.join(there)}"
        )
    return there if asked is None else list(asked)


def _points(pairs: pd.DataFrame, region: str, name: str) -> pd.DataFrame:
    level = pairs.index.get_level_values
    return pairs[(level("region") == region) & (level("map") == name)]


def _shown(name: str, numbers: dict[str, Any], points: pd.DataFrame) -> Shown:
    """Return symbol, unit and factor of a map; of one that is not ours, as the table has it."""
    parameters = models.quantities()
    try:
        describe(name, parameters)
    except OptionError:
        return Shown(name, plain(str(numbers["unit"])), 1.0, (math.nan, math.nan), "viridis")
    return how_to_show(name, parameters, [points["mean"].to_numpy()])


def _draw(axes: Axes, points: pd.DataFrame, numbers: dict[str, Any], shown: Shown) -> None:
    factor = shown.factor
    means = factor * points["mean"].to_numpy(dtype=np.float64)
    differences = factor * points["difference"].to_numpy(dtype=np.float64)
    unit = f" ({shown.unit})" if shown.unit else ""
    axes.set_xlabel(f"mean of both{unit}", fontsize=8)
    axes.set_ylabel(f"second − first{unit}", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.axhline(0.0, color="0.75", linewidth=0.8, zorder=0)
    lines = _lines(numbers)
    for value, low, high, colour, style, _ in lines:
        axes.axhline(factor * value, color=colour, linestyle=style, linewidth=1.0)
        if math.isfinite(low + high):
            axes.axhspan(factor * low, factor * high, color=colour, alpha=0.12, linewidth=0)
    axes.plot(means, differences, "o", color=_POINT, markersize=4, zorder=3)
    edges = [end for value, low, high, *_ in lines for end in (value, low, high)]
    _set_limits(axes, means, [*differences, *(factor * edge for edge in edges)])
    for value, _, _, colour, _, word in lines:
        axes.text(
            1.02,
            factor * value,
            f"{word}\n{rounded(factor * value)}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=_NOTE_SIZE,
            color=colour,
        )


def _lines(numbers: dict[str, Any]) -> list[tuple[float, float, float, str, str, str]]:
    """Return value, interval, colour, style and name of each line of a panel."""
    bias = float(numbers["bias"])
    found = []
    if math.isfinite(bias):
        found.append((bias, *_interval(numbers, "bias"), _LINE, "-", "bias"))
    limits = [float(numbers[name]) for name in ("lower_limit", "upper_limit")]
    if all(math.isfinite(limit) for limit in limits):
        for name, value, word in zip(
            ("lower_limit", "upper_limit"), limits, ("−1.96 sd", "+1.96 sd"), strict=True
        ):
            found.append((value, *_interval(numbers, name), _LIMIT, "--", word))
        return found
    rc = float(numbers["rc"])
    none = (math.nan, math.nan)
    return [
        *found,
        (-rc, *none, _LIMIT, ":", "−RC"),
        (rc, *none, _LIMIT, ":", "+RC"),
    ]


def _interval(numbers: dict[str, Any], name: str) -> tuple[float, float]:
    return float(numbers[f"{name}_lo"]), float(numbers[f"{name}_hi"])


def _set_limits(axes: Axes, across: Any, up: Sequence[float]) -> None:
    """Show all points and lines; a single point stands in the middle."""
    known = [value for value in up if math.isfinite(value)]
    reach = 1.08 * max((abs(value) for value in known), default=0.0)
    axes.set_ylim(-reach or -1.0, reach or 1.0)
    if not len(across):
        return
    low, high = float(np.min(across)), float(np.max(across))
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    axes.set_xlim(low - margin, high + margin)
