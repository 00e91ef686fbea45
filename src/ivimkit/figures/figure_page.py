"""Page: a figure with positions in inches, so that no layout has to be solved."""

from __future__ import annotations

import math
from functools import lru_cache
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from ivimkit.figures.plain_text import LONGEST_TITLE, PlainFigure, plain
from ivimkit.rounding import unbroken

__all__ = ["MARGIN", "Page", "broken_lines", "fitted_size", "text_width"]

MARGIN = 0.12
"""Margin of a page, inches."""

_DPI = 120
_TITLE_SIZE = 12
_TITLE_LINE = 0.21
_FOOT_SIZE, _FOOT_LINE, _FOOT_GAP = 8, 0.15, 0.06
_SMALLEST = 5.0
"""Minimum text size, points."""

_HINTING = 1.04
"""Maximum ratio of the width of text in pixels to that of its outline."""


class Page:
    """A figure without a layout engine: solving for a layout takes longer than drawing.

    Parameters
    ----------
    width, height : float
        Size in inches; the lines of the title are added to the height.
    title : str, optional
        Text at the top, on several lines if the page is narrow.
    foot : str, optional
        Small text at the bottom; its lines are also added to the height.
    dpi : float
        Pixels per inch, of a screen and of files.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    """

    def __init__(
        self, width: float, height: float, title: str = "", foot: str = "", *, dpi: float = _DPI
    ) -> None:
        lines = broken_lines(plain(title, longest=LONGEST_TITLE), _TITLE_SIZE, width - 2 * MARGIN)
        notes = broken_lines(foot, _FOOT_SIZE, width - 2 * MARGIN)
        self._head = len(lines) * _TITLE_LINE
        below = len(notes) * _FOOT_LINE + _FOOT_GAP if notes else 0.0
        self._width, self._height = width, height + self._head + below
        self.figure = PlainFigure(figsize=(self._width, self._height), dpi=dpi)
        if lines:
            top = 1 - 0.7 * MARGIN / self._height
            self.figure.suptitle("\n".join(lines), y=top, va="top", fontsize=_TITLE_SIZE)
        if notes:
            self.figure.text(
                MARGIN / self._width,
                0.6 * _FOOT_GAP / self._height,
                "\n".join(notes),
                fontsize=_FOOT_SIZE,
                va="bottom",
                color="0.25",
            )

    def place(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes at a position.

        Parameters
        ----------
        left, top : float
            Distance from the left edge of the page and from the title, inches.
        width, height : float
            Size, inches.

        Returns
        -------
        matplotlib.axes.Axes
        """
        x, y = left / self._width, self.up(top + height)
        return self.figure.add_axes((x, y, width / self._width, height / self._height))

    def up(self, top: float) -> float:
        """Convert a distance from the title in inches to a fraction of the page, from below."""
        return 1 - (self._head + top) / self._height


@lru_cache(maxsize=256)
def text_width(text: str, size: float) -> float:
    """Return the width of a line of text in inches.

    Parameters
    ----------
    text : str
        One line.
    size : float
        Points.
    """
    font = FontProperties(size=size)
    points, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return _HINTING * float(points) / 72


def fitted_size(text: str, size: float, width: float) -> float:
    """Return the size in points at which a line fits a width.

    Parameters
    ----------
    text : str
        One line.
    size : float
        Maximum size, points.
    width : float
        Inches.
    """
    wide = text_width(text, size)
    return size if wide <= width else max(_SMALLEST, size * width / wide)


def broken_lines(text: str, size: float, width: float) -> list[str]:
    """Break a text into lines that fit a width.

    Matplotlib's ``wrap=True`` interprets dollar signs as TeX.

    Parameters
    ----------
    text : str
        One paragraph.
    size : float
        Points.
    width : float
        Inches.

    Returns
    -------
    list of str
        Empty for an empty text.
    """
    wide = text_width(text, size)
    if wide <= width:
        return [text] if text else []
    letters = math.floor(len(text) * width / wide)
    return wrap(unbroken(text), max(letters, 8))
