"""Decay axes: the logarithmic axis, and small panels of decays with their residuals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from ivimkit.figures.figure_page import MARGIN, Page, fitted_size
from ivimkit.figures.plain_text import plain
from ivimkit.fitting.decay_curves import DecayCurve, fitted_values

__all__ = [
    "Decay",
    "decay_panels",
    "draw_curves",
    "draw_series",
    "make_logarithmic",
    "series_colour",
]

_WIDTH, _HEIGHT, _RESIDUALS = 2.6, 1.75, 0.65
"""Size of the axes, inches; the distances between them are also in inches."""

_LEFT, _TITLE, _GAP, _BELOW, _RIGHT = 0.62, 0.27, 0.07, 0.48, 0.1
_PER_ROW = 3
_TICK = 7
"""Points."""

_FIT = "#0072B2"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vP"
_LEGEND = 6
"""Points."""


@dataclass(frozen=True, eq=False)
class Decay:
    """A measured signal and the curve fitted to it.

    Parameters
    ----------
    name : str
        The title.
    bvals : ndarray, shape (n_b,)
        b-values in s/mm^2.
    signal : ndarray, shape (n_b,)
        Measured signal, a.u.
    predict : callable or None
        Function from b-values to the fitted signal, a.u.; None if there is no fit.
    sd : ndarray, shape (n_b,), or None
        Error bars, a.u.; none where NaN.
    note : str
        Written into the upper right corner.
    curves : sequence of DecayCurve
        The series of the values, where they differ in more than b: each has its colour and, if
        the model includes the difference, a separate curve instead of `predict`.
    """

    name: str
    bvals: NDArray[np.float64]
    signal: NDArray[np.float64]
    predict: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None
    sd: NDArray[np.float64] | None = None
    note: str = ""
    curves: Sequence[DecayCurve] = ()

    @property
    def curve(self) -> Callable[[NDArray[np.float64]], NDArray[np.float64]] | None:
        """The one curve of all values; None if there is none."""
        if len(self.curves) == 1 and self.curves[0].is_line:
            return self.curves[0]
        return self.predict

    @property
    def fitted(self) -> NDArray[np.float64]:
        """The fitted signal at each value, shape (n_b,), a.u."""
        if not self.curves:
            assert self.predict is not None
            return self.predict(self.bvals)
        return fitted_values(self.curves, self.bvals.size)


def make_logarithmic(axes: Axes) -> None:
    """Give the signal axis a logarithmic scale with plain numbers.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        With the lines already drawn.
    """
    # Autoscaling a logarithmic axis warns if there are no positive values.
    if not any(bool((np.asarray(line.get_ydata()) > 0).any()) for line in axes.lines):
        axes.set_ylim(0.1, 1.0)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())


def decay_panels(decays: Sequence[Decay], title: str = "") -> Figure:
    """Draw decays side by side on logarithmic axes, each above its residuals.

    Parameters
    ----------
    decays : sequence of Decay
        The decays, at least one.
    title : str
        Title of the page.

    Returns
    -------
    matplotlib.figure.Figure
        Two axes per decay.
    """
    n_columns = min(_PER_ROW, len(decays))
    n_rows = -(-len(decays) // n_columns)
    right = _LEFT + _WIDTH + _RIGHT
    down = _TITLE + _HEIGHT + _GAP + _RESIDUALS + _BELOW
    page = Page(n_columns * right + MARGIN, n_rows * down, title)
    for number, decay in enumerate(decays):
        left = number % n_columns * right + _LEFT
        top = number // n_columns * down + _TITLE
        axes = page.place(left, top, _WIDTH, _HEIGHT)
        below = page.place(left, top + _HEIGHT + _GAP, _WIDTH, _RESIDUALS)
        _draw_signal(axes, decay)
        _draw_residuals(below, decay)
        for one in (axes, below):
            one.set_xlim(-0.04 * decay.bvals.max(), 1.04 * decay.bvals.max())
            one.tick_params(labelsize=_TICK)
            one.grid(alpha=0.25)
        axes.set_xticklabels([])
        name = plain(decay.name, empty="(no name)")
        axes.set_title(name, fontsize=fitted_size(name, 10, _WIDTH), pad=4)
        if number % n_columns == 0:
            axes.set_ylabel("signal (a.u.)", fontsize=8)
            below.set_ylabel("residual", fontsize=8)
        below.set_xlabel("b (s/mm²)", fontsize=8, labelpad=2)
    return page.figure


def draw_series(
    axes: Axes,
    bvals: NDArray[np.float64],
    values: NDArray[np.float64],
    curves: Sequence[DecayCurve],
    *,
    size: float,
) -> None:
    """Draw values over b, those of each series in its own colour and marker.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    bvals, values : ndarray, shape (n_b,)
        b-values in s/mm^2, and signals or residuals, a.u.
    curves : sequence of DecayCurve
        The series.
    size : float
        Of the markers, points.
    """
    for number, curve in enumerate(curves):
        own = list(curve.series.members)
        axes.plot(
            bvals[own],
            values[own],
            _MARKERS[number % len(_MARKERS)],
            color=series_colour(number),
            markersize=size,
            label=curve.series.text,
        )


def draw_curves(axes: Axes, curves: Sequence[DecayCurve], highest: float, *, width: float) -> None:
    """Draw one curve per series, or one for all if the model knows of b alone.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    curves : sequence of DecayCurve
        The series.
    highest : float
        b-value up to which, s/mm^2.
    width : float
        Of the lines, points.
    """
    dense = np.linspace(0.0, highest, 300)
    if curves[0].is_same_as_others:
        axes.plot(dense, curves[0](dense), color="0.2", linewidth=width, label="fit")
        return
    for number, curve in enumerate(curves):
        # Of directions there is no curve: each value has its own.
        if curve.is_line:
            axes.plot(dense, curve(dense), color=series_colour(number), linewidth=width)


def series_colour(number: int) -> str:
    """Return the colour of a series of settings."""
    return _COLOURS[number % len(_COLOURS)]


def _draw_signal(axes: Axes, decay: Decay) -> None:
    several = len(decay.curves) > 1
    if several:
        draw_series(axes, decay.bvals, decay.signal, decay.curves, size=3.5)
    else:
        axes.plot(decay.bvals, decay.signal, "ko", markersize=3.5, label="measured")
    if decay.sd is not None and np.isfinite(decay.sd).any():
        # A bar that reaches 0 has no lower end on a logarithmic axis.
        down = np.minimum(decay.sd, 0.999 * np.maximum(decay.signal, 0.0))
        axes.errorbar(
            decay.bvals,
            decay.signal,
            yerr=np.nan_to_num(np.stack([down, decay.sd])),
            fmt="none",
            ecolor="0.45",
            elinewidth=0.8,
            capsize=1.5,
        )
    if several:
        draw_curves(axes, decay.curves, decay.bvals.max(), width=1.4)
        axes.legend(fontsize=_LEGEND, frameon=False, loc="lower left", handlelength=1.2)
    elif decay.curve is not None:
        dense = np.linspace(0.0, decay.bvals.max(), 300)
        axes.plot(dense, decay.curve(dense), color=_FIT, linewidth=1.4, label="fit")
    make_logarithmic(axes)
    # A decay is convex: the upper right is free, unless it is not a decay.
    axes.text(
        0.96,
        0.95,
        decay.note,
        transform=axes.transAxes,
        fontsize=_TICK,
        ha="right",
        va="top",
        linespacing=1.3,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
    )


def _draw_residuals(axes: Axes, decay: Decay) -> None:
    axes.axhline(0.0, color="0.4", linewidth=0.8)
    if decay.predict is None and not decay.curves:
        return
    left = decay.signal - decay.fitted
    if len(decay.curves) > 1:
        draw_series(axes, decay.bvals, left, decay.curves, size=3)
    else:
        axes.vlines(decay.bvals, 0.0, left, color=_FIT, linewidth=1.0)
        axes.plot(decay.bvals, left, "o", color=_FIT, markersize=3, label="measured - fit")
    largest = float(np.abs(left[np.isfinite(left)]).max(initial=0.0)) or 1.0
    axes.set_ylim(-1.25 * largest, 1.25 * largest)
