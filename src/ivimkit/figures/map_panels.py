"""Map panels: the maps of one fit with its images, or of several fits for comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from ivimkit import models
from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures.map_look import MapLook
from ivimkit.figures.map_style import how_to_show
from ivimkit.figures.orientation import Cut, choose_cut, planes_of, view_of
from ivimkit.figures.panel_grid import Column, draw_columns, draw_slices
from ivimkit.figures.plain_text import plain_keys
from ivimkit.figures.reliability import note
from ivimkit.figures.shown_maps import MapSource, filled_by, shape_of, shown_part
from ivimkit.parameter import Parameter
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry

__all__ = ["compare_methods", "map_panels"]

# Up to this ratio of their medians, measured and predicted S0 are shown on one scale.
_SAME = 1.5


def map_panels(
    result: MapSource,
    dwi: DWI | None = None,
    *,
    slices: int | Sequence[int] | None = None,
    maps: Sequence[str] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    high_b: float = 800.0,
    crop: bool = True,
    title: str | None = None,
    unreliable: str = "fade",
) -> Figure:
    """Draw the maps of a fit next to the images they were computed from.

    Parameters
    ----------
    result : FitResult or mapping of str to ndarray
        The fit, or maps by name, shape (x, y, z) or (x, y).
    dwi : DWI, optional
        The scan, for its image at the lowest b-value, next to the predicted S0 on the same scale,
        and at a high one.
    slices : int or sequence of int, optional
        Slices to show, counted from 0; by default up to three with data.
    maps : sequence of str, optional
        Which maps; by default ADC, D, f, D* and f D*, or those of the fitted model.
    limits : mapping of str to tuple of float, optional
        Display range of each map, in the stored unit, e.g. ``organs.get("liver").display``; by
        default that of the model's parameters.
    high_b : float
        b-value of the second image, s/mm^2; the nearest one is used.
    crop : bool
        Whether to show only the part of the slices around voxels with a value.
    title : str, optional
        Title of the page; by default model and method.
    unreliable : {"fade", "hide", "show"}
        What to do with voxels whose value the data do not determine, see
        `ivimkit.FitResult.reliable`: fade and hatch them, leave them out, or show them like all
        others. In a fit with a posterior they are faded, like those that are uncertain, see
        `ivimkit.FitResult.uncertain`. A line below the maps explains it and gives their number.

    Returns
    -------
    matplotlib.figure.Figure
        One slice fills rows of four images; several slices have a row each.

    Raises
    ------
    OptionError
        If there is no such map or slice.
    ShapeError
        If maps and scan have different shapes, or are not images.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> figure = ik.report.map_panels(ik.fit(made.dwi), made.dwi)
    >>> [axes.get_title() for axes in figure.axes][:3]
    ['S0 measured (b = 0)', 'S0 predicted', 'b = 800 s/mm²']
    """
    look = MapLook(_parameters_of(result), limits, unreliable)
    names = _chosen_maps(result, maps, _usual_maps(result))
    geometry = _geometry_of([result], dwi)
    shapes = [shape_of(result, name) for name in names]
    shape = _common_shape([*shapes, *([] if dwi is None else [dwi.shape])])
    cut = choose_cut(filled_by([(result, names[0])]), slices, most=3, crop=crop)
    foot = note([("", result, names)], unreliable)
    columns = [
        *(_images(result, dwi, look.parameters, cut, high_b) if dwi is not None else []),
        *(look.column(name, [result], cut) for name in names),
    ]
    heading = _heading(result) if title is None else title
    return draw_slices(columns, cut.numbers(shape), view_of(geometry), heading, foot=foot)


def compare_methods(
    results: Mapping[str, MapSource],
    *,
    slice: int | None = None,
    maps: Sequence[str] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    crop: bool = True,
    title: str | None = None,
    unreliable: str = "fade",
) -> Figure:
    """Draw the maps of several fits of one scan in rows, on the same scales.

    Parameters
    ----------
    results : mapping of str to FitResult or to mapping of str to ndarray
        Two or more fits, or maps by name (such as the truth), by display name.
    slice : int, optional
        The slice to show, counted from 0; by default the middle one with data.
    maps : sequence of str, optional
        Which maps; by default S0, f, D* and D, or those of the fitted models. A map that a fit
        does not have stays empty.
    limits : mapping of str to tuple of float, optional
        Display range of each map, in the stored unit.
    crop : bool
        Whether to show only the part of the slice around voxels with a value.
    title : str, optional
        Title of the page.
    unreliable : {"fade", "hide", "show"}
        What to do with voxels whose value the data do not determine, see `map_panels`.

    Returns
    -------
    matplotlib.figure.Figure
        One row per fit, one column per map.

    Raises
    ------
    OptionError
        If there is nothing to compare, or no such map or slice.
    ShapeError
        If the maps have different shapes, or are not images.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> results = {name: ik.fit(made.dwi, method=name) for name in ("segmented", "varpro")}
    >>> figure = ik.report.compare_methods({"truth": made.truth, **results})
    >>> [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    ['truth', 'segmented', 'varpro']
    """
    if not results:
        raise OptionError("there is no fit to draw; expected at least one, by name")
    results = plain_keys(results)
    look = MapLook(_parameters_of(*results.values()), limits, unreliable)
    sources = list(results.values())
    there = [name for source in sources for name in source]
    names = _chosen_maps(there, maps, _compared_maps(sources))
    drawn = [(source, name) for source in sources for name in names if name in source]
    shape = _common_shape([shape_of(*one) for one in drawn])
    cut = choose_cut(filled_by(drawn), slice, most=1, crop=crop)
    columns = [look.column(name, sources, cut) for name in names]
    shown = [(label, one, [n for n in names if n in one]) for label, one in results.items()]
    foot = note(shown, unreliable)
    heading = "comparison" if title is None else title
    if len(shape) == 3:
        heading = f"{heading}, slice {cut.slices[0]}"
    view = view_of(_geometry_of(results.values()))
    return draw_columns(columns, list(results), view, heading, foot=foot)


def _parameters_of(*results: MapSource) -> Sequence[Parameter]:
    """Return what describes the maps of all fits; plain maps are those of any model."""
    fits = [result for result in results if not isinstance(result, Mapping)]
    known = {p.name: p for fit in reversed(fits) for p in fit.model.quantities}
    return tuple(known.values()) or models.quantities()


def _usual_maps(result: MapSource) -> tuple[str, ...]:
    """Return the maps that are shown where nobody says which."""
    return models.shown_maps() if isinstance(result, Mapping) else result.model.shown_maps


def _compared_maps(results: Iterable[MapSource]) -> list[str]:
    """Return the parameters of all fits; not the ADC, which is the same in every fit."""
    found = [fit.model.names for fit in results if not isinstance(fit, Mapping)]
    every = found or [("S0", *models.shown_maps())]
    names = dict.fromkeys(name for names in every for name in names)
    return [name for name in names if name != "ADC"]


def _geometry_of(results: Iterable[MapSource], dwi: DWI | None = None) -> Geometry | None:
    if dwi is not None:
        return dwi.geometry
    return next((one.geometry for one in results if not isinstance(one, Mapping)), None)


def _heading(result: MapSource) -> str:
    if isinstance(result, Mapping):
        return "maps"
    return f"{result.model.title}, {result.method.title}"


def _chosen_maps(
    there: Iterable[str], asked: Sequence[str] | None, usual: Sequence[str]
) -> list[str]:
    """Return the maps requested, or those of the usual ones that exist."""
    available = list(dict.fromkeys(there))
    names = [name for name in usual if name in available] if asked is None else list(asked)
    missing = [name for name in names if name not in available]
    if missing or not names:
        wanted = repr(missing[0]) if missing else "to draw"
        raise OptionError(f"there is no map {wanted}; expected some of {', '.join(available)}")
    return names


def _common_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    if len(set(shapes)) > 1:
        raise ShapeError(
            f"the maps have shapes {' and '.join(map(str, sorted(set(shapes))))}; expected fits "
            "of the same scan"
        )
    return shapes[0]


def _images(
    source: MapSource, dwi: DWI, parameters: Sequence[Parameter], cut: Cut, high_b: float
) -> list[Column]:
    """Show the scan: S0 as measured and as predicted on one scale, and a high b-value."""
    b = dwi.acquisition.shell_bvals
    low, high = b.min(), b[np.abs(b - high_b).argmin()]
    box = cut.box(len(dwi.shape))
    measured = dwi.mean_values(low)
    bright = how_to_show("S0", parameters, [measured])
    dark = how_to_show("S0", parameters, [dwi.mean_values(high)])
    name = "S0 measured" if low == 0 else "measured"
    columns = [Column(f"{name} (b = {low:g})", planes_of(dwi.mean_part(low, box)), bright)]
    if "S0" in source:
        # Extrapolated to an echo time of 0, say, it is another signal, and needs its own scale.
        predicted = dwi.voxels().gather(np.asarray(source["S0"]))
        there = np.isfinite(predicted) & np.isfinite(measured)
        beyond = there.any() and np.median(predicted[there]) > _SAME * np.median(measured[there])
        shown = how_to_show("S0", parameters, [predicted]) if beyond else bright
        planes = planes_of(shown_part(source, "S0", cut)[0])
        columns.append(Column("S0 predicted", planes, shown))
    signal = replace(dark, symbol="signal")
    planes = planes_of(dwi.mean_part(high, box))
    return [*columns, Column(f"b = {high:g} s/mm²", planes, signal)]
