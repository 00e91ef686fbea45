"""Difference panels: the maps of two results, their differences and agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.figures.figure_page import MARGIN, Page, fitted_size
from ivimkit.figures.map_look import MapLook
from ivimkit.figures.map_style import Shown
from ivimkit.figures.orientation import choose_cut, planes_of, view_of
from ivimkit.figures.panel_grid import draw_plane, letter_sides, panel_size
from ivimkit.figures.plain_text import plain
from ivimkit.figures.reliability import Doubt, note
from ivimkit.figures.shown_maps import filled_mask, shown_part
from ivimkit.quality.difference import Difference
from ivimkit.rounding import thousands

__all__ = ["agreement_panels", "difference_panels"]

_GAP = 0.12
"""Distance between images, inches; the next ones are also in inches."""

_TITLE, _ROW_NAME = 0.27, 0.26
_BAR_GAP, _BAR, _BAR_TEXT = 0.09, 0.11, 0.62
_LEFT, _TOP, _WIDTH, _HEIGHT, _DOWN = 0.8, 0.3, 3.5, 2.4, 3.2

_DIVERGING = "RdBu_r"
_DENSITY = "Blues"
_MEAN, _LIMITS = "black", "#D55E00"

_BINS = 90
"""Bins across, and one more vertically, so that a difference of 0 is the centre of a bin."""

_MAX_ROWS = 5


def difference_panels(
    difference: Difference,
    *,
    maps: Sequence[str] | None = None,
    slice: int | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    crop: bool = True,
    title: str | None = None,
    unreliable: str = "fade",
) -> Figure:
    """Draw the maps of two results and their differences side by side.

    Parameters
    ----------
    difference : Difference
        The result of `ivimkit.quality.difference`.
    maps : sequence of str, optional
        The maps to draw; by default the first five.
    slice : int, optional
        The slice to show, counted from 0; by default the middle one with data.
    limits : mapping of str to tuple of float, optional
        Display range of each map, in the stored unit.
    crop : bool
        Whether to show only the part of the slice around voxels with a value.
    title : str, optional
        Title of the page; by default the difference formed, and the slice.
    unreliable : {"fade", "hide", "show"}
        What to do with voxels whose value the data do not determine, see
        `ivimkit.FitResult.reliable`: fade and hatch them, leave them out, or show them like all
        others. A difference is not reliable where one of the two values is not.

    Returns
    -------
    matplotlib.figure.Figure
        One row per map: first and second on one scale, then second minus first on a scale that is
        centred at 0 and covers 98 % of the voxels of the volume.

    Raises
    ------
    OptionError
        If there is no such map or slice.
    ShapeError
        If the maps are not images.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> fits = [ik.fit(made.dwi, method=name) for name in ("varpro", "segmented")]
    >>> found = ik.quality.difference(*fits, ("varpro", "segmented"))
    >>> figure = ik.report.difference_panels(found, maps=["D"])
    >>> [axes.get_title() for axes in figure.axes if axes.get_title()]
    ['varpro', 'segmented', 'segmented − varpro']
    """
    names = _chosen(difference, maps)[: None if maps is not None else _MAX_ROWS]
    look = _look(difference, limits, unreliable)
    first, second = _called(difference)
    results = (difference.first, difference.second)
    cut = choose_cut(filled_mask(*results), slice, most=1, crop=crop)
    box = cut.box(len(difference.first.shape))
    view = view_of(difference.first.geometry)
    width, height = panel_size(planes_of(results[0].within(box).status)[0], view)
    bar = _BAR_GAP + _BAR + _BAR_TEXT
    left = MARGIN + _ROW_NAME
    places = (left, left + width + _GAP, left + 2 * (width + _GAP) + bar)
    down = height + _GAP
    of = f", slice {cut.slices[0]}" if len(box) == 3 else ""
    heading = f"{first} and {second}{of}" if title is None else title
    shown_of = [(called, one, names) for called, one in zip((first, second), results, strict=True)]
    foot = note(shown_of, unreliable)
    page = Page(places[2] + width + bar + MARGIN, _TITLE + len(names) * down, heading, foot)
    titles = (first, second, f"{second} − {first}")
    for row, name in enumerate(names):
        top = _TITLE + row * down
        shown = _shown(difference, name, look)
        change, changed = _centred(difference.maps[name], shown), difference.maps[name][box]
        parts = [shown_part(one, name, cut) for one in results]
        either = np.maximum(parts[0][1], parts[1][1])
        drawn: list[tuple[NDArray[Any], Doubt, Shown]] = [
            (*parts[0], shown),
            (*parts[1], shown),
            (changed, either * np.isfinite(changed), change),
        ]
        panels = [page.place(x, top, width, height) for x in places]
        images = []
        for axes, (stored, where, scale) in zip(panels, drawn, strict=True):
            values, faded = (planes_of(one)[0] for one in look.drawn(stored, where))
            images.append(draw_plane(axes, values, scale, view, faded=faded, inches=width))
        for which, scale in ((1, shown), (2, change)):
            place = page.place(places[which] + width + _BAR_GAP, top, _BAR, height)
            _bar(place, images[which], scale)
        panels[0].set_ylabel(shown.symbol, fontsize=fitted_size(shown.symbol, 10, height))
        for axes in panels:
            letter_sides(axes, view)
        for axes, text in zip(panels if row == 0 else (), titles, strict=False):
            axes.set_title(text, fontsize=fitted_size(text, 11, width + _GAP), pad=4)
    return page.figure


def agreement_panels(
    difference: Difference, *, maps: Sequence[str] | None = None, title: str | None = None
) -> Figure:
    """Draw the agreement of two results: the difference of each voxel against its mean.

    Parameters
    ----------
    difference : Difference
        The result of `ivimkit.quality.difference`.
    maps : sequence of str, optional
        The maps to draw; by default all.
    title : str, optional
        Title of the page; none by default.

    Returns
    -------
    matplotlib.figure.Figure
        Bland-Altman plots: per map the number of voxels in shades of blue, on a logarithmic scale;
        the mean difference as a line, the 95 % limits of agreement dashed.

    Raises
    ------
    OptionError
        If there is no such map.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> fits = [ik.fit(made.dwi, method=name) for name in ("varpro", "segmented")]
    >>> figure = ik.report.agreement_panels(ik.quality.difference(*fits), maps=["D"])
    >>> figure.axes[0].get_ylabel()
    'B − A (10⁻³ mm²/s)'

    References
    ----------
    Bland JM, Altman DG. Statistical methods for assessing agreement between two methods of
    clinical measurement. Lancet 1986;327:307-310. doi:10.1016/S0140-6736(86)90837-8
    """
    names = _chosen(difference, maps)
    n_columns = min(2, len(names))
    n_rows = -(-len(names) // n_columns)
    right = _LEFT + _WIDTH
    page = Page(n_columns * right + 2 * MARGIN, n_rows * _DOWN, title or "")
    for number, name in enumerate(names):
        left = number % n_columns * right + _LEFT
        axes = page.place(left, number // n_columns * _DOWN + _TOP, _WIDTH, _HEIGHT)
        _draw_agreement(axes, difference, name)
    return page.figure


def _called(difference: Difference) -> tuple[str, str]:
    """Return the names of the two results for display."""
    first, second = (plain(name, empty="(no name)") for name in difference.names)
    return first, second


def _chosen(difference: Difference, maps: Sequence[str] | None) -> list[str]:
    names = list(difference.maps) if maps is None else list(maps)
    missing = [name for name in names if name not in difference.maps]
    if missing or not names:
        wanted = repr(missing[0]) if missing else "to draw"
        has = ", ".join(difference.maps)
        raise OptionError(f"there is no difference of map {wanted}; expected some of {has}")
    return names


def _look(
    difference: Difference,
    limits: Mapping[str, tuple[float, float]] | None = None,
    unreliable: str = "fade",
) -> MapLook:
    results = (difference.first, difference.second)
    parameters = {p.name: p for result in results for p in result.model.parameters}
    return MapLook(tuple(parameters.values()), limits, unreliable)


def _shown(difference: Difference, name: str, look: MapLook) -> Shown:
    return look.style(name, difference.first, difference.second)


def _centred(stored: NDArray[Any], shown: Shown) -> Shown:
    """Return the style of a difference: zero in the middle, colours for both signs."""
    known = np.abs(stored[np.isfinite(stored)])
    largest = float(np.percentile(known, 98)) * shown.factor if known.size else 0.0
    largest = largest if largest > 0 else 1.0
    symbol = f"difference of {shown.symbol}"
    return Shown(symbol, shown.unit, shown.factor, (-largest, largest), _DIVERGING)


def _bar(place: Axes, image: AxesImage, shown: Shown) -> None:
    array: NDArray[np.float64] = np.ma.filled(np.ma.asarray(image.get_array()), np.nan)
    bar = place.figure.colorbar(image, cax=place, extend=shown.extend([array]))
    bar.set_label(shown.label, fontsize=8, labelpad=3)
    place.tick_params(labelsize=7, pad=2)
    place.locator_params(nbins=5)


def _draw_agreement(axes: Axes, difference: Difference, name: str) -> None:
    shown, row = _shown(difference, name, _look(difference)), difference.rows[name]
    change = shown.values(difference.maps[name])
    middle = shown.values(np.asarray(difference.first.maps[name])) + change / 2
    both = np.isfinite(change)
    lines = {key: row[key] * shown.factor for key in ("difference", "lower", "upper")}
    known = [value for value in lines.values() if np.isfinite(value)]
    extent = 1.15 * max([_centred(difference.maps[name], shown).limits[1], *np.abs(known)])
    counts, _, _ = np.histogram2d(
        middle[both], change[both], (_BINS, _BINS + 1), (shown.limits, (-extent, extent))
    )
    axes.imshow(
        np.where(counts > 0, counts, np.nan).T,
        origin="lower",
        extent=(*shown.limits, -extent, extent),
        aspect="auto",
        interpolation="nearest",
        cmap=colormaps[_DENSITY].with_extremes(bad="white"),
        # The lightest blues are hardly visible on white.
        norm=LogNorm(0.2, max(2.0, float(counts.max()))),
    )
    labels = {
        "difference": "mean difference",
        "lower": "lower limit (95 %)",
        "upper": "upper limit",
    }
    for key, value in lines.items():
        colour, style = (_MEAN, "-") if key == "difference" else (_LIMITS, "--")
        axes.axhline(value, linewidth=1.1, label=labels[key], color=colour, linestyle=style)
    unit = f" ({shown.unit})" if shown.unit else ""
    first, second = _called(difference)
    across, upright = f"mean of {first} and {second}{unit}", f"{second} − {first}{unit}"
    axes.set_xlabel(across, fontsize=fitted_size(across, 9, _WIDTH))
    axes.set_ylabel(upright, fontsize=fitted_size(upright, 9, _HEIGHT))
    axes.set_title(f"{shown.symbol} (n = {thousands(row['n'])})", fontsize=10, pad=4)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper right")
