"""Mosaics: all slices of one map, or of the scan at one b-value, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import ShapeError
from ivimkit.extend.signal_model import S0
from ivimkit.figures.figure_page import MARGIN, Page
from ivimkit.figures.map_style import BACKGROUND, Shown, how_to_show, title_of
from ivimkit.figures.orientation import View, choose_cut, view_of
from ivimkit.figures.reliability import (
    check_choice,
    doubtful_voxels,
    draw_unreliable,
    note,
    stored_map,
)
from ivimkit.fitting.result import FitResult
from ivimkit.scan.dwi import DWI

__all__ = ["image_mosaic", "mosaic", "mosaic_names"]

_MOST = 30

_WIDTH, _HIGHEST = 9.2, 7.0
"""Of the mosaic, inches; so are the next ones."""

_WIDEST_SLICE = 3.6
_TOP = 0.08
_BAR_GAP, _BAR, _BAR_TEXT, _BAR_WIDTH = 0.09, 0.12, 0.42, 3.5

_LEVELS = 200
"""Colours of a map, so that with the greys of letters all fit into the palette of a PNG file."""

_GAP = 2
"""Voxels between slices."""


def mosaic(
    result: FitResult,
    name: str,
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
    most: int = _MOST,
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
        Range shown of each map, in the stored unit, e.g. ``organs.get("liver").display``.
    most : int
        Slices to show at most; of more, evenly spread ones.
    crop : bool
        Whether to leave out the surroundings of the voxels with a value.
    title : str, optional
        Above the slices; by default the name of the map and which slices there are.
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
        If the map is no image.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 6))
    >>> figure = ik.report.mosaic(ik.fit(made.dwi), "D")
    >>> figure.get_suptitle(), figure.axes[-1].get_xlabel()
    ('D, slices 0 to 5', 'D (10⁻³ mm²/s)')
    """
    check_choice(unreliable)
    stored = np.asarray(result.maps[name])
    shown = how_to_show(name, result.model.quantities, [stored], limits)
    doubtful = doubtful_voxels(result, name, stored)
    drawn, faded = stored_map(stored, doubtful, unreliable)
    return _draw(
        drawn,
        np.isfinite(stored),
        shown,
        view_of(result.geometry),
        title_of(name, result.model.quantities) if title is None else title,
        most=most,
        crop=crop,
        numbered=title is None,
        faded=faded,
        foot=note([("", result, {name: doubtful})], unreliable),
    )


def image_mosaic(
    dwi: DWI,
    b: float,
    *,
    within: ArrayLike | None = None,
    most: int = _MOST,
    crop: bool = True,
    title: str | None = None,
) -> Figure:
    """Draw all slices of a scan at one b-value.

    Parameters
    ----------
    dwi : DWI
        The scan.
    b : float
        The shell with the nearest b-value is shown, averaged, s/mm^2.
    within : array_like, shape of the voxels, optional
        Voxels that matter, > 0: they set the range of grey and what is cropped; by default the
        mask of the scan.
    most, crop, title
        See `mosaic`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeError
        If the scan is no volume, or `within` has another shape.

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
    image = dwi.mean_image(nearest)
    shown = how_to_show("S0", (S0,), [image[inside]])
    return _draw(
        image,
        inside,
        replace(shown, symbol="signal"),
        view_of(dwi.geometry),
        f"b = {nearest:g} s/mm²" if title is None else title,
        most=most,
        crop=crop,
        numbered=title is None,
    )


def mosaic_names(result: FitResult) -> tuple[str, ...]:
    """Return the maps of a result that are worth a mosaic.

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


def _draw(
    array: NDArray[Any],
    inside: NDArray[np.bool_],
    shown: Shown,
    view: View,
    title: str,
    *,
    most: int,
    crop: bool,
    numbered: bool,
    faded: NDArray[np.bool_] | None = None,
    foot: str = "",
) -> Figure:
    cut = choose_cut(inside, None, most=most, crop=crop)
    images = [view.image(plane) for plane in cut.planes(array)]
    rows, columns = images[0].shape
    ratio = view.aspect * rows / columns
    n_columns = _columns(len(images), ratio)
    n_rows = -(-len(images) // n_columns)
    sheet = np.full(
        (n_rows * (rows + _GAP) - _GAP, n_columns * (columns + _GAP) - _GAP),
        np.nan,
        dtype=np.float32,
    )
    pale = np.zeros(sheet.shape, dtype=bool)
    doubtful = None if faded is None else [view.image(plane) for plane in cut.planes(faded)]
    corners = []
    for number, image in enumerate(images):
        # From the upper left; the sheet begins at the bottom.
        x = number % n_columns * (columns + _GAP)
        y = (n_rows - 1 - number // n_columns) * (rows + _GAP)
        sheet[y : y + rows, x : x + columns] = shown.values(image)
        if doubtful is not None:
            pale[y : y + rows, x : x + columns] = doubtful[number]
        corners.append((x, y))
    width = min(_WIDTH, n_columns * _WIDEST_SLICE)
    height = width * view.aspect * sheet.shape[0] / sheet.shape[1]
    if height > _HIGHEST:
        width, height = width * _HIGHEST / height, _HIGHEST
    of = f", {_slices(cut.slices, array.shape)}" if numbered and array.ndim == 3 else ""
    page_width = max(width, _BAR_WIDTH) + 2 * MARGIN
    page = Page(page_width, _TOP + height + _BAR_GAP + _BAR + _BAR_TEXT, f"{title}{of}", foot)
    axes = page.place((page_width - width) / 2, _TOP, width, height)
    axes.set(xticks=[], yticks=[], facecolor=BACKGROUND)
    smooth = shown.colours == "gray"
    drawn = axes.imshow(
        sheet,
        origin="lower",
        # Images of the scan are smoothed to their places. Maps are not: that would invent
        # values at the edge of the mask.
        interpolation="antialiased" if smooth else "nearest",
        interpolation_stage="data",
        cmap=shown.colormap if smooth else shown.colormap.resampled(_LEVELS),
        vmin=shown.limits[0],
        vmax=shown.limits[1],
        aspect="auto",
    )
    draw_unreliable(axes, sheet, pale, shown, inches=width)
    if array.ndim == 3:
        for (x, y), k in zip(corners, cut.slices, strict=True):
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
    """Return the number of columns with which slices of that shape become largest."""

    def width(columns: int) -> float:
        rows = math.ceil(n / columns)
        return min(_WIDTH / columns, _HIGHEST / (rows * ratio))

    return max(range(1, n + 1), key=width)


def _slices(slices: Sequence[int], shape: tuple[int, ...]) -> str:
    first, last = slices[0], slices[-1]
    if len(slices) == 1:
        return f"slice {first}"
    if len(slices) == last - first + 1:
        return f"slices {first} to {last}"
    return f"{len(slices)} of {shape[2]} slices, {first} to {last}"


def _write(axes: Axes, x: float, y: float, text: str, place: tuple[str, str]) -> None:
    """Write white letters that can be read on any colour."""
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
