"""Options of plug-ins that were written as text: each is read with the type of its default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ivimkit.errors import OptionError

__all__ = ["number", "number_or_text", "options_of", "typed"]

_YES_OR_NO = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


def number(text: str) -> float:
    """Parse a number; ValueError if it is not a number, or nan."""
    value = float(text)
    if value != value:
        raise ValueError(text)
    return value


def number_or_text(text: str) -> float | str:
    """Return a number where there is one, and else the text."""
    try:
        return number(text)
    except ValueError:
        return text


def options_of(
    owner: str,
    words: Sequence[str],
    usual: Mapping[str, Any],
    read: Callable[[str, str], Any],
    *,
    example: str,
) -> dict[str, Any]:
    """Read the options of a plug-in that were written as ``OPTION=VALUE`` each.

    Parameters
    ----------
    owner : str
        Whose options they are, at the beginning of messages, like ``"step align"``.
    words : sequence of str
        What was written.
    usual : mapping of str to object
        The options that there are, with their defaults. Others stay texts: the plug-in refuses
        them, with a list of those that it has.
    read : callable
        Reads the value of an option, given the name of the option and the text.
    example : str
        What would be right, for messages.

    Raises
    ------
    OptionError
        If a word is not an option and a value, or an option stands twice.

    Examples
    --------
    >>> from ivimkit.extend.option_values import options_of, typed
    >>> usual = {"n": 200}
    >>> read = lambda option, text: typed(f"option {option}", text, usual[option])
    >>> options_of("the bootstrap", ["n=500"], usual, read, example="n=500")
    {'n': 500}
    """
    found: dict[str, Any] = {}
    for word in words:
        option, equals, value = (part.strip() for part in word.partition("="))
        if not (option and equals and value):
            raise OptionError(
                f"{owner} has {word!r}; expected an option and a value, like {example}"
            )
        if option in found:
            raise OptionError(f"{owner} has option {option} twice; expected it once")
        found[option] = read(option, value) if option in usual else value
    return found


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
