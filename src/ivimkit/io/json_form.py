"""converted: what JSON holds as a struct, or one sentence on what is wrong, and where."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
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
_PLACE = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)
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
        raise ValueError(_sentence(_with_keys(str(error), content, form))) from None


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


def _with_keys(error: str, content: Mapping[str, Any], form: type[Any]) -> str:
    """Return the error with the key of a mapping, which msgspec leaves out, in its place."""
    place = _PLACE.search(error)
    if place is None or "[...]" not in place[1]:
        return error
    path = [name for name in re.split(r"\.|\[(\d+)\]", place[1].partition("[...]")[0]) if name]
    node: Any = content
    for name in path:
        node = node[int(name)] if isinstance(node, list) else node[name]
    for key, value in node.items():
        try:
            # Alone in its mapping, the item that is wrong is wrong again.
            msgspec.convert(_replaced(content, path, {key: value}), form)
        except msgspec.ValidationError as again:
            return _with_keys(str(again).replace("[...]", f".{key}", 1), content, form)
    return error


def _replaced(content: Any, path: Sequence[str], value: Any) -> Any:
    """Return a copy of the content with another value at a place."""
    if not path:
        return value
    name, *rest = path
    if isinstance(content, list):
        number = int(name)
        return [*content[:number], _replaced(content[number], rest, value), *content[number + 1 :]]
    return {**content, name: _replaced(content[name], rest, value)}


def _sentence(error: str) -> str:
    """Return ``place: what is wrong`` for msgspec's ``What is wrong - at `$.place```."""
    what, at, place = error.partition(" - at `$")
    place = place.rstrip("`").lstrip(".")
    missing = _MISSING.match(what)
    if missing:
        name = f"{place}.{missing[1]}" if place else missing[1]
        return f"it has no {name!r}"
    what = _NAMED_KINDS.sub(lambda found: _in_words(found[1]), what)
    what = what[:1].lower() + what[1:]
    return f"{place}: {what}" if at and place else what


def _in_words(kinds: str) -> str:
    """Return the words for ``float | null``; as it is, in its marks, if it names no kinds."""
    words = [_KINDS.get(kind) for kind in kinds.split(" | ")]
    text = f"`{kinds}`" if None in words else " or ".join(map(str, words))
    return text.replace("a whole number or a number", "a number")
