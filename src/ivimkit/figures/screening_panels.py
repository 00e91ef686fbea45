"""Screening panels: which volumes and values were left out, slice by slice."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from ivimkit.errors import OptionError
from ivimkit.figures.figure_page import Page, fitted_size, text_width
from ivimkit.fitting.screening import Screening
from ivimkit.rounding import percent

__all__ = ["screening_panels"]

_WIDTH = 6.0
"""Width of the axes, inches; the next ones are also in inches."""

_LEFT, _TOP, _GAP = 0.8, 0.1, 0.16
_FACTORS = 1.5
_SLICE_HEIGHT, _MIN_HEIGHT, _MAX_HEIGHT = 0.12, 0.5, 4.0
_BELOW = 0.4
_BAR_GAP, _BAR, _BAR_TEXT = 0.12, 0.13, 0.62

_KEPT, _OUT = "#0072B2", "#D55E00"
_SHARES = "Oranges"
_MIN_RANGE = 5.0
"""Minimum colour range of shares, %: a few values in a thousand are noise."""

_LABEL = "values left out"
_TICK = 8
"""Points."""


def screening_panels(screening: Screening, *, title: str | None = None) -> Figure:
    """Draw which volumes and values were left out because they do not belong to the scan.

    Parameters
    ----------
    screening : Screening
        `ivimkit.FitResult.screening` of a fit with option ``robust``.
    title : str, optional
        Title of the page; by default the share of all values that were left out.

    Returns
    -------
    matplotlib.figure.Figure
        Top: the median of measured divided by fitted signal in each volume, a point per slab of
        slices, in another colour where the volume was left out; bottom: the share of values that
        were left out, by slice and volume, framed where it is the whole volume.

    Raises
    ------
    OptionError
        If the scan could not be judged.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> b = np.repeat([0, 10, 20, 60, 100, 200, 500, 800], 3)
    >>> dwi = ik.simulate.phantom(shape=(32, 24, 4), bvals=b).dwi
    >>> result = ik.fit(dwi, method=ik.methods.VarPro(robust=True))
    >>> figure = ik.report.screening_panels(result.screening)
    >>> [axes.get_ylabel() for axes in figure.axes][1]
    'slice'
    """
    if not screening.is_judged:
        raise OptionError(
            f"there is nothing to draw: {screening.reason}; expected a scan that could be judged"
        )
    n_slices = int(screening.slabs[-1, 1] - screening.slabs[0, 0] + 1)
    height = min(max(_SLICE_HEIGHT * n_slices, _MIN_HEIGHT), _MAX_HEIGHT)
    names = [
        f"{volume} (b {b:g})" for volume, b in zip(screening.volumes, screening.bvals, strict=True)
    ]
    heading = f"left out: {percent(screening.share_left_out)} of all values"
    below = _BELOW + max(text_width(name, _TICK) for name in names)
    total = _TOP + _FACTORS + _GAP + height + below
    width = _LEFT + _WIDTH + _BAR_GAP + _BAR + _BAR_TEXT
    page = Page(width, total, heading if title is None else title)
    factors = page.place(_LEFT, _TOP, _WIDTH, _FACTORS)
    grid = page.place(_LEFT, _TOP + _FACTORS + _GAP, _WIDTH, height)
    bar = page.place(_LEFT + _WIDTH + _BAR_GAP, _TOP + _FACTORS + _GAP, _BAR, height)
    _draw_factors(factors, screening)
    _draw_grid(grid, bar, screening)
    step = int(np.ceil((_TICK / 72 + 0.04) * len(names) / _WIDTH))
    places = np.arange(0, len(names), step)
    for axes in (factors, grid):
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_xticks(places, [names[k] for k in places], rotation=90, parse_math=False)
        axes.tick_params(labelsize=_TICK, labelbottom=axes is grid)
    grid.set_xlabel("volume (b in s/mm²)")
    return page.figure


def _draw_factors(axes: Axes, screening: Screening) -> None:
    places = np.broadcast_to(np.arange(screening.factors.shape[1]), screening.factors.shape)
    out = screening.left_out
    for which, colour, label in ((~out, _KEPT, "kept"), (out, _OUT, "left out")):
        if which.any():
            axes.plot(
                places[which], screening.factors[which], "o", markersize=3.5, color=colour,
                alpha=0.7, label=label,
            )  # fmt: skip
    axes.axhline(1.0, color="0.3", linewidth=0.8)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("measured / fitted\nsignal (median)", fontsize=9)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(fontsize=7, frameon=False, loc="best")


def _draw_grid(axes: Axes, bar: Axes, screening: Screening) -> None:
    first = int(screening.slabs[0, 0])
    sizes = screening.slabs[:, 1] - screening.slabs[:, 0] + 1
    # A slab of several slices is drawn as these.
    shares = np.repeat(screening.shares, sizes, axis=0)
    n_slices, n_volumes = shares.shape
    image = axes.imshow(
        100.0 * shares,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=colormaps[_SHARES],
        vmin=0.0,
        vmax=max(
            _MIN_RANGE, 100.0 * float(screening.shares[~screening.left_out].max(initial=0.0))
        ),
        extent=(-0.5, n_volumes - 0.5, first - 0.5, first + n_slices - 0.5),
    )
    for slab, volume in np.argwhere(screening.left_out):
        low, high = screening.slabs[slab]
        corner, height = (volume - 0.5, low - 0.5), high - low + 1
        axes.add_patch(Rectangle(corner, 1, height, fill=False, edgecolor="black", linewidth=0.8))
    axes.set_ylabel("slice", fontsize=9)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if screening.left_out.any():
        frame = Patch(fill=False, edgecolor="black", label="whole volume left out")
        axes.figure.axes[0].legend(
            handles=[*axes.figure.axes[0].get_legend_handles_labels()[0], frame],
            fontsize=7,
            frameon=False,
            loc="best",
        )
    whole = bool(screening.left_out.any())
    colours = bar.figure.colorbar(image, cax=bar, extend="max" if whole else "neither")
    label = f"{_LABEL} (%)"
    colours.set_label(label, fontsize=fitted_size(label, 8, bar.bbox.height / bar.figure.dpi))
    bar.tick_params(labelsize=_TICK)
