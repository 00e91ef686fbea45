"""Spectrum panels: spectra of decay rates with their windows and peaks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ivimkit.errors import OptionError
from ivimkit.figures.figure_page import MARGIN, Page, fitted_size
from ivimkit.figures.plain_text import plain
from ivimkit.fitting.spectra import Spectrum
from ivimkit.parameter import RATE_UNIT
from ivimkit.rounding import how_shown, thousands

__all__ = ["draw_spectrum", "spectrum_panels"]

_WIDTH, _HEIGHT = 3.1, 1.7
"""Size of the axes, inches; the distances between them are also in inches."""

_LEFT, _TITLE, _BELOW, _RIGHT = 0.62, 0.27, 0.5, 0.12
_PER_ROW = 3
_TICK = 7
"""Points."""

_LINE = "#0072B2"
_BANDS = ("#E9EEF4", "#F8EFE2", "#E6F2EC", "#F5E9F0")
_END = 0.06
"""Share of the axis at each end in which the name of a peak would reach over it."""
_HEADROOM = 1.32
"""Height of the axis over that of the highest bin, for the names of windows and peaks."""


def spectrum_panels(spectra: Mapping[str, Spectrum], *, title: str | None = None) -> Figure:
    """Draw spectra side by side.

    Parameters
    ----------
    spectra : mapping of str to Spectrum
        The spectra by name, of voxels or of regions, from `ivimkit.FitResult.spectrum`.
    title : str, optional
        Title of the page; none by default.

    Returns
    -------
    matplotlib.figure.Figure
        Per spectrum the share of S0 of each bin over its rate, on a logarithmic axis; windows are
        shaded, and each peak has its share.

    Raises
    ------
    OptionError
        If there is no spectrum.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(24, 24, 1))
    >>> result = ik.fit(made.dwi, method=ik.methods.NNLS(regularisation=0.1))
    >>> figure = ik.report.spectrum_panels({"liver": result.spectrum(made.labels == 1)})
    >>> figure.axes[0].get_xscale()
    'log'
    """
    if not spectra:
        raise OptionError("there is no spectrum to draw; expected at least one, by name")
    n_columns = min(_PER_ROW, len(spectra))
    n_rows = -(-len(spectra) // n_columns)
    right = _LEFT + _WIDTH + _RIGHT
    down = _TITLE + _HEIGHT + _BELOW
    page = Page(n_columns * right + MARGIN, n_rows * down, title or "")
    for number, (name, spectrum) in enumerate(spectra.items()):
        left = number % n_columns * right + _LEFT
        top = number // n_columns * down + _TITLE
        axes = page.place(left, top, _WIDTH, _HEIGHT)
        draw_spectrum(axes, spectrum)
        shown = plain(name, empty="(no name)")
        axes.set_title(shown, fontsize=fitted_size(shown, 10, _WIDTH), pad=4)
        if number % n_columns:
            axes.set_ylabel("")
    return page.figure


def draw_spectrum(
    axes: Axes, spectrum: Spectrum, *, colour: str = _LINE, name: str = "spectrum"
) -> None:
    """Draw one spectrum, its windows and its peaks.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    spectrum : Spectrum
        The spectrum; of a signal that could not be fitted only the windows are drawn.
    colour : str
        Of the line.
    name : str
        Label of the line.
    """
    unit, factor = how_shown(RATE_UNIT)
    rates = factor * spectrum.rates
    shares = spectrum.shares
    highest = float(np.nanmax(shares, initial=0.0)) or 1.0
    axes.set_xscale("log")
    for number, window in enumerate(spectrum.windows):
        low, high = factor * window.low, factor * window.high
        axes.axvspan(low, high, color=_BANDS[number % len(_BANDS)], linewidth=0)
        axes.text(
            (low * high) ** 0.5,
            0.985,
            window.symbol,
            transform=axes.get_xaxis_transform(),
            fontsize=_TICK,
            ha="center",
            va="top",
            color="0.35",
        )
    axes.fill_between(rates, 0.0, shares, step="mid", color=colour, alpha=0.25, linewidth=0)
    axes.step(rates, shares, where="mid", color=colour, linewidth=1.2, label=name)
    low, high = spectrum.windows[0].low, spectrum.windows[-1].high
    for peak in spectrum.peaks:
        # Towards the middle from both ends, beyond which other axes are.
        place = np.log(peak.rate / low) / np.log(high / low)
        alignment = "left" if place < _END else "right" if place > 1.0 - _END else "center"
        inside = (spectrum.rates >= peak.low) & (spectrum.rates <= peak.high)
        axes.annotate(
            f"{thousands(100 * peak.fraction)} %",
            (factor * peak.rate, float(shares[inside].max())),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=_TICK,
            ha=alignment,
        )
    axes.set_xlim(factor * low, factor * high)
    axes.set_ylim(0.0, _HEADROOM * highest)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=_TICK)
    axes.set_xlabel(f"rate ({unit})", fontsize=8, labelpad=2)
    axes.set_ylabel("share of S0", fontsize=8)
