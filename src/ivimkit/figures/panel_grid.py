"""Grid: a page of images in rows and columns with their colour bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from ivimkit.figures.figure_page import MARGIN, Page, fitted_size
from ivimkit.figures.map_style import BACKGROUND, Shown
from ivimkit.figures.orientation import View
from ivimkit.figures.reliability import Doubt, draw_unreliable

__all__ = [
    "Column",
    "draw_columns",
    "draw_plane",
    "draw_slices",
    "draw_wrapped",
    "letter_sides",
    "panel_size",
]

_PANEL_WIDTH = 2.3
"""Width of an image, inches; all numbers below are also in inches."""

_GAP = 0.12
_ROW_NAME = 0.26
_TITLE = 0.27
_BAR_GAP, _BAR, _BAR_TEXT = 0.09, 0.11, 0.42
_BELOW = _BAR_GAP + _BAR + _BAR_TEXT

_PER_ROW = 4


@dataclass(frozen=True)
class Column:
    """Images that share a title, a range and a colour bar.

    Parameters
    ----------
    title : str
        Their title.
    planes : sequence of ndarray, shape (x, y)
        One stored map per row.
    shown : Shown
        Their style.
    faded : sequence of ndarray of int, shape (x, y)
        How the voxels of each plane are drawn, see `ivimkit.figures.reliability.Doubt`; empty for
        all as they are.
    """

    title: str
    planes: Sequence[NDArray[Any]]
    shown: Shown
    faded: Sequence[Doubt] = field(default=())

    def faded_in(self, row: int) -> Doubt | None:
        """Return how the voxels of a plane are drawn; None for all as they are."""
        return self.faded[row] if self.faded else None


def draw_columns(
    columns: Sequence[Column],
    row_names: Sequence[str],
    view: View,
    title: str,
    *,
    foot: str = "",
) -> Figure:
    """Draw a page with one row per name; each column has one colour bar below.

    Parameters
    ----------
    columns : sequence of Column
        The columns, with one plane per row.
    row_names : sequence of str
        Names of the rows.
    view : View
        Orientation of the planes.
    title : str
        Title of the page.
    foot : str
        Text at the bottom.

    Returns
    -------
    matplotlib.figure.Figure
    """
    width, height = panel_size(columns[0].planes[0], view)
    left, right = MARGIN + _ROW_NAME, width + _GAP
    bottom = _TITLE + len(row_names) * (height + _GAP) - _GAP
    page = Page(left + len(columns) * right - _GAP + MARGIN, bottom + _BELOW, title, foot)
    places = [
        (left + i * right, _TITLE + j * (height + _GAP))
        for j in range(len(row_names))
        for i in range(len(columns))
    ]
    panels = [page.place(x, y, width, height) for x, y in places]
    for i, column in enumerate(columns):
        column_axes = panels[i :: len(columns)]
        _entitle(column_axes[0], column.title, right)
        images = [
            draw_plane(axes, plane, column.shown, view, faded=column.faded_in(j), inches=width)
            for j, (axes, plane) in enumerate(zip(column_axes, column.planes, strict=True))
        ]
        _colour_bar(page, images[0], (left + i * right, bottom), width, column)
    for axes, name in zip(panels[:: len(columns)], row_names, strict=True):
        axes.set_ylabel(name, fontsize=fitted_size(name, 10, height + _GAP))
        letter_sides(axes, view)
    return page.figure


def draw_wrapped(
    columns: Sequence[Column],
    view: View,
    title: str,
    *,
    width: float = _PANEL_WIDTH,
    foot: str = "",
) -> Figure:
    """Draw a page with the first plane of each column, four in a row, each with a colour bar.

    Parameters
    ----------
    columns : sequence of Column
        The columns.
    view : View
        Orientation of the planes.
    title : str
        Title of the page.
    width : float
        Width of an image, inches.
    foot : str
        Text at the bottom.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n_rows = -(-len(columns) // _PER_ROW)
    n_columns = -(-len(columns) // n_rows)
    width, height = panel_size(columns[0].planes[0], view, width=width)
    right, down = width + _GAP, _TITLE + height + _BELOW
    page = Page(n_columns * right - _GAP + 2 * MARGIN, n_rows * down, title, foot)
    places = [
        (MARGIN + i % n_columns * right, i // n_columns * down + _TITLE)
        for i in range(len(columns))
    ]
    panels = [page.place(x, y, width, height) for x, y in places]
    for panel, (x, y), column in zip(panels, places, columns, strict=True):
        _entitle(panel, column.title, right)
        faded = column.faded_in(0)
        image = draw_plane(panel, column.planes[0], column.shown, view, faded=faded, inches=width)
        _colour_bar(page, image, (x, y + height), width, column)
        letter_sides(panel, view)
    return page.figure


def draw_slices(
    columns: Sequence[Column], numbers: Sequence[int], view: View, title: str, *, foot: str = ""
) -> Figure:
    """Draw a page with one slice in rows of four images, or with a row for each slice.

    Parameters
    ----------
    columns : sequence of Column
        The columns, with one plane per slice.
    numbers : sequence of int
        The slices; empty for maps of two axes, which have none.
    view : View
        Orientation of the planes.
    title : str
        Title of the page; the number of the only slice is added.
    foot : str
        Text at the bottom.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if len(numbers) > 1:
        return draw_columns(columns, [f"slice {k}" for k in numbers], view, title, foot=foot)
    heading = "".join([title, *(f", slice {k}" for k in numbers)])
    return draw_wrapped(columns, view, heading, foot=foot)


def panel_size(
    plane: NDArray[Any], view: View, *, width: float = _PANEL_WIDTH
) -> tuple[float, float]:
    """Return width and height of an image on the page, in inches.

    Parameters
    ----------
    plane : ndarray, shape (x, y)
        The image.
    view : View
        Its orientation.
    width : float
        The usual width. Very tall images are narrower, so that the page fits a screen.
    """
    rows, columns = view.image(plane).shape
    ratio = view.aspect * rows / columns
    height = min(max(width * ratio, 0.8), 2.5 * width)
    return max(0.5 * width, min(width, height / ratio)), height


def _entitle(axes: Axes, title: str, width: float) -> None:
    axes.set_title(title, fontsize=fitted_size(title, 11, width), pad=4)


def draw_plane(
    axes: Axes,
    plane: NDArray[Any],
    shown: Shown,
    view: View,
    *,
    faded: Doubt | None = None,
    inches: float = _PANEL_WIDTH,
) -> AxesImage:
    """Draw one image without ticks.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The axes.
    plane : ndarray, shape (x, y)
        Stored values.
    shown : Shown
        Its style.
    view : View
        Orientation of the plane.
    faded : ndarray of int, shape (x, y), optional
        How its voxels are drawn, see `ivimkit.figures.reliability.Doubt`.
    inches : float
        Width of the image on the page.

    Returns
    -------
    matplotlib.image.AxesImage
    """
    axes.set(xticks=[], yticks=[], facecolor=BACKGROUND)
    numbers = shown.values(view.image(plane))
    drawn = axes.imshow(
        numbers,
        origin="lower",
        interpolation="nearest",
        cmap=shown.colormap,
        vmin=shown.limits[0],
        vmax=shown.limits[1],
        aspect=view.aspect,
    )
    if faded is not None:
        draw_unreliable(axes, numbers, view.image(faded), shown, inches=inches)
    return drawn


def _colour_bar(
    page: Page, image: AxesImage, corner: tuple[float, float], width: float, column: Column
) -> None:
    """Draw the colour bar below an image, whose lower left corner is given."""
    left, bottom = corner
    place = page.place(left + 0.05 * width, bottom + _BAR_GAP, 0.9 * width, _BAR)
    shown = column.shown
    ends = shown.extend([shown.values(plane) for plane in column.planes])
    bar = page.figure.colorbar(image, cax=place, orientation="horizontal", extend=ends)
    label = shown.label
    bar.set_label(label, fontsize=fitted_size(label, 9, width), labelpad=3)
    bar.ax.tick_params(labelsize=8, pad=2)
    bar.ax.xaxis.get_offset_text().set_fontsize(8)
    bar.ax.locator_params(nbins=max(2, round(2.2 * width)))


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
