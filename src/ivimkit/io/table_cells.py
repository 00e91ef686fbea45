"""Texts in the cells of tables: spreadsheets must not mistake a name for a formula."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["escaped", "guarded", "unguarded", "with_texts"]

# What spreadsheets treat as the beginning of a formula, full-width letters included. The
# apostrophes are those of `guarded`: a name that begins with one gets a second.
_FORMULA = re.compile(r"'*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_GUARD = "'"


def escaped(text: str) -> str:
    r"""Return a text with control characters and lone surrogates written out.

    Parameters
    ----------
    text : str
        Any text.

    Examples
    --------
    >>> from ivimkit.io.table_cells import escaped
    >>> print(escaped("liver\x07"))
    liver\x07
    """
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(letter: str) -> str:
    kind, code = unicodedata.category(letter), ord(letter)
    if kind == "Cs":
        # Lone surrogates, as in file names that are not UTF-8.
        return "\ufffd"
    nothing = kind == "Cc" or (code & 0xFFFE) == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    if not nothing:
        return letter
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def guarded(text: str) -> str:
    """Return a text for a CSV cell that no spreadsheet mistakes for a formula.

    Parameters
    ----------
    text : str
        Any text. One that begins like a formula gets an apostrophe before it.

    Examples
    --------
    >>> from ivimkit.io.table_cells import guarded, unguarded
    >>> guarded("=1+1"), unguarded(guarded("=1+1")), guarded("liver")
    ("'=1+1", '=1+1', 'liver')
    """
    return _GUARD + text if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Return the text that `guarded` was given."""
    return text[1:] if text.startswith(_GUARD) and _FORMULA.match(text) else text


def with_texts(table: pd.DataFrame, change: Any) -> pd.DataFrame:
    """Return a table with all its texts changed, column names included; numbers are kept.

    Parameters
    ----------
    table : pandas.DataFrame
        The table, its names as columns.
    change : callable
        Maps a text to a text.
    """

    def _changed(value: Any) -> Any:
        return change(value) if isinstance(value, str) else value

    changed = table.rename(columns=_changed)
    for position, kind in enumerate(table.dtypes):
        if kind.kind not in "biufcmM":
            texts: Any = changed.iloc[:, position].map(_changed)
            changed.isetitem(position, texts)
    return changed
