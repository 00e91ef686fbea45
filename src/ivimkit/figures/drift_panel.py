"""Drift panel: the signal of images at b = 0 during a session, and the fit through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ivimkit.errors import OptionError
from ivimkit.figures.figure_page import Page

__all__ = ["drift_panel"]

_WIDTH, _HEIGHT = 6.0, 2.0
"""Size of the axes, inches; the distances are also in inches."""

_LEFT, _TOP, _BELOW, _RIGHT = 0.8, 0.1, 0.5, 0.2
_POINT, _LINE = "#0072B2", "#D55E00"
_MIN_RANGE = 2.0
"""Minimum range of the signal axis, %."""


def drift_panel(numbers: Mapping[str, Any], *, title: str | None = None) -> Figure:
    """Draw the drift that step drift measured.

    Parameters
    ----------
    numbers : mapping
        `StepRecord.numbers` of the step.
    title : str, optional
        Title of the page.

    Returns
    -------
    matplotlib.figure.Figure
        Points are images at the lowest b-value, the line is what each volume was divided by, both
        in % of the first volume.

    Raises
    ------
    OptionError
        If the numbers are not those of the step.

    Examples
    --------
    >>> from ivimkit.figures.drift_panel import drift_panel
    >>> figure = drift_panel(
    ...     {"factors": [1.0, 0.99, 0.98], "images": [0, 2], "levels": [1.0, 0.98]}
    ... )
    >>> figure.axes[0].get_xlabel()
    'volume'
    """
    try:
        factors = 100.0 * np.array(numbers["factors"], dtype=np.float64)
        images = np.array(numbers["images"], dtype=np.intp)
        levels = 100.0 * np.array(numbers["levels"], dtype=np.float64)
        fits = factors.ndim == 1 and images.ndim == 1 and levels.shape == images.shape
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise OptionError(
            "the numbers are not those of a drift; expected factors, images and levels. Apply "
            "step drift again"
        )
    page = Page(
        _LEFT + _WIDTH + _RIGHT,
        _TOP + _HEIGHT + _BELOW,
        "Signal drift" if title is None else title,
    )
    axes = page.place(_LEFT, _TOP, _WIDTH, _HEIGHT)
    axes.plot(np.arange(factors.size), factors, color=_LINE, linewidth=1.2, label="fit")
    axes.plot(images, levels, "o", markersize=4, color=_POINT, label="images at b = 0")
    low, high = axes.get_ylim()
    spare = max(_MIN_RANGE - (high - low), 0.0) / 2.0
    axes.set_ylim(low - spare, high + spare)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("volume")
    axes.set_ylabel("signal\n(% of the first volume)", fontsize=9)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(fontsize=7, frameon=False, loc="best")
    return page.figure
