"""converted: what JSON holds as a struct, or one sentence on what is wrong, and where."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

__all__ = ["converted"]

_KINDS = {
    "object": "names with values",
    "array": "a list",
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}
_NAMED_KINDS = re.compile(r"`(\w+(?: \| \w+)*)`")
_MISSING = re.compile(r"Object missing required field `(\w+)`")

Form = TypeVar("Form")


def converted(content: Mapping[str, Any], form: type[Form], *, finite: bool = True) -> Form:
    """Return what a file or a request holds as a struct, if each field is of its kind.

    Parameters
    ----------
    content : mapping
        What JSON gave.
    form : type
        The struct.
    finite : bool
        Whether a number that is not finite is refused.

    Raises
    ------
    ValueError
        With the place, if a field is missing, of another kind, or a number that is not finite.

    Examples
    --------
    >>> from ivimkit.io.json_form import converted
    >>> from ivimkit.io.record_form import Grid
    >>> converted({"affine": []}, Grid)
    Traceback (most recent call last):
    ...
    ValueError: affine: expected `array` of length 4, got 0
    """
    for place, number in _numbers(content, "") if finite else ():
        # Numbers of hundreds of digits are numbers to JSON, and to nothing else.
        if not math.isfinite(number):
            raise ValueError(f"{place} has numbers that are not finite")
    try:
        return msgspec.convert(content, form)
    except msgspec.ValidationError as error:
        raise ValueError(_sentence(str(error))) from None


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    """Yield every number with its place, the items of a list with that of the list."""
    if isinstance(value, float):
        yield place or "it", value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item, place)


def _sentence(error: str) -> str:
    """Return ``place: what is wrong`` for msgspec's ``What is wrong - at `$.place```."""
    what, at, place = error.partition(" - at `$")
    place = place.rstrip("`").lstrip(".")
    missing = _MISSING.match(what)
    if missing:
        return repr(f"{place}.{missing[1]}" if place else missing[1])
    what = _NAMED_KINDS.sub(lambda found: _in_words(found[1]), what)
    what = what[:1].lower() + what[1:]
    return f"{place}: {what}" if at and place else what


def _in_words(kinds: str) -> str:
    """Return the words for ``float | null``; as it is, in its marks, if it names no kinds."""
    words = [_KINDS.get(kind) for kind in kinds.split(" | ")]
    return f"`{kinds}`" if None in words else " or ".join(map(str, words))
