"""Voxel plot: signal, curves, residuals and estimates of one or more fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.figures.decay_axes import draw_series, make_logarithmic, series_colour
from ivimkit.figures.figure_page import broken_lines
from ivimkit.figures.map_style import how_to_show
from ivimkit.figures.plain_text import PlainFigure, plain, plain_keys
from ivimkit.figures.spectrum_panels import draw_spectrum
from ivimkit.fitting.decay_curves import DecayCurve, decay_curves, fitted_values
from ivimkit.fitting.result import FitResult
from ivimkit.fitting.spectra import Spectrum
from ivimkit.methods._spectral import SpectralMethod
from ivimkit.rounding import several
from ivimkit.scan.dwi import DWI
from ivimkit.status import WITHOUT_FIT

__all__ = ["averages_of", "checked_voxel", "voxel_plot"]

# Okabe and Ito's colour-blind-safe colours, and dashes for print.
_STYLES = (
    {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    {"color": "#CC79A7", "linestyle": ":", "marker": "D"},
)
_Curves = Sequence[DecayCurve]

_TEXT_WIDTH = 9.0
"""Height of the sentences below the table, inches."""


def voxel_plot(
    dwi: DWI, results: FitResult | Mapping[str, FitResult], voxel: Sequence[int]
) -> Figure:
    """Draw the signal of one voxel, or the mean signal of a region, and one or more fits of it.

    Parameters
    ----------
    dwi : DWI
        The scan; of `ivimkit.quality.roi_fit`, ``means.dwi``.
    results : FitResult or mapping of str to FitResult
        The fit, or fits by name.
    voxel : sequence of int
        Index of the voxel, one number per axis; of a mean signal, the position of the region.

    Returns
    -------
    matplotlib.figure.Figure
        The measured volumes, their averages and the curves on a linear and a logarithmic axis;
        the residuals of the averages; the spectrum of a fit by method nnls; a table of the
        estimates; the status in words.

    Raises
    ------
    OptionError
        If there is no such voxel.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> figure = ik.report.voxel_plot(made.dwi, ik.fit(made.dwi), (8, 12, 0))
    >>> [axes.get_yscale() for axes in figure.axes][:2]
    ['linear', 'log']
    """
    fits = plain_keys(
        {results.method.name: results} if isinstance(results, FitResult) else results
    )
    index = checked_voxel(voxel, dwi.shape)
    # Each look-up of a map expands it to the volume: look up once.
    values = {
        label: {name: float(fit.maps[name][index]) for name in fit.maps}
        for label, fit in fits.items()
    }
    every = {
        label: decay_curves(fit.model, [values[label][name] for name in fit.model.names], dwi)
        for label, fit in fits.items()
    }
    series = next(iter(every.values()))
    curves = {label: own for label, own in every.items() if fits[label].model.has_equation}
    spectra = _spectra(dwi, fits, index)
    heights = (3.6, 1.4, *((2.0,) if spectra else ()), 0.45 + 0.4 * len(fits))
    size = (9.5, 1.6 + sum(heights))
    figure = PlainFigure(figsize=size, dpi=120, layout="constrained")
    figure.suptitle(_title(fits, index), fontsize=12)
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    linear, logarithmic = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    for axes in (linear, logarithmic):
        _draw_signal(axes, dwi, index, series, curves)
        for number, spectrum in spectra.items():
            _draw_signal_of(axes, spectrum, list(fits)[number], number)
    linear.set_ylim(bottom=min(0.0, linear.get_ylim()[0]))
    if linear.get_legend_handles_labels()[0]:
        linear.legend(fontsize=8, frameon=False)
    make_logarithmic(logarithmic)
    _draw_residuals(figure.add_subplot(grid[1, :]), dwi, index, curves)
    if spectra:
        axes = figure.add_subplot(grid[2, :])
        for number, spectrum in spectra.items():
            colour = str(_style(number)["color"])
            draw_spectrum(axes, spectrum, colour=colour, name=list(fits)[number])
    _write_table(figure.add_subplot(grid[-1, :]), fits, values, index)
    return figure


def checked_voxel(voxel: Sequence[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index of a voxel; OptionError if there is no such voxel."""
    index = tuple(int(i) for i in voxel)
    inside = len(index) == len(shape) and all(
        0 <= i < n for i, n in zip(index, shape, strict=True)
    )
    if not inside:
        limits = ", ".join(f"0 to {n - 1}" for n in shape)
        raise OptionError(f"there is no voxel {index}; expected {len(shape)} numbers: {limits}")
    return index


def averages_of(dwi: DWI, index: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the averaged signal of the voxel, as fitted."""
    raw = np.asarray(dwi.stored[index])[np.newaxis, dwi.volumes]
    alone = DWI(
        raw,
        dwi.acquisition,
        average=dwi.average,
        weights=dwi.weights_at(index),
        averages=dwi.averages,
    )
    out = np.empty((1, len(dwi.fit_bvals)))
    alone.voxels().read(0, 1, out)
    return np.asarray(out[0])


def _title(fits: Mapping[str, FitResult], index: tuple[int, ...]) -> str:
    """Return the region of a mean signal, or the position of a voxel."""
    for fit in fits.values():
        regions = list(fit.provenance.region_voxels.items())
        if regions and len(index) == 1:
            name, n = regions[index[0]]
            return f"{plain(name, empty='region')}, mean signal of {several(n, 'voxel')}"
    return f"voxel {', '.join(map(str, index))}" if index else "decay curve"


def _spectra(
    dwi: DWI, fits: Mapping[str, FitResult], index: tuple[int, ...]
) -> dict[int, Spectrum]:
    """Return the spectra of the voxel by the numbers of the fits that have one."""
    return {
        number: replace(fit, dwi=dwi).spectrum(index)
        for number, fit in enumerate(fits.values())
        if isinstance(fit.method, SpectralMethod) and not int(fit.status[index]) & WITHOUT_FIT
    }


def _draw_signal_of(axes: Axes, spectrum: Spectrum, label: str, number: int) -> None:
    """Draw the signal of a spectrum, which is not quite that of its windows."""
    low, high = axes.get_xlim()
    dense = np.linspace(max(low, 0.0), high, 400)
    style = {"color": _style(number)["color"], "linestyle": ":", "linewidth": 1.2}
    axes.plot(dense, spectrum.signal(dense), label=f"{label}, whole spectrum", **style)
    axes.set_xlim(low, high)


def _style(number: int) -> dict[str, Any]:
    return _STYLES[number % len(_STYLES)]


def _draw_signal(
    axes: Axes,
    dwi: DWI,
    index: tuple[int, ...],
    series: _Curves,
    curves: Mapping[str, _Curves],
) -> None:
    b, volumes = dwi.acquisition.bvals, np.asarray(dwi.stored[index], np.float64)[dwi.volumes]
    averaged = len(dwi.fit_bvals) < len(b)
    if averaged or len(series) == 1:
        axes.plot(
            b,
            volumes,
            "o",
            color="0.65" if averaged else "black",
            markersize=3 if averaged else 5,
            label="measured volumes" if averaged else "measured",
        )
    if len(series) > 1:
        draw_series(axes, dwi.fit_bvals, averages_of(dwi, index), series, size=5)
    elif averaged:
        axes.plot(dwi.fit_bvals, averages_of(dwi, index), "ko", markersize=5, label="average")
    dense = np.linspace(0.0, b.max(), 400)
    for number, (name, own) in enumerate(curves.items()):
        style = {**_style(number), "marker": ""}
        # A model of b alone has one curve for all series.
        for place, curve in enumerate(own[:1] if own[0].is_same_as_others else own):
            if curve.is_line:
                if len(own) > 1:
                    # Colours distinguish settings; dashes distinguish fits.
                    same = curve.is_same_as_others
                    style["color"] = "0.2" if same else series_colour(place)
                axes.plot(dense, curve(dense), label="" if place else name, **style)
    axes.set_xlabel("b (s/mm²)")
    axes.set_ylabel("signal (a.u.)")
    axes.grid(alpha=0.25)


def _draw_residuals(
    axes: Axes, dwi: DWI, index: tuple[int, ...], curves: Mapping[str, _Curves]
) -> None:
    b, measured = dwi.fit_bvals, averages_of(dwi, index)
    axes.axhline(0.0, color="0.4", linewidth=0.8)
    for number, (name, own) in enumerate(curves.items()):
        # Open markers of growing size: where fits agree, all of them stay visible.
        style = {**_style(number), "linewidth": 0.8, "markersize": 4 + 3 * number}
        style["markerfacecolor"] = "none" if number else style["color"]
        if len(own) > 1 or np.unique(b).size < b.size:
            style["linestyle"] = ""
        axes.plot(b, measured - fitted_values(own, b.size), label=name, **style)
    axes.set_xlabel("b (s/mm²)")
    axes.set_ylabel("measured - fit\n(a.u.)")
    axes.grid(alpha=0.25)


def _write_table(
    axes: Axes,
    fits: Mapping[str, FitResult],
    values: Mapping[str, Mapping[str, float]],
    index: tuple[int, ...],
) -> None:
    axes.set_axis_off()
    parameters = [p for fit in fits.values() for p in fit.model.quantities]
    of_models = (
        one.name
        for fit in fits.values()
        for one in fit.model.quantities
        if one.name == "S0" or one.name in fit.model.parameter_maps[1:]
    )
    order = dict.fromkeys((*of_models, "ADC", "rmse"))
    names = [n for n in order if any(n in own for own in values.values())]
    columns = {name: how_to_show(name, parameters, []) for name in names}
    rows = [
        [label, *(shown.text(own.get(name, np.nan)) for name, shown in columns.items())]
        for label, own in values.items()
    ]
    # Units in a second line: a model with six parameters has nine columns.
    heads = ["", *(shown.label.replace(" (", "\n(") for shown in columns.values())]
    # The table takes the height of its rows, the sentences the rest.
    share = (len(rows) + 2) / (2 * len(rows) + 2)
    table = axes.table(
        cellText=rows,
        colLabels=heads,
        cellLoc="center",
        edges="horizontal",
        bbox=Bbox.from_bounds(0.0, 1.0 - share, 1.0, share),
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    for column in range(len(heads)):
        table[0, column].set_height(2.0 * table[1, column].get_height())
    sentences = [
        line
        for label, fit in fits.items()
        for line in broken_lines(f"{label}: {fit.sentence(index)}", 8, _TEXT_WIDTH)
    ]
    axes.text(
        0.0,
        0.9 * (1.0 - share),
        "\n".join(sentences),
        transform=axes.transAxes,
        fontsize=8,
        va="top",
    )
