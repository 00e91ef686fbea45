"""Plain text: texts of users and files for figures, drawn literally and never as TeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.table import Cell
from matplotlib.text import Text

__all__ = ["LONGEST_NAME", "LONGEST_TITLE", "PlainFigure", "plain", "plain_keys"]

T = TypeVar("T")

LONGEST_NAME, LONGEST_TITLE = 48, 240
"""Maximum letters of a name and of a title: longer ones would push the rest off the page."""

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_UNKNOWN = "\ufffd"


def plain(text: str, *, empty: str = "", longest: int = LONGEST_NAME) -> str:
    r"""Return a text of a user or of a file as one line that can be drawn.

    Names of regions, results and files may contain anything. Dollars and backslashes are kept:
    `PlainFigure` does not typeset them.

    Parameters
    ----------
    text : str
        The text.
    empty : str
        Replacement for a text without any letter.
    longest : int
        Maximum number of letters.

    Returns
    -------
    str
        Without line breaks and control characters; characters missing in the font are replaced by
        a mark.

    Examples
    --------
    >>> from ivimkit.figures.plain_text import plain
    >>> plain("left\nkidney"), plain("", empty="(no name)"), plain("x" * 60)[-3:]
    ('left kidney', '(no name)', 'xx…')
    """
    words = " ".join(_UNSEEN.sub(" ", str(text)).split())
    if not words:
        return empty
    if len(words) > longest:
        words = f"{words[: longest - 1].rstrip()}…"
    drawable = "".join(letter if _has(letter) else _UNKNOWN for letter in words)
    # Matplotlib omits labels that start with an underscore from a legend.
    return f" {drawable}" if drawable.startswith("_") else drawable


def plain_keys(named: Mapping[str, T] | Iterable[tuple[str, T]]) -> dict[str, T]:
    r"""Return things by their display names, all different.

    Parameters
    ----------
    named : mapping of str to object, or pairs of both
        Things by name.

    Returns
    -------
    dict of str to object
        In the same order.

    Examples
    --------
    >>> from ivimkit.figures.plain_text import plain_keys
    >>> plain_keys({"a": 1, "a\n": 2, "": 3})
    {'a': 1, 'a (2)': 2, '(no name)': 3}
    """
    unique: dict[str, T] = {}
    for name, thing in named.items() if isinstance(named, Mapping) else named:
        first = shown = plain(name, empty="(no name)")
        number = 1
        while shown in unique:
            number += 1
            shown = f"{first} ({number})"
        unique[shown] = thing
    return unique


class PlainFigure(Figure):
    """A figure whose texts are never interpreted as TeX, and that displays itself in a notebook.

    Matplotlib typesets text between two dollar signs and fails if it is not TeX. Here texts also
    come from files. The numbers along logarithmic axes, for which it uses TeX itself, are left
    alone.
    """

    def draw(self, renderer: Any) -> None:
        """Draw everything, with literal texts."""
        for text in _texts(self):
            text.set_parse_math(False)
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        """Return the figure for display in a notebook."""
        import io

        target = io.BytesIO()
        self.savefig(target, format="png")
        return target.getvalue()


def _texts(artist: Artist) -> Iterator[Text]:
    """Return all texts except the numbers along axes."""
    for child in artist.get_children():
        if isinstance(child, Axis):
            yield child.label
        elif isinstance(child, Cell):
            yield child.get_text()
        elif isinstance(child, Text):
            yield child
        else:
            yield from _texts(child)


@lru_cache(maxsize=4096)
def _has(letter: str) -> bool:
    """Return whether a font in use has a letter; Matplotlib warns of those that are missing."""
    return any(
        get_font(findfont(FontProperties(family=[family]))).get_char_index(ord(letter))
        for family in FontProperties().get_family()
    )
