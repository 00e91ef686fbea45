"""Prior panels: the density of each parameter, and of each pair."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior_table import PriorTable, hat_integrals, learned_from
from ivimkit.figures.figure_page import MARGIN, Page
from ivimkit.figures.map_style import how_to_show

__all__ = ["prior_panels"]

_WIDTH, _HEIGHT = 2.7, 2.1
"""Size of the axes, inches; the distances between them are also in inches."""

_LEFT, _TOP, _DOWN, _RIGHT = 0.75, 0.3, 0.62, 0.25
_BAR_GAP, _BAR, _BAR_TEXT = 0.15, 0.12, 0.6

_FAST = 1
"""Which of the three axes is logarithmic."""

# Fraction of the highest density below which an end of the axis is not shown.
_HARDLY = 0.01
# Range and number of bins of histograms of draws.
_OUTER_QUANTILES, _N_BINS = (0.002, 0.998), 60
_LINE = "#0072B2"
_COLOURS = "viridis"


def prior_panels(table: PriorTable | ModelPrior, *, title: str | None = None) -> Figure:
    """Draw a prior: the distribution assumed before the data of a voxel.

    Parameters
    ----------
    table : PriorTable or ModelPrior
        E.g. ``result.priors["all"]``, or a prior from `ivimkit.load_prior`.
    title : str, optional
        Title of the page; by default the source of the prior.

    Returns
    -------
    matplotlib.figure.Figure
        The upper row shows the marginal density of each parameter that varies, per unit of the
        axis, for D* per unit of ln D*. The lower row shows the joint densities of pairs, relative
        to their maximum. The axes omit ends where the density of the parameter is below 1 % of its
        maximum. Of a model that is not two decays there is the row of single parameters alone, as
        histograms of draws, rates on logarithmic axes.

    Raises
    ------
    OptionError
        If all parameters are fixed.

    Examples
    --------
    >>> import ivimkit as ik
    >>> table = ik.priors.get("organ", organ="liver").tabulate(ik.models.get("biexp"))
    >>> figure = ik.report.prior_panels(table)
    >>> [axes.get_xlabel() for axes in figure.axes[:3]]
    ['D (10⁻³ mm²/s)', 'D* (10⁻³ mm²/s)', 'f']
    """
    if not table.varies:
        raise OptionError(
            "all parameters of the prior are fixed; expected one that varies to draw"
        )
    if isinstance(table, ModelPrior):
        return _drawn_panels(table, title)
    axes = _axes(table)
    pairs = list(combinations(sorted(axes), 2))
    right, down = _LEFT + _WIDTH + _RIGHT, _TOP + _HEIGHT + _DOWN
    bar = _BAR_GAP + _BAR + _BAR_TEXT if pairs else 0.0
    rows = 2 if pairs else 1
    heading = _heading(table) if title is None else title
    page = Page(len(axes) * right + bar + MARGIN, rows * down, heading)
    for column, (number, axis) in enumerate(sorted(axes.items())):
        panel = page.place(column * right + _LEFT, _TOP, _WIDTH, _HEIGHT)
        _draw_one(panel, axis, _density(table, (number,)))
    for column, (one, other) in enumerate(pairs):
        panel = page.place(column * right + _LEFT, down + _TOP, _WIDTH, _HEIGHT)
        _draw_two(panel, axes[one], axes[other], _density(table, (one, other)))
    if pairs:
        _colour_bar(page, len(pairs) * right + _BAR_GAP - _RIGHT, down + _TOP)
    return page.figure


def _drawn_panels(prior: ModelPrior, title: str | None) -> Figure:
    """Draw histograms of all parameters of a prior."""
    right, down = _LEFT + _WIDTH + _RIGHT, _TOP + _HEIGHT + _DOWN
    known = prior.model in models.names()
    parameters = models.get(prior.model).parameters if known else ()
    heading = _heading(prior) if title is None else title
    page = Page(len(prior.coordinates) * right + MARGIN, down, heading)
    drawn = prior.draw()
    for column, coordinate in enumerate(prior.coordinates):
        name = coordinate.name
        if known:
            shown = how_to_show(name, parameters, [drawn[name]])
            symbol, label, unit, factor = shown.symbol, shown.label, shown.unit, shown.factor
        else:
            symbol, label, unit, factor = name, name, "", 1.0
        values = drawn[name] * factor
        panel = page.place(column * right + _LEFT, _TOP, _WIDTH, _HEIGHT)
        low, high = np.quantile(values, _OUTER_QUANTILES)
        bins = np.linspace(low, high, _N_BINS)
        if coordinate.logarithmic:
            bins = np.geomspace(low, high, _N_BINS)
            unit = f"ln {symbol}"
        counts, _ = np.histogram(values, bins)
        width = np.diff(np.log(bins) if coordinate.logarithmic else bins)
        panel.stairs(counts / (width * values.size), bins, fill=True, color=_LINE, alpha=0.4)
        panel.set_xlabel(label)
        panel.set_ylabel(f"density per {unit}" if unit else "density")
        panel.set_title(symbol, fontsize=11, pad=4)
        if coordinate.logarithmic:
            panel.set_xscale("log")
    return page.figure


class _Axis:
    """One parameter: its knots in the shown unit, its label, and the range shown."""

    def __init__(self, table: PriorTable, number: int) -> None:
        name, knots = table.names[number], table.knots[number]
        shown = how_to_show(str(name), models.get(table.model).parameters, [knots])
        self.symbol, self.label = shown.symbol, shown.label
        self.knots: NDArray[np.float64] = knots * shown.factor
        self.logarithmic = number == _FAST
        self.unit = f"ln {shown.symbol}" if self.logarithmic else shown.unit
        self.limits = _limits(table, number, self.knots)

    def format(self, axes: Axes, side: str) -> None:
        """Set scale, range and label of the x- or y-axis."""
        if self.logarithmic:
            axes.set(**{f"{side}scale": "log"})
        axes.set(**{f"{side}lim": self.limits, f"{side}label": self.label})


def _axes(table: PriorTable) -> dict[int, _Axis]:
    varying = [k for k in range(3) if table.names[k] is not None and table.knots[k].size > 1]
    return {k: _Axis(table, k) for k in varying}


def _density(table: PriorTable, kept: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the density of one or two parameters at their knots, the others integrated out."""
    if table.flat:
        alone = table.marginals()
        return alone[kept[0]] if len(kept) == 1 else np.outer(alone[kept[0]], alone[kept[1]])
    density = table.density
    for number in reversed([k for k in range(3) if k not in kept]):
        weights = hat_integrals(table.axes()[number])
        density = np.tensordot(density, weights, axes=(number, 0))
    return density


def _limits(table: PriorTable, number: int, knots: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of knots with a substantial density, plus one knot."""
    density = table.marginals()[number]
    dense = np.flatnonzero(density > _HARDLY * density.max())
    first, last = max(int(dense[0]) - 1, 0), min(int(dense[-1]) + 1, knots.size - 1)
    return float(knots[first]), float(knots[last])


def _draw_one(axes: Axes, axis: _Axis, density: NDArray[np.float64]) -> None:
    factor = 1.0 if axis.logarithmic else _stored_by_shown(axis, density)
    axes.plot(axis.knots, density * factor, color=_LINE)
    axes.fill_between(axis.knots, density * factor, color=_LINE, alpha=0.2, linewidth=0)
    axis.format(axes, "x")
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel(f"density per {axis.unit}" if axis.unit else "density")
    axes.set_title(axis.symbol, fontsize=11, pad=4)


def _stored_by_shown(axis: _Axis, density: NDArray[np.float64]) -> float:
    """Return the factor that converts a density per stored unit to one per shown unit."""
    return 1.0 / float((density * hat_integrals(axis.knots)).sum())


def _draw_two(axes: Axes, one: _Axis, other: _Axis, density: NDArray[np.float64]) -> None:
    # The density is linear between the knots, and so are these colours.
    axes.pcolormesh(
        one.knots,
        other.knots,
        density.T / density.max(),
        shading="gouraud",
        cmap=_COLOURS,
        vmin=0.0,
        vmax=1.0,
    )
    one.format(axes, "x")
    other.format(axes, "y")
    axes.set_title(f"{one.symbol} and {other.symbol}", fontsize=11, pad=4)


def _colour_bar(page: Page, left: float, top: float) -> None:
    place = page.place(left, top, _BAR, _HEIGHT)
    colours = ScalarMappable(Normalize(0.0, 1.0), colormaps[_COLOURS])
    page.figure.colorbar(colours, cax=place, label="density / maximum")


def _heading(table: PriorTable | ModelPrior) -> str:
    found = learned_from(table.about)
    source = f", from {found}" if found else ""
    organ = table.about.get("organ")
    return f"prior {table.rule}{f' ({organ})' if organ else ''}, {table.model}{source}"
