"""Residual panels: residuals of a fit by b-value, and by slice and b-value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from ivimkit.figures.figure_page import MARGIN, Page, fitted_size, text_width
from ivimkit.quality.fit_residuals import Residuals
from ivimkit.quality.residual_faults import MIN_SHIFT_PERCENT, MIN_VOXELS
from ivimkit.quality.residual_findings import Finding, residual_findings
from ivimkit.rounding import thousands

__all__ = ["residual_panels"]

_WIDTH = 6.0
"""Width of the axes, inches; the next ones are also in inches."""

_LEFT, _TOP, _GAP = 0.75, 0.1, 0.16
_MEAN, _SD = 1.7, 0.9
_SLICE_HEIGHT, _MIN_HEIGHT, _MAX_HEIGHT = 0.12, 1.0, 4.0
_BELOW = 0.62
_BAR_GAP, _BAR, _BAR_TEXT = 0.12, 0.13, 0.62

_USUAL, _LARGE = "#0072B2", "#D55E00"
_DIVERGING = "RdBu_r"
_EMPTY = "0.8"
_NAMED = "named in the findings"
_MIN_RANGE = 3.0
"""Minimum colour range of slices, % of S0: findings below it must not look saturated."""

_LABEL = "mean residual (% of S0)"
_TICK = 8
"""Points."""


def residual_panels(
    residuals: Residuals,
    *,
    title: str | None = None,
    findings: Sequence[Finding] | None = None,
) -> Figure:
    r"""Draw the residuals of a fit by b-value, and by slice and b-value.

    Parameters
    ----------
    residuals : Residuals
        The result of `ivimkit.quality.residuals`.
    title : str, optional
        Title of the page; by default the number of voxels.
    findings : sequence of Finding, optional
        The findings to mark; by default those of `ivimkit.quality.residual_findings`.

    Returns
    -------
    matplotlib.figure.Figure
        Top: the mean residual at each b-value, in another colour where a finding names it; middle:
        its standard deviation between voxels, with the noise; bottom, if there are several slices:
        the mean residual of each, framed where a finding names it.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 3))
    >>> figure = ik.report.residual_panels(ik.quality.residuals(ik.fit(made.dwi)))
    >>> [axes.get_ylabel() for axes in figure.axes][:3]
    ['mean residual\n(% of S0)', 'sd\n(% of S0)', 'slice']
    """
    named = residual_findings(residuals) if findings is None else findings
    several = residuals.slices.size > 1
    height = (
        min(max(_SLICE_HEIGHT * residuals.slices.size, _MIN_HEIGHT), _MAX_HEIGHT)
        if several
        else 0.0
    )
    below = _TOP + _MEAN + _GAP + _SD
    bottom = below + (_GAP + height if several else 0.0)
    heading = _heading(residuals) if title is None else title
    right = _BAR_GAP + _BAR + _BAR_TEXT if several else MARGIN
    space = _BELOW
    if _is_upright(residuals):
        space += max(text_width(name, _TICK) for name in residuals.names)
    page = Page(_LEFT + _WIDTH + right, bottom + space, heading)
    panels = [page.place(_LEFT, _TOP, _WIDTH, _MEAN)]
    _draw_means(panels[0], residuals, named)
    panels.append(page.place(_LEFT, _TOP + _MEAN + _GAP, _WIDTH, _SD))
    _draw_sd(panels[1], residuals)
    if several:
        panels.append(page.place(_LEFT, below + _GAP, _WIDTH, height))
        bar = page.place(_LEFT + _WIDTH + _BAR_GAP, below + _GAP, _BAR, height)
        _draw_slices(panels[2], bar, residuals, named)
    for axes in panels:
        axes.set_xlim(-0.5, residuals.bvals.size - 0.5)
        _name_bvals(axes, residuals)
        axes.tick_params(labelsize=_TICK, labelbottom=axes is panels[-1])
    panels[-1].set_xlabel("b (s/mm²)")
    return page.figure


def _heading(residuals: Residuals) -> str:
    every = residuals.n == residuals.n_fitted
    share = "" if every else f" of {thousands(residuals.n_fitted)} fitted"
    return f"residuals, measured − fit: {thousands(residuals.n)}{share} voxels"


def _name_bvals(axes: Axes, residuals: Residuals) -> None:
    """Write the b-values below their places: all, or as many as there is room for."""
    names = residuals.names
    upright = _is_upright(residuals)
    widest = _TICK / 72 if upright else max(text_width(name, _TICK) for name in names)
    step = int(np.ceil((widest + 0.08) * len(names) / _WIDTH))
    places = np.arange(0, len(names), step)
    rotation = 90 if upright else 0
    axes.set_xticks(places, [names[k] for k in places], rotation=rotation, parse_math=False)


def _is_upright(residuals: Residuals) -> bool:
    """Whether names of settings are too long to fit next to each other."""
    return any("(" in name for name in residuals.names)


def _draw_means(axes: Axes, residuals: Residuals, findings: Sequence[Finding]) -> None:
    named = {number for finding in findings for number in finding.bvals}
    places = np.arange(residuals.mean.size)
    colours = [_LARGE if number in named else _USUAL for number in places]
    axes.bar(places, residuals.mean, color=colours, label="mean residual")
    if named:
        axes.legend(
            handles=[Patch(color=_LARGE, label=_NAMED)], fontsize=7, frameon=False, loc="best"
        )
    axes.axhline(0.0, color="0.3", linewidth=0.8)
    # At least 1 %: rounding errors must not look like a pattern.
    largest = max(MIN_SHIFT_PERCENT, 1.15 * float(np.abs(residuals.mean).max()))
    axes.set_ylim(-largest, largest)
    axes.set_ylabel("mean residual\n(% of S0)", fontsize=9)
    axes.grid(axis="y", alpha=0.25)


def _draw_sd(axes: Axes, residuals: Residuals) -> None:
    places = np.arange(residuals.sd.size)
    axes.plot(places, residuals.sd, "o-", color=_USUAL, markersize=4, label="voxel to voxel")
    if np.isfinite(residuals.noise):
        noise = residuals.noise / np.sqrt(residuals.counts)
        axes.plot(places, noise, "--", color="0.3", linewidth=1.0, label="noise")
    axes.set_ylim(0.0, 1.15 * axes.get_ylim()[1])
    axes.set_ylabel("sd\n(% of S0)", fontsize=9)
    axes.legend(fontsize=7, frameon=False, ncols=2, loc="lower right")
    axes.grid(axis="y", alpha=0.25)


def _draw_slices(axes: Axes, bar: Axes, residuals: Residuals, findings: Sequence[Finding]) -> None:
    # Slices with hardly any voxels are noise; they neither count nor set the colours.
    large = residuals.n_by_slice >= min(MIN_VOXELS, residuals.n_by_slice.max())
    values = residuals.by_slice[large]
    finite = np.abs(values[np.isfinite(values)])
    largest = max(_MIN_RANGE, float(finite.max()) if finite.size else 0.0)
    axes.set_facecolor(_EMPTY)
    image = axes.imshow(
        residuals.by_slice,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=colormaps[_DIVERGING].with_extremes(bad=_EMPTY),
        vmin=-largest,
        vmax=largest,
    )
    step = int(np.ceil(residuals.slices.size * 0.15 / axes.bbox.height * axes.figure.dpi))
    places = np.arange(0, residuals.slices.size, max(1, step))
    axes.set_yticks(places, [str(residuals.slices[k]) for k in places])
    axes.set_ylabel("slice", fontsize=9)
    rows = {int(slice_): row for row, slice_ in enumerate(residuals.slices)}
    for slice_, number in dict.fromkeys(cell for one in findings for cell in one.cells):
        corner = (number - 0.5, rows[slice_] - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="black", linewidth=1.2))
    every = np.abs(residuals.by_slice[np.isfinite(residuals.by_slice)])
    beyond = "both" if (every > largest).any() else "neither"
    colours = bar.figure.colorbar(image, cax=bar, extend=beyond)
    height = bar.bbox.height / bar.figure.dpi
    colours.set_label(_LABEL, fontsize=fitted_size(_LABEL, 8, height))
    bar.tick_params(labelsize=_TICK)
