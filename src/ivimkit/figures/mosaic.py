"""Mosaics: all slices of one map, or of the scan at one b-value, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from ivimkit.errors import ShapeError
from ivimkit.extend.signal_model import S0
from ivimkit.figures.figure_page import MARGIN, Page
from ivimkit.figures.map_look import MapLook
from ivimkit.figures.map_style import BACKGROUND, how_to_show, title_of
from ivimkit.figures.orientation import Cut, View, choose_cut, planes_of, view_of
from ivimkit.figures.panel_grid import Column
from ivimkit.figures.reliability import draw_unreliable, note
from ivimkit.figures.shown_maps import filled_by
from ivimkit.fitting.result import FitResult
from ivimkit.scan.dwi import DWI

__all__ = ["image_mosaic", "mosaic", "mosaic_names"]

_MAX_TILES = 30

_WIDTH, _MAX_HEIGHT = 5.6, 4.3
"""Size of the mosaic, inches, with which two fit side by side on a page in full size, so that
their text can be read; the next ones are also in inches."""

_DPI = 210
"""Enlarged, a mosaic of thirty slices shows every voxel."""

_WIDEST_SLICE = 3.6
_TOP = 0.08
_BAR_GAP, _BAR, _BAR_TEXT, _BAR_WIDTH = 0.09, 0.12, 0.42, 3.5

_LEVELS = 200
"""Colours of a map: with the greys of letters they fit into the palette of a PNG file."""

_GAP = 2
"""Distance between slices, voxels."""


def mosaic(
    result: FitResult,
    name: str,
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
    most: int = _MAX_TILES,
    crop: bool = True,
    title: str | None = None,
    unreliable: str = "fade",
) -> Figure:
    """Draw all slices of a map.

    Parameters
    ----------
    result : FitResult
        The fit.
    name : str
        Name of the map.
    limits : mapping of str to tuple of float, optional
        Display range of each map, in the stored unit, e.g. ``organs.get("liver").display``.
    most : int
        Maximum number of slices; if there are more, evenly spaced ones.
    crop : bool
        Whether to leave out the surroundings of the voxels with a value.
    title : str, optional
        Title; by default the name of the map and the slices.
    unreliable : {"fade", "hide", "show"}
        What to do with voxels whose value the data do not determine, see
        `ivimkit.FitResult.reliable`: fade and hatch them, leave them out, or show them like all
        others.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        If there is no such map.
    ShapeError
        If the map is not an image.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 6))
    >>> figure = ik.report.mosaic(ik.fit(made.dwi), "D")
    >>> figure.get_suptitle(), figure.axes[-1].get_xlabel()
    ('D, slices 0 to 5', 'D (10⁻³ mm²/s)')
    """
    look = MapLook(result.model.quantities, limits, unreliable)
    cut = choose_cut(filled_by([(result, name)]), None, most=most, crop=crop)
    column = look.column(name, [result], cut)
    usual = _numbered(title_of(name, result.model.quantities), cut, result.shape)
    foot = note([("", result, [name])], unreliable)
    return _draw(
        replace(column, title=usual if title is None else title),
        cut.numbers(result.shape),
        view_of(result.geometry),
        foot,
    )


def image_mosaic(
    dwi: DWI,
    b: float,
    *,
    within: ArrayLike | None = None,
    most: int = _MAX_TILES,
    crop: bool = True,
    title: str | None = None,
) -> Figure:
    """Draw all slices of a scan at one b-value.

    Parameters
    ----------
    dwi : DWI
        The scan.
    b : float
        b-value, s/mm^2; the nearest shell is used, averaged.
    within : array_like, shape of the voxels, optional
        Relevant voxels, > 0: they determine the grey scale and the crop; by default the mask of
        the scan.
    most, crop, title
        See `mosaic`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeError
        If the scan is not a volume, or `within` has another shape.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 6))
    >>> ik.report.image_mosaic(made.dwi, 1000).get_suptitle()
    'b = 800 s/mm², slices 0 to 5'
    """
    inside = np.asarray(dwi.mask if within is None else within) > 0
    if inside.shape != dwi.shape:
        raise ShapeError(
            f"the mask has shape {inside.shape}; expected {dwi.shape}, that of the scan. "
            "Resample it to the scan"
        )
    shells = dwi.acquisition.shell_bvals
    nearest = float(shells[np.abs(shells - b).argmin()])
    shown = how_to_show("S0", (S0,), [dwi.mean_values(nearest, inside)])
    cut = choose_cut(inside, None, most=most, crop=crop)
    usual = _numbered(f"b = {nearest:g} s/mm²", cut, dwi.shape)
    planes = planes_of(dwi.mean_part(nearest, cut.box(len(dwi.shape))))
    column = Column(usual if title is None else title, planes, replace(shown, symbol="signal"))
    return _draw(column, cut.numbers(dwi.shape), view_of(dwi.geometry))


def mosaic_names(result: FitResult) -> tuple[str, ...]:
    """Return the maps of a result to show as mosaics.

    Parameters
    ----------
    result : FitResult
        The fit.

    Returns
    -------
    tuple of str
        ADC, D, f, D* and f D*, or those of the model, then standard deviations and information.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> ik.report.mosaic_names(ik.fit(made.dwi, model="sivim"))
    ('ADC', 'D', 'f')
    """
    there = [name for name in result.model.shown_maps if name in result.maps]
    parameters = [name for name in there if name in result.model.names]
    trust = [f"{name}{end}" for end in ("_sd", "_bits") for name in parameters]
    return (*there, *(name for name in trust if name in result.maps))


def _draw(column: Column, numbers: Sequence[int], view: View, foot: str = "") -> Figure:
    """Draw the slices of a column side by side, with their numbers, if they have any."""
    shown = column.shown
    images = [view.image(plane) for plane in column.planes]
    rows, columns = images[0].shape
    ratio = view.aspect * rows / columns
    n_columns = _columns(len(images), ratio)
    n_rows = -(-len(images) // n_columns)
    sheet = np.full(
        (n_rows * (rows + _GAP) - _GAP, n_columns * (columns + _GAP) - _GAP),
        np.nan,
        dtype=np.float32,
    )
    pale = np.zeros(sheet.shape, dtype=np.uint8)
    corners = []
    for number, image in enumerate(images):
        # From the upper left; the sheet starts at the bottom.
        x = number % n_columns * (columns + _GAP)
        y = (n_rows - 1 - number // n_columns) * (rows + _GAP)
        sheet[y : y + rows, x : x + columns] = shown.values(image)
        faded = column.faded_in(number)
        if faded is not None:
            pale[y : y + rows, x : x + columns] = view.image(faded)
        corners.append((x, y))
    width = min(_WIDTH, n_columns * _WIDEST_SLICE)
    height = width * view.aspect * sheet.shape[0] / sheet.shape[1]
    if height > _MAX_HEIGHT:
        width, height = width * _MAX_HEIGHT / height, _MAX_HEIGHT
    page_width = max(width, _BAR_WIDTH) + 2 * MARGIN
    page_height = _TOP + height + _BAR_GAP + _BAR + _BAR_TEXT
    page = Page(page_width, page_height, column.title, foot, dpi=_DPI)
    axes = page.place((page_width - width) / 2, _TOP, width, height)
    axes.set(xticks=[], yticks=[], facecolor=BACKGROUND)
    smooth = shown.colours == "gray"
    drawn = axes.imshow(
        sheet,
        origin="lower",
        # Images of the scan are interpolated. Maps are not: that would invent values at the edge
        # of the mask.
        interpolation="antialiased" if smooth else "nearest",
        interpolation_stage="data",
        cmap=shown.colormap if smooth else shown.colormap.resampled(_LEVELS),
        vmin=shown.limits[0],
        vmax=shown.limits[1],
        aspect="auto",
    )
    draw_unreliable(axes, sheet, pale, shown, inches=width)
    # A map of two axes has no numbers.
    for (x, y), k in zip(corners, numbers, strict=False):
        _write(axes, x + 0.02 * columns, y + 0.03 * rows, str(k), ("left", "bottom"))
    x, y = corners[0]
    left, right = view.sides
    _write(axes, x + 0.02 * columns, y + 0.97 * rows, left, ("left", "top"))
    _write(axes, x + 0.98 * columns, y + 0.97 * rows, right, ("right", "top"))
    place = page.place((page_width - _BAR_WIDTH) / 2, _TOP + height + _BAR_GAP, _BAR_WIDTH, _BAR)
    bar = page.figure.colorbar(
        drawn, cax=place, orientation="horizontal", extend=shown.extend([sheet])
    )
    bar.set_label(shown.label, fontsize=9, labelpad=3)
    bar.ax.tick_params(labelsize=8, pad=2)
    return page.figure


def _columns(n: int, ratio: float) -> int:
    """Return the number of columns that makes slices of that shape largest."""

    def width(columns: int) -> float:
        rows = math.ceil(n / columns)
        return min(_WIDTH / columns, _MAX_HEIGHT / (rows * ratio))

    return max(range(1, n + 1), key=width)


def _numbered(title: str, cut: Cut, shape: tuple[int, ...]) -> str:
    """Return a title with the slices that are shown, if there are any."""
    if len(shape) < 3:
        return title
    first, last, n = cut.slices[0], cut.slices[-1], len(cut.slices)
    if n == 1:
        return f"{title}, slice {first}"
    if n == last - first + 1:
        return f"{title}, slices {first} to {last}"
    return f"{title}, {n} of {shape[2]} slices, {first} to {last}"


def _write(axes: Axes, x: float, y: float, text: str, place: tuple[str, str]) -> None:
    """Write white letters that are readable on any colour."""
    axes.text(
        x,
        y,
        text,
        color="white",
        fontsize=7,
        ha=place[0],
        va=place[1],
        path_effects=[withStroke(linewidth=1.2, foreground="black")],
    )
