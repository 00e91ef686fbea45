"""Options of plug-ins that were written as text: each is read with the type of its default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ivimkit.errors import OptionError

__all__ = ["number", "typed"]

_YES_OR_NO = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


def number(text: str) -> float:
    """Parse a number; ValueError if it is not a number, or nan."""
    value = float(text)
    if value != value:
        raise ValueError(text)
    return value


def typed(what: str, text: str, usual: Any) -> Any:
    """Read the value of an option with the type of its default.

    Parameters
    ----------
    what : str
        The option, at the beginning of the message, like ``"--option steps"``.
    text : str
        What was written.
    usual : object
        The default; None is that of a number that may be left out.

    Raises
    ------
    OptionError
        If the text cannot be read like that.

    Examples
    --------
    >>> from ivimkit.extend.option_values import typed
    >>> typed("--option steps", "2", 1), typed("--option robust", "yes", False)
    (2, True)
    """
    if isinstance(usual, bool):
        return _parsed(what, text, lambda word: _YES_OR_NO[word.lower()], "yes or no")
    if isinstance(usual, int):
        return _parsed(what, text, int, "a whole number")
    if isinstance(usual, float) or usual is None:
        return _parsed(what, text, number, "a number")
    return text


def _parsed(what: str, text: str, parse: Callable[[str], Any], expected: str) -> Any:
    try:
        return parse(text)
    except (ValueError, KeyError):
        raise OptionError(f"{what} is {text!r}; expected {expected}") from None
