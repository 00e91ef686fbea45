"""converted: JSON content as a struct, or one sentence that says what is wrong, and where."""

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
_ANY_KEY = "[...]"
_STEP = re.compile(r"\[\.\.\.\]|\[\d+\]|\.?\w+")
_PLACE = re.compile(r" - at `\$(.*)`$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")

Form = TypeVar("Form")


def converted(content: Mapping[str, Any], form: type[Form], *, finite: bool = True) -> Form:
    """Return the content of a file or a request as a struct, if each field has its type.

    Parameters
    ----------
    content : mapping
        The parsed JSON.
    form : type
        The struct.
    finite : bool
        Whether numbers that are not finite are refused.

    Raises
    ------
    ValueError
        If a field is missing, has a wrong type, or is not finite; the message names the place.

    Examples
    --------
    >>> from ivimkit.io.json_form import converted
    >>> from ivimkit.io.record_form import Grid
    >>> converted({"affine": []}, Grid)
    Traceback (most recent call last):
    ...
    ValueError: affine: expected a list of length 4, got 0
    """
    for place, number in _numbers(content, "") if finite else ():
        # JSON accepts numbers of hundreds of digits; nothing else does.
        if not math.isfinite(number):
            raise ValueError(f"{place} has numbers that are not finite")
    try:
        return msgspec.convert(content, form)
    except msgspec.ValidationError as error:
        raise ValueError(_sentence(_with_keys(str(error), content, form))) from None


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    """Yield every number with its place; items of a list have the place of the list."""
    if isinstance(value, float):
        yield place or "it", value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item, place)


def _with_keys(error: str, content: Mapping[str, Any], form: type[Any]) -> str:
    """Return the error with the keys of mappings, which msgspec omits, in its place."""
    place = _PLACE.search(error)
    if place is None or _ANY_KEY not in place[1]:
        return error
    path: list[str | int] = []
    written = ""
    for step in _STEP.findall(place[1]):
        if step == _ANY_KEY:
            key = _wrong_key(content, path, form)
            if key is None:
                return error
            path.append(key)
            written += f".{key}"
        else:
            path.append(int(step[1:-1]) if step.startswith("[") else step.lstrip("."))
            written += step
    return f"{error[: place.start(1)]}{written}`"


def _wrong_key(
    content: Mapping[str, Any], path: Sequence[str | int], form: type[Any]
) -> str | None:
    """Return the first key of the mapping at a place whose item is wrong."""
    node: Any = content
    for step in path:
        node = node[step]
    for key, value in node.items():
        try:
            # A wrong item is still wrong when it is alone in its mapping.
            msgspec.convert(_replaced(content, path, {key: value}), form)
        except msgspec.ValidationError:
            return str(key)
    return None


def _replaced(content: Any, path: Sequence[str | int], value: Any) -> Any:
    """Return a copy of the content with another value at a place."""
    if not path:
        return value
    step, *rest = path
    inner = _replaced(content[step], rest, value)
    if isinstance(step, int):
        return [*content[:step], inner, *content[step + 1 :]]
    return {**content, step: inner}


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
    """Return the words for ``float | null``; the text itself if it names no types."""
    words = [_KINDS.get(kind) for kind in kinds.split(" | ")]
    text = f"`{kinds}`" if None in words else " or ".join(map(str, words))
    return text.replace("a whole number or a number", "a number")
