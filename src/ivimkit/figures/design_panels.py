"""Design panels: the volumes of a design, and its errors over the scan time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ivimkit.figures.figure_page import MARGIN, Page, fitted_size
from ivimkit.figures.plain_text import plain
from ivimkit.rounding import how_shown, rounded
from ivimkit.simulate.protocol import Protocol, protocol_of

if TYPE_CHECKING:
    # It takes as long to import as all figures together, and whoever has a design has it.
    from ivimkit.planning import ProtocolDesign

__all__ = ["design_panels"]

_WIDTH, _HEIGHT = 3.0, 2.2
"""Size of the axes, inches; the distances between them are also in inches."""

_LEFT, _RIGHT, _TOP, _DOWN = 0.7, 0.15, 0.35, 3.0
_COLUMNS = 3
_DESIGN = "#B34700"
_OTHERS = ("#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#7F7F7F", "#E69F00", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_N_POINTS = 25
# Ticks of errors in per cent, and of numbers of volumes.
_LEVELS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500)
_VOLUMES = (2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500, 1000)
_MAX_OTHERS = 12
_LINEAR_B = 10.0
"""The b axis is linear up to this value and logarithmic beyond, in s/mm^2."""


def design_panels(
    plan: ProtocolDesign,
    others: Mapping[str, Protocol] | None = None,
    *,
    tr: float | None = None,
) -> Figure:
    """Draw the averages of each b-value, and the expected errors over the scan time.

    Parameters
    ----------
    plan : ProtocolDesign
        The design.
    others : mapping of str to array_like, Acquisition or mapping, optional
        Protocols to compare with, by name; the first twelve are drawn.
    tr : float, optional
        Time of one volume in seconds, for a second axis; by default the number of volumes alone.

    Returns
    -------
    matplotlib.figure.Figure
        One panel of averages, and one for each parameter: the error in per cent of the typical
        value over the number of volumes, with b-values in the proportions of each protocol. A
        marker is at the number of volumes that the protocol has.

    Examples
    --------
    >>> import ivimkit as ik
    >>> figure = ik.figures.design_panels(ik.design("liver", snr=40, n=8))
    >>> [axes.get_title() for axes in figure.axes]
    ['averages', 'error of f', 'error of D*', 'error of D']
    """
    shown = dict(list((others or {}).items())[:_MAX_OTHERS])
    names = plan.names
    n_panels = 1 + len(names)
    n_columns = min(_COLUMNS, n_panels) if n_panels != 4 else 2
    n_rows = -(-n_panels // n_columns)
    step = _LEFT + _WIDTH + _RIGHT
    page = Page(
        n_columns * step + MARGIN,
        n_rows * _DOWN + MARGIN,
        f"{plan.n} volumes for {plan.problem.population.name}, SNR {plan.problem.snr:g}",
        _foot(tr),
    )
    panels = [
        page.place(
            (k % n_columns) * step + _LEFT, (k // n_columns) * _DOWN + _TOP, _WIDTH, _HEIGHT
        )
        for k in range(n_panels)
    ]
    _draw_averages(panels[0], plan)
    volumes = _range(plan, shown)
    own = plan.error_curves(volumes)
    rest = {name: plan.error_curves(volumes, protocol) for name, protocol in shown.items()}
    sizes = {name: protocol_of(protocol).n_volumes for name, protocol in shown.items()}
    for axes, name in zip(panels[1:], names, strict=True):
        percent = 100.0 / plan.problem.population.size[name]
        for k, (label, curves) in enumerate(rest.items()):
            _draw_curve(axes, volumes, percent * curves[name], sizes[label], k, plain(label))
        axes.plot(volumes, percent * own[name], color=_DESIGN, linewidth=1.8, label="design")
        at = np.interp(plan.n, volumes, percent * own[name])
        axes.plot([plan.n], [at], "*", color=_DESIGN, markersize=11, label="_design")
        _finish(axes, plan, name, tr)
    panels[1].legend(fontsize=6, frameon=False, loc="upper right")
    return page.figure


def _foot(tr: float | None) -> str:
    time = "" if tr is None else f" One volume takes {tr:g} s."
    return (
        "Curves: the b-values of each protocol in its proportions, with more or fewer averages; "
        f"markers: its own number of volumes.{time}"
    )


def _range(plan: ProtocolDesign, others: Mapping[str, Protocol]) -> NDArray[np.float64]:
    """Return the numbers of volumes of the curves, evenly spaced in the logarithm."""
    sizes = [plan.n, *(protocol_of(protocol).n_volumes for protocol in others.values())]
    low, high = min(min(sizes), plan.n / 2.0), max(max(sizes), 2.0 * plan.n)
    return np.geomspace(low, high, _N_POINTS)


def _draw_averages(axes: Axes, plan: ProtocolDesign) -> None:
    b = plan.settings.b
    values = np.unique(b)
    counts = [int(plan.counts[b == value].sum()) for value in values]
    axes.set_xscale("symlog", linthresh=_LINEAR_B)
    axes.vlines(values, 0, counts, color=_DESIGN, linewidth=3)
    axes.plot(values, counts, "o", color=_DESIGN, markersize=4, label="averages")
    for value, count in zip(values, counts, strict=True):
        axes.annotate(
            f"{value:g}", (value, count), (0, 4), textcoords="offset points", ha="center",
            fontsize=6,
        )  # fmt: skip
    axes.set_ylim(0, 1.2 * max(counts))
    axes.set_xlim(-2.0, 1.3 * float(values.max()))
    axes.set_title("averages", fontsize=10)
    axes.set_xlabel(f"b ({how_shown('s/mm^2')[0]})", fontsize=8)
    axes.set_ylabel("volumes", fontsize=8)
    axes.tick_params(labelsize=7)


def _draw_curve(
    axes: Axes,
    volumes: NDArray[np.float64],
    errors: NDArray[np.float64],
    size: int,
    number: int,
    label: str,
) -> None:
    colour, marker = _OTHERS[number % len(_OTHERS)], _MARKERS[number % len(_MARKERS)]
    axes.plot(volumes, errors, color=colour, linewidth=0.9)
    at = np.interp(size, volumes, errors)
    axes.plot([size], [at], marker, color=colour, markersize=4, label=label)


def _finish(axes: Axes, plan: ProtocolDesign, name: str, tr: float | None) -> None:
    symbol = plan.problem.population.model[name].symbol
    heading = f"error of {symbol}"
    axes.set_title(heading, fontsize=fitted_size(heading, 10, _WIDTH))
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_xlim()
    ticks = [n for n in _VOLUMES if low < n < high]
    axes.set_xticks(ticks)
    axes.set_xticklabels([_tick(n, tr) for n in ticks])
    axes.minorticks_off()
    bottom, top = axes.get_ylim()
    levels = [level for level in _LEVELS if bottom < level < top]
    if len(levels) >= 2:
        axes.set_yticks(levels)
        axes.set_yticklabels([f"{value:g}" for value in levels])
    unit = "volumes" if tr is None else "volumes (minutes)"
    axes.set_xlabel(unit, fontsize=8)
    axes.set_ylabel("expected error (% of the typical value)", fontsize=8)
    axes.tick_params(labelsize=7)


def _tick(n: int, tr: float | None) -> str:
    return str(n) if tr is None else f"{n}\n({rounded(n * tr / 60.0)})"
