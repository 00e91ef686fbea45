"""Uncertainty panels: images of standard deviations and information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from ivimkit.errors import OptionError
from ivimkit.figures.map_style import how_to_show, title_of
from ivimkit.figures.orientation import choose_cut, planes_of, view_of
from ivimkit.figures.panel_grid import Column, draw_slices
from ivimkit.figures.shown_maps import filled_mask, shown_part
from ivimkit.fitting.result import FitResult

__all__ = ["uncertainty_panels"]

# The signal at b = 0 is known well and of little interest.
_LEFT_OUT = ("S0",)


def uncertainty_panels(
    result: FitResult,
    *,
    slices: int | Sequence[int] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    crop: bool = True,
    title: str | None = None,
) -> Figure:
    """Draw the standard deviation of each parameter, and the information gained from the data.

    Parameters
    ----------
    result : FitResult
        A fit by method bayes, or one with ``uncertainty=...``.
    slices : int or sequence of int, optional
        Slices to show, counted from 0; by default up to three with data.
    limits : mapping of str to tuple of float, optional
        Display range of each map (``D_sd``, ``D_bits``), in the stored unit. By default a standard
        deviation is shown up to a quarter of its parameter's range, and all information on one
        scale, so that parameters can be compared.
    crop : bool
        Whether to show only the part of the slices around voxels in the mask.
    title : str, optional
        Title of the page; by default model and method.

    Returns
    -------
    matplotlib.figure.Figure
        One slice: standard deviations in the upper row, information in bits in the lower one, if
        the fit has it. Several slices have a row each.

    Raises
    ------
    OptionError
        If the fit has no uncertainty, or there is no such slice.
    ShapeError
        If the maps are not images.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> result = ik.fit(made.dwi, method=ik.methods.Bayes(prior="flat"), sigma=25.0)
    >>> figure = ik.report.uncertainty_panels(result)
    >>> [axes.get_title() for axes in figure.axes if axes.get_title()]
    ['sd of f', 'sd of D*', 'sd of D', 'information on f', 'information on D*', 'information on D']
    """
    names = _names(result)
    if not names:
        raise OptionError(
            "the fit has no standard deviations to draw; expected one with uncertainty=... or by "
            "method bayes"
        )
    cut = choose_cut(filled_mask(result), slices, most=3, crop=crop)
    ranges = {**_one_scale(result, names), **(limits or {})}
    columns = []
    for name in names:
        values = partial(result.values_of, name)
        shown = how_to_show(name, result.model.quantities, [values], ranges)
        if name.endswith("_bits"):
            shown = replace(shown, symbol="information")
        planes = planes_of(shown_part(result, name, cut)[0])
        columns.append(Column(title_of(name, result.model.quantities), planes, shown))
    heading = f"{result.model.title}, {result.method.title}" if title is None else title
    numbers = cut.numbers(result.shape)
    return draw_slices(columns, numbers, view_of(result.geometry), heading)


def _names(result: FitResult) -> list[str]:
    """Return the maps to draw: all standard deviations, then all information."""
    parameters = [name for name in result.model.names if name not in _LEFT_OUT]
    return [
        f"{name}{suffix}"
        for suffix in ("_sd", "_bits")
        for name in parameters
        if f"{name}{suffix}" in result.maps
    ]


def _one_scale(result: FitResult, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return one range for the information on all parameters, in whole bits."""
    bits = [name for name in names if name.endswith("_bits")]
    values = (result.values_of(name) for name in bits)
    highest = max((float(np.percentile(one, 99)) for one in values if one.size), default=1.0)
    return {name: (0.0, max(1.0, float(np.ceil(highest)))) for name in bits}
