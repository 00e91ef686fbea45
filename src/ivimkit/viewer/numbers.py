"""Numbers as JSON has them: no NaN, no infinity."""

from __future__ import annotations

import json
import math
from typing import Any

from ivimkit.errors import OptionError
from ivimkit.io.record import plain

__all__ = ["from_json", "number_of", "to_json"]


def to_json(content: Any) -> bytes:
    """Write JSON; NaN and infinities become null, every other number keeps all its bits."""
    finite = plain(content, lambda _: None)
    text = json.dumps(finite, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Half of a pair of UTF-16, as a request may hold it, becomes the escape that JSON has for it.
    return text.encode("utf-8", "backslashreplace")


def from_json(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    OptionError
        If it is something else.
    """
    try:
        content = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"the request is not JSON ({error}); expected an object") from None
    if not isinstance(content, dict):
        raise OptionError(f"the request is a {type(content).__name__}; expected a JSON object")
    return content


def number_of(value: Any) -> float | None:
    """Return a value of a request as the number it is; None if it is none that there can be.

    Parameters
    ----------
    value : object
        What JSON gave: a whole number of hundreds of digits is a number to it.

    Examples
    --------
    >>> from ivimkit.viewer.numbers import number_of
    >>> number_of(3), number_of(10**400), number_of(True)
    (3.0, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
