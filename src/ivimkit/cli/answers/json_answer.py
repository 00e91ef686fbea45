"""Answer: what all JSON documents of the command line begin with, and their text."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ivimkit import __version__
from ivimkit.io.json_text import plain

__all__ = ["Answer", "Row", "json_text", "rows_of"]

Row = dict[str, str | int | float | bool | None]
"""A row of a table: the cells by the names of its columns; null where there is no number."""


class Answer(msgspec.Struct, kw_only=True):
    """The head of each document.

    `units` has the unit of each number that has one, by the name of its key, column or map.
    """

    format_version: Literal[1] = 1
    ivimkit: str = msgspec.field(default_factory=lambda: __version__)
    units: dict[str, str] = {}


def json_text(document: Any) -> str:
    """Return a document as JSON, with null for numbers that are not finite.

    Parameters
    ----------
    document : Answer or mapping
        What to write.

    Examples
    --------
    >>> from ivimkit.cli.answers.json_answer import json_text
    >>> print(json_text({"D": float("nan"), "f": 0.25}), end="")
    {
      "D": null,
      "f": 0.25
    }
    """
    content = plain(msgspec.to_builtins(document, enc_hook=_plain), _null)
    return msgspec.json.format(msgspec.json.encode(_readable(content)), indent=2).decode() + "\n"


def rows_of(table: Any) -> list[Row]:
    """Return the rows of a pandas table, its index as columns."""
    named = any(name is not None for name in table.index.names)
    flat = table.reset_index() if named else table
    found: list[Row] = plain(flat.to_dict("records"), _null)
    return found


def _null(_: float) -> None:
    return None


def _plain(value: Any) -> Any:
    """Return an array, or a number of NumPy, as JSON types."""
    return plain(value)


def _readable(value: Any) -> Any:
    """Return content whose texts are UTF-8: odd bytes of names of files are written out."""
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value
