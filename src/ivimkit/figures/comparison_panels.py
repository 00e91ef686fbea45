"""Comparison panels: the model of every voxel, and the weight of evidence for each model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ivimkit.figures.figure_page import MARGIN, Page, fitted_size, text_width
from ivimkit.figures.map_style import BACKGROUND
from ivimkit.figures.orientation import View, choose_cut, view_of
from ivimkit.figures.panel_grid import letter_sides, panel_size
from ivimkit.figures.plain_text import plain
from ivimkit.rounding import percent, thousands

if TYPE_CHECKING:
    from ivimkit.fitting.comparison import Comparison

__all__ = ["comparison_panels"]

_GAP = 0.12
"""Distance between images, inches; the next ones are also in inches."""

_TITLE, _ROW_NAME = 0.27, 0.26
_BAR_GAP, _BAR, _BAR_TEXT = 0.09, 0.11, 0.42
_LEGEND_LINE = 0.19

_LEGEND_SIZE = 8
"""Points."""

# Distinguishable by all readers, even in grey; further models reuse them from the start.
_COLOURS = (
    *("#56B4E9", "#F0E442", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#0072B2"),
    *("#B3DE69", "#8C564B", "#AA88FF", "#00E5CC", "#7A7A00"),
)
_MAX_WEIGHTS = 6
"""Number of models whose weights are drawn: of more, those with the highest."""

_WEIGHT_COLOURS = "cividis"
_NAMES = {"aicc": "AICc", "bic": "BIC", "f_test": "F-test", "evidence": "evidence"}
_WEIGHT = {
    "aicc": "Akaike weight",
    "bic": "weight by BIC",
    "f_test": "selected by the F-test",
    "evidence": "posterior probability",
}


def comparison_panels(
    comparison: Comparison,
    *,
    slices: int | Sequence[int] | None = None,
    crop: bool = True,
    title: str | None = None,
) -> Figure:
    """Draw the model selected in each voxel, and the weight of every model.

    Parameters
    ----------
    comparison : Comparison
        The result of `ivimkit.compare`.
    slices : int or sequence of int, optional
        Slices to show, counted from 0; by default up to three with data.
    crop : bool
        Whether to show only the part of the slices around voxels with a choice.
    title : str, optional
        Title of the page; by default the models and the criterion.

    Returns
    -------
    matplotlib.figure.Figure
        One row per slice. The legend gives the number of voxels in the whole volume that select
        each model. Of more than six models, the six with the highest weights are drawn.

    Raises
    ------
    OptionError
        If there is no such slice.
    ShapeError
        If the maps are not images.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> figure = ik.report.comparison_panels(ik.compare(made.dwi))
    >>> [axes.get_title() for axes in figure.axes][:4]
    ['model', 'monoexp', 'sivim', 'biexp']
    """
    cut = choose_cut(comparison.chosen >= 0, slices, most=3, crop=crop)
    view, drawn = view_of(comparison.geometry), _drawn(comparison)
    names = [plain(name) for name in drawn]
    chosen = cut.planes(comparison.chosen)
    weights = [cut.planes(comparison.weights[name]) for name in drawn]
    width, height = panel_size(chosen[0], view)
    entries = _entries(comparison)
    # In addition to its text an entry has a handle and gaps.
    first = max(
        width, max(text_width(text, _LEGEND_SIZE) for text in entries) + 5 * _LEGEND_SIZE / 72
    )
    left, right = MARGIN + _ROW_NAME + first + _GAP, width + _GAP
    bottom = _TITLE + len(chosen) * (height + _GAP) - _GAP
    below = max(_BAR_GAP + _BAR + _BAR_TEXT, _BAR_GAP + len(entries) * _LEGEND_LINE + MARGIN)
    every = ", ".join(plain(name) for name in comparison.names)
    heading = f"{every} by {_NAMES[comparison.criterion]}" if title is None else title
    page = Page(left + len(names) * right - _GAP + MARGIN, bottom + below, heading)
    start = MARGIN + _ROW_NAME + (first - width) / 2
    for row, k in enumerate(cut.slices):
        top = _TITLE + row * (height + _GAP)
        axes = page.place(start, top, width, height)
        _draw_models(axes, chosen[row], view, len(comparison.names))
        if comparison.chosen.ndim == 3:
            axes.set_ylabel(f"slice {k}", fontsize=fitted_size(f"slice {k}", 10, height + _GAP))
        panels = [page.place(left + i * right, top, width, height) for i in range(len(names))]
        for panel, planes in zip(panels, weights, strict=True):
            image = _draw_weight(panel, planes[row], view)
        if row == 0:
            for panel, name in zip((axes, *panels), ("model", *names), strict=True):
                panel.set_title(name, fontsize=fitted_size(name, 11, right), pad=4)
    span = len(names) * right - _GAP
    bar_place = page.place(left + 0.2 * span, bottom + _BAR_GAP, 0.6 * span, _BAR)
    bar = page.figure.colorbar(image, cax=bar_place, orientation="horizontal")
    bar.set_label(_WEIGHT[comparison.criterion], fontsize=9, labelpad=3)
    bar.ax.tick_params(labelsize=8, pad=2)
    page.figure.legend(
        handles=[
            Patch(facecolor=colour, edgecolor="0.5", label=text)
            for text, colour in zip(entries, _colours(len(entries)), strict=True)
        ],
        loc="upper center",
        bbox_to_anchor=((start + width / 2) / page.figure.get_figwidth(), page.up(bottom + 0.08)),
        borderaxespad=0,
        fontsize=_LEGEND_SIZE,
        frameon=False,
    )
    return page.figure


def _colours(n: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(n)]


def _drawn(comparison: Comparison) -> list[str]:
    """Return the models whose weights are drawn, in their order."""
    totals = {name: float(np.nansum(comparison.weights[name])) for name in comparison.names}
    highest = sorted(totals, key=lambda name: -totals[name])[:_MAX_WEIGHTS]
    return [name for name in comparison.names if name in highest]


def _entries(comparison: Comparison) -> list[str]:
    """Return the texts of the legend: each model with its number of voxels."""
    counts = [int(np.count_nonzero(comparison.chosen == i)) for i in range(len(comparison.names))]
    total = max(1, sum(counts))
    pairs = zip(comparison.names, counts, strict=True)
    return [f"{name}: {thousands(count)} ({percent(count / total)})" for name, count in pairs]


def _draw_models(axes: Axes, plane: NDArray[np.int32], view: View, n: int) -> None:
    colours = [BACKGROUND, *_colours(n)]
    axes.imshow(
        view.image(plane),
        origin="lower",
        interpolation="nearest",
        cmap=ListedColormap(colours),
        norm=BoundaryNorm(np.arange(-1, n + 1) - 0.5, n + 1),
        aspect=view.aspect,
    )
    axes.set(xticks=[], yticks=[])
    letter_sides(axes, view)


def _draw_weight(axes: Axes, plane: NDArray[np.float64], view: View) -> AxesImage:
    axes.set(xticks=[], yticks=[], facecolor=BACKGROUND)
    letter_sides(axes, view)
    return axes.imshow(
        view.image(plane),
        origin="lower",
        interpolation="nearest",
        cmap=colormaps[_WEIGHT_COLOURS].with_extremes(bad=BACKGROUND),
        vmin=0.0,
        vmax=1.0,
        aspect=view.aspect,
    )
