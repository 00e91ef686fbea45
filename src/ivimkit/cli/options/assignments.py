"""Assignments such as D=0:5e-3 and lists such as 0,50,100, in options."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from ivimkit.errors import OptionError
from ivimkit.extend.option_values import number

__all__ = [
    "number",
    "number_list",
    "pair",
    "parse_assignments",
    "position_list",
    "series_list",
    "triple",
    "words",
]

T = TypeVar("T")


def parse_assignments(
    given: Sequence[str] | None, option: str, example: str, parse: Callable[[str], T]
) -> dict[str, T]:
    """Parse ``NAME=VALUE`` words.

    Parameters
    ----------
    given : sequence of str, optional
        The words.
    option : str
        The option they belong to, for messages.
    example : str
        A correct word, for messages.
    parse : callable
        Turns the text behind ``=`` into a value; ValueError means that it cannot.

    Returns
    -------
    dict of str to object

    Raises
    ------
    OptionError
        If a word is not an assignment, or a name occurs twice.
    """
    found: dict[str, T] = {}
    for word in given or ():
        name, equals, text = word.partition("=")
        name, text = name.strip(), text.strip()
        if not (name and equals and text):
            raise OptionError(f"{option} is {word!r}; expected a name and a value, like {example}")
        if name in found:
            raise OptionError(f"{option} gives {name} twice; expected it once. Leave one out")
        try:
            found[name] = parse(text)
        except ValueError:
            raise OptionError(f"{option} is {word!r}; expected something like {example}") from None
    return found


def pair(text: str) -> tuple[float, float]:
    """Parse ``LOW:HIGH``; ValueError if it is something else."""
    low, high = text.split(":")
    return number(low), number(high)


def number_list(text: str, option: str) -> list[float]:
    """Parse numbers separated by commas or blanks.

    Raises
    ------
    OptionError
        If one of them is not a number, or the list is empty.
    """
    try:
        values = [number(word) for word in words(text)]
    except ValueError:
        values = []
    if not values:
        raise OptionError(f"{option} is {text!r}; expected numbers with commas, like 0,50,100")
    return values


def position_list(text: str, option: str) -> list[int]:
    """Parse positions and ranges of them, like ``0-4,7``, or ``0-40:2`` for every second one.

    Raises
    ------
    OptionError
        If a part is neither, or the list is empty.
    """
    try:
        values = [position for word in words(text) for position in _range(word)]
    except ValueError:
        values = []
    if not values:
        raise OptionError(
            f"{option} is {text!r}; expected positions from 0 with commas, like 0-4,7"
        )
    return values


def series_list(text: str | None) -> tuple[str, ...] | None:
    """Parse series of DICOM, numbers or UIDs with commas, like ``5,7``; None if not given.

    Raises
    ------
    OptionError
        If a part is neither, or the list is empty.
    """
    if text is None:
        return None
    found = tuple(words(text))
    if not found or not all(re.fullmatch(r"-?\d+|\d+(\.\d+)+", word) for word in found):
        raise OptionError(
            f"--series is {text!r}; expected numbers or UIDs of series with commas, like 5,7. "
            "ivimkit dicom list shows them"
        )
    return found


def triple(text: str, option: str) -> tuple[int, int, int]:
    """Parse three whole numbers separated by commas.

    Raises
    ------
    OptionError
        If it is something else.
    """
    try:
        x, y, z = (int(word) for word in words(text))
    except ValueError:
        raise OptionError(
            f"{option} is {text!r}; expected three whole numbers x,y,z, like 40,32,5"
        ) from None
    return x, y, z


def words(text: str) -> list[str]:
    """Return the words of a list, separated by commas or blanks."""
    return text.replace(",", " ").split()


def _range(word: str) -> range:
    part, colon, every = word.partition(":")
    first, dash, last = part.partition("-")
    start = int(first)
    stop = int(last) if dash else start
    step = int(every) if colon else 1
    if stop < start or step < 1 or (colon and not dash):
        raise ValueError(word)
    return range(start, stop + 1, step)
