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

__all__ = ["Decay", "decay_panels", "make_logarithmic"]

_WIDTH, _HEIGHT, _RESIDUALS = 2.6, 1.75, 0.65
"""Size of the axes, inches; the distances between them are also in inches."""

_LEFT, _TITLE, _GAP, _BELOW, _RIGHT = 0.62, 0.27, 0.07, 0.48, 0.1
_PER_ROW = 3
_TICK = 7
"""Points."""

_FIT = "#0072B2"


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
        Text in the upper right corner.
    """

    name: str
    bvals: NDArray[np.float64]
    signal: NDArray[np.float64]
    predict: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None
    sd: NDArray[np.float64] | None = None
    note: str = ""


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


def _draw_signal(axes: Axes, decay: Decay) -> None:
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
    if decay.predict is not None:
        dense = np.linspace(0.0, decay.bvals.max(), 300)
        axes.plot(dense, decay.predict(dense), color=_FIT, linewidth=1.4, label="fit")
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
    if decay.predict is None:
        return
    left = decay.signal - decay.predict(decay.bvals)
    axes.vlines(decay.bvals, 0.0, left, color=_FIT, linewidth=1.0)
    axes.plot(decay.bvals, left, "o", color=_FIT, markersize=3, label="measured - fit")
    largest = float(np.abs(left[np.isfinite(left)]).max(initial=0.0)) or 1.0
    axes.set_ylim(-1.25 * largest, 1.25 * largest)
