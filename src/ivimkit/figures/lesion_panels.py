"""Lesion panels: a lesion on the high-b image and the maps, marked at the same position."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.signal_model import S0
from ivimkit.figures.map_look import MapLook
from ivimkit.figures.map_style import how_to_show
from ivimkit.figures.marks import draw_arrowheads, draw_contour, place_arrowheads
from ivimkit.figures.orientation import Cut, choose_cut, planes_of, view_of
from ivimkit.figures.panel_grid import Column, draw_wrapped, panel_size
from ivimkit.figures.reliability import note
from ivimkit.figures.shown_maps import filled_mask, shown_part
from ivimkit.fitting.result import FitResult
from ivimkit.scan.dwi import DWI

__all__ = ["MARKS", "lesion_panels"]

MARKS = ("arrowheads", "contour", "both", "none")
"""Ways to mark a lesion."""

_WIDTH = 2.9
"""Width of an image, inches."""

_SURROUNDINGS = 2.5
"""Margin around the lesion in units of its diameter, where there is tissue."""

_MARGIN, _LEAST_MARGIN = 0.6, 0.25
"""Margins of that range beyond the medians, relative to their distance and to the larger."""

_LESION, _REFERENCE = "white", "#F0E442"


def lesion_panels(
    result: FitResult,
    lesion: ArrayLike,
    *,
    dwi: DWI | None = None,
    reference: ArrayLike | None = None,
    maps: Sequence[str] | None = None,
    b: float = 800.0,
    slice: int | None = None,
    marks: str = "arrowheads",
    crop: bool = True,
    limits: Mapping[str, tuple[float, float]] | None = None,
    title: str | None = None,
    unreliable: str = "fade",
) -> Figure:
    """Draw a lesion on the diffusion-weighted image and on the maps.

    Parameters
    ----------
    result : FitResult
        The fit.
    lesion : array_like, shape of the maps
        Mask of the lesion, > 0 inside.
    dwi : DWI, optional
        The scan, for the image; by default that of the result. Without a scan, only the maps are
        drawn.
    reference : array_like, shape of the maps, optional
        Mask of the tissue to compare it with, drawn as a dashed contour.
    maps : sequence of str, optional
        Which maps; by default ADC, D and f: those of the model that are not about blood alone.
    b : float
        b-value of the image, s/mm^2; the nearest one is used.
    slice : int, optional
        The slice to show, counted from 0; by default the one with most of the lesion.
    marks : {"arrowheads", "contour", "both", "none"}
        How to mark the lesion, at the same position in every panel.
    crop : bool
        Whether to show only the lesion with its surroundings.
    limits : mapping of str to tuple of float, optional
        Display range of each map, in the stored unit; by default ADC and D share one derived from
        the lesion and the tissue next to it.
    title : str, optional
        Title of the page; by default the number of the slice.
    unreliable : {"fade", "hide", "show"}
        What to do with voxels whose value the data do not determine, see
        `ivimkit.FitResult.reliable`: fade and hatch them, leave them out, or show them like all
        others.

    Returns
    -------
    matplotlib.figure.Figure
        Panels a, b, c...: the image first, then the maps, each with its colour bar.

    Raises
    ------
    OptionError
        If there is no such map, mark or slice, or the slice does not intersect the lesion.
    ShapeError
        If a mask or the scan does not belong to the result, or the lesion is empty.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 2))
    >>> figure = ik.report.lesion_panels(ik.fit(made.dwi), made.region("lesion"))
    >>> [axes.get_title() for axes in figure.axes if axes.get_title()]
    ['b = 800 s/mm²', 'ADC', 'D', 'f']
    """
    if marks not in MARKS:
        raise OptionError(f"marks is {marks!r}; expected one of {', '.join(MARKS)}")
    look = MapLook(result.model.quantities, limits, unreliable)
    inside = _mask(lesion, result, "lesion")
    around = None if reference is None else _mask(reference, result, "reference")
    cut = _cut(inside, result, slice, crop=crop)
    view, scan = view_of(result.geometry), result.dwi if dwi is None else dwi
    columns = [] if scan is None else [_image(scan, result, cut, b)]
    look = replace(look, limits={**_window(result, inside, cut), **(limits or {})})
    names = _names(result, maps)
    columns += [look.column(name, [result], cut) for name in names]
    heading = (f"slice {cut.slices[0]}" if inside.ndim == 3 else "") if title is None else title
    foot = note([("", result, names)], unreliable)
    figure = draw_wrapped(columns, view, heading, width=_WIDTH, foot=foot)
    seen = view.image(cut.planes(inside)[0])
    width, _ = panel_size(columns[0].planes[0], view, width=_WIDTH)
    heads = place_arrowheads(seen, aspect=view.aspect, inches=width)
    panels = [axes for axes in figure.axes if axes.images]
    for letter, axes in zip(string.ascii_lowercase, panels, strict=False):
        if around is not None:
            _outline(axes, view.image(cut.planes(around)[0]), "reference")
        if marks in ("contour", "both"):
            _outline(axes, seen, "lesion")
        if marks in ("arrowheads", "both"):
            draw_arrowheads(axes, heads, "lesion (arrowheads)")
        _letter(axes, letter)
    return figure


def _mask(mask: ArrayLike, result: FitResult, what: str) -> NDArray[np.bool_]:
    inside = np.asarray(mask) > 0
    if inside.shape != result.shape:
        raise ShapeError(
            f"the {what} has shape {inside.shape}; expected {result.shape}, that of the maps. "
            "Resample it to the scan"
        )
    if not inside.any():
        raise ShapeError(f"the {what} is empty; expected at least one voxel > 0. Draw it again")
    return inside


def _cut(inside: NDArray[np.bool_], result: FitResult, slice_: int | None, *, crop: bool) -> Cut:
    """Choose the slice with most of the lesion, and what to show around it."""
    volume = inside.reshape(*inside.shape[:2], -1) if inside.ndim in (2, 3) else inside
    areas = volume.sum(axis=(0, 1)) if inside.ndim in (2, 3) else np.zeros(1)
    index = int(np.argmax(areas)) if slice_ is None else slice_
    cut = choose_cut(filled_mask(result), index, most=1, crop=crop)
    if not areas[cut.slices[0]]:
        reach = ", ".join(map(str, np.flatnonzero(areas)))
        raise OptionError(
            f"slice {cut.slices[0]} does not intersect the lesion; expected one of {reach}"
        )
    if not crop:
        return cut
    plane = volume[..., cut.slices[0]]
    edges = [np.flatnonzero(plane.any(axis=other)) for other in (1, 0)]
    sizes = result.geometry.voxel_size[:2]
    extent = max((edge[-1] - edge[0] + 1) * size for edge, size in zip(edges, sizes, strict=True))
    window = [
        _closer(whole, edge, _SURROUNDINGS * extent / size, n)
        for whole, edge, size, n in zip(cut.window, edges, sizes, plane.shape, strict=True)
    ]
    return Cut(cut.slices, (window[0], window[1]))


def _closer(whole: slice, edge: NDArray[np.intp], margin: float, n: int) -> slice:
    """Return the range of an axis around the lesion, limited to tissue and lesion."""
    start, stop, _ = whole.indices(n)
    first, last = int(edge[0]), int(edge[-1])
    return slice(
        min(first, max(start, first - round(margin))),
        max(last + 1, min(stop, last + 1 + round(margin))),
    )


def _names(result: FitResult, maps: Sequence[str] | None) -> list[str]:
    names = (
        [n for n in result.model.robust_maps if n in result.maps] if maps is None else list(maps)
    )
    unknown = [name for name in names if name not in result.maps]
    if unknown:
        has = ", ".join(result.maps)
        raise OptionError(f"there is no map {unknown[0]!r}; expected some of {has}")
    return names


def _image(scan: DWI, result: FitResult, cut: Cut, b: float) -> Column:
    if scan.shape != result.shape:
        raise ShapeError(
            f"the scan has shape {scan.shape}; expected {result.shape}, that of the maps. Pass "
            "the scan that was fitted"
        )
    shells = scan.acquisition.shell_bvals
    nearest = float(shells[np.abs(shells - b).argmin()])
    box = cut.box(len(scan.shape))
    planes = planes_of(scan.mean_part(nearest, box))
    tissue = planes[0][planes_of(result.within(box).mask)[0]]
    shown = how_to_show("S0", (S0,), [tissue])
    return Column(f"b = {nearest:g} s/mm²", planes, replace(shown, symbol="signal"))


def _window(
    result: FitResult, inside: NDArray[np.bool_], cut: Cut
) -> dict[str, tuple[float, float]]:
    """Return one range for ADC and D in which a lesion stands out from its surroundings."""
    (plane,) = Cut(cut.slices, (slice(None), slice(None))).planes(inside)
    edges = [np.flatnonzero(plane.any(axis=other)) for other in (1, 0)]
    near = [slice(max(0, edge[0] - edge.size), edge[-1] + 1 + edge.size) for edge in edges]
    close = Cut(cut.slices, (near[0], near[1]))
    of_tissue = (p.name for p in result.model.parameters if p.role == "diffusion")
    names = [name for name in dict.fromkeys(("ADC", *of_tissue)) if name in result.maps]
    lesion, middles = close.planes(inside)[0], []
    for name in names:
        values = planes_of(shown_part(result, name, close)[0])[0]
        parts = [part[np.isfinite(part)] for part in (values[lesion], values[~lesion])]
        # Medians: vessels next to a lesion would widen the range until nothing is visible.
        middles += [float(np.median(part)) for part in parts if part.size]
    if not middles:
        return {}
    low, high = min(middles), max(middles)
    margin = max(_MARGIN * (high - low), _LEAST_MARGIN * high)
    return dict.fromkeys(names, (max(0.0, low - margin), high + margin))


def _outline(axes: Axes, inside: NDArray[np.bool_], what: str) -> None:
    lesion = what == "lesion"
    draw_contour(
        axes,
        inside,
        f"{what} (contour)",
        colour=_LESION if lesion else _REFERENCE,
        linestyle="solid" if lesion else "dashed",
    )


def _letter(axes: Axes, letter: str) -> None:
    axes.text(
        0.03,
        0.03,
        letter,
        transform=axes.transAxes,
        color="white",
        fontsize=12,
        fontweight="bold",
        path_effects=[withStroke(linewidth=1.5, foreground="black")],
    )
