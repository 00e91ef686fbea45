"""Grid: a page of images in rows and columns with their colour bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from ivimkit.report.shown import BACKGROUND, Shown
from ivimkit.report.view import View

__all__ = ["Column", "draw_columns", "draw_wrapped", "letter_sides", "panel_height"]

_PANEL_WIDTH = 2.3
"""Width of an image, inches."""

_PER_ROW = 4


@dataclass(frozen=True)
class Column:
    """Images that share a title, a range and a colour bar.

    Parameters
    ----------
    title : str
        What they show.
    planes : sequence of ndarray, shape (x, y)
        One stored map per row.
    shown : Shown
        How they are shown.
    """

    title: str
    planes: Sequence[NDArray[Any]]
    shown: Shown


def draw_columns(
    columns: Sequence[Column], row_names: Sequence[str], view: View, title: str
) -> Figure:
    """Draw a page with one row per name; each column has one colour bar below.

    Parameters
    ----------
    columns : sequence of Column
        What to draw, with one plane per row.
    row_names : sequence of str
        Written beside the rows.
    view : View
        How to turn the planes.
    title : str
        Of the page.

    Returns
    -------
    matplotlib.figure.Figure
    """
    height = panel_height(columns[0].planes[0], view)
    figure, axes = _page(len(row_names), len(columns), height, title, bars=1)
    for i, column in enumerate(columns):
        axes[0, i].set_title(column.title, fontsize=11)
        for j, plane in enumerate(column.planes):
            image = _draw(axes[j, i], plane, column.shown, view)
        _colour_bar(figure, image, list(axes[:, i]), column)
    for j, name in enumerate(row_names):
        axes[j, 0].set_ylabel(name, fontsize=10)
        letter_sides(axes[j, 0], view)
    return figure


def draw_wrapped(columns: Sequence[Column], view: View, title: str) -> Figure:
    """Draw a page with the first plane of each column, four in a row, each with a colour bar.

    Parameters
    ----------
    columns : sequence of Column
        What to draw.
    view : View
        How to turn the planes.
    title : str
        Of the page.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n_rows = -(-len(columns) // _PER_ROW)
    n_columns = -(-len(columns) // n_rows)
    height = panel_height(columns[0].planes[0], view)
    figure, axes = _page(n_rows, n_columns, height, title, bars=n_rows)
    for spare in axes.flat[len(columns) :]:
        spare.remove()
    for panel, column in zip(axes.flat, columns, strict=False):
        panel.set_title(column.title, fontsize=11)
        image = _draw(panel, column.planes[0], column.shown, view)
        _colour_bar(figure, image, [panel], column)
        letter_sides(panel, view)
    return figure


def panel_height(plane: NDArray[Any], view: View, *, width: float = _PANEL_WIDTH) -> float:
    """Return the height of an image of a given width on the page, in inches."""
    rows, columns = view.image(plane).shape
    # Very long images would make a page that no screen shows.
    return float(np.clip(width * view.aspect * rows / columns, 0.8, 2.5 * width))


def _page(
    n_rows: int, n_columns: int, height: float, title: str, *, bars: int
) -> tuple[Figure, NDArray[Any]]:
    size = (_PANEL_WIDTH * n_columns + 0.6, (height + 0.15) * n_rows + 0.75 * bars + 0.7)
    figure = Figure(figsize=size, dpi=120, layout="compressed")
    figure.suptitle(title, fontsize=12)
    return figure, np.asarray(figure.subplots(n_rows, n_columns, squeeze=False))


def _draw(axes: Axes, plane: NDArray[Any], shown: Shown, view: View) -> AxesImage:
    axes.set(xticks=[], yticks=[], facecolor=BACKGROUND)
    return axes.imshow(
        shown.values(view.image(plane)),
        origin="lower",
        interpolation="nearest",
        cmap=shown.colormap,
        vmin=shown.limits[0],
        vmax=shown.limits[1],
        aspect=view.aspect,
    )


def _colour_bar(figure: Figure, image: AxesImage, axes: list[Axes], column: Column) -> None:
    bar = figure.colorbar(
        image,
        ax=axes,
        location="bottom",
        shrink=0.9,
        aspect=18,
        pad=0.02,
        extend=_extend(column),
    )
    bar.set_label(column.shown.label, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.ax.locator_params(nbins=5)


def _extend(column: Column) -> str:
    """Say at which ends of the colour bar there are values beyond it."""
    values = [column.shown.values(plane) for plane in column.planes]
    below = any(bool((array < column.shown.limits[0]).any()) for array in values)
    above = any(bool((array > column.shown.limits[1]).any()) for array in values)
    return {(False, False): "neither", (True, False): "min", (False, True): "max"}.get(
        (below, above), "both"
    )


def letter_sides(axes: Axes, view: View) -> None:
    """Write the sides of the patient into the upper corners of an image."""
    for letter, x, side in zip(view.sides, (0.02, 0.98), ("left", "right"), strict=True):
        axes.text(
            x,
            0.97,
            letter,
            transform=axes.transAxes,
            color="white",
            fontsize=8,
            ha=side,
            va="top",
        )
