"""JSON numbers: without NaN and infinity."""

from __future__ import annotations

import json
import math
from typing import Any

from ivimkit.errors import OptionError
from ivimkit.io.json_text import plain

__all__ = ["from_json", "to_json"]

_MAX_DIGITS = 15
"""Maximum number of digits of integers: a float represents each of them exactly."""


_MIN_MAGNITUDE = 1e-300
"""Minimum magnitude of numbers other than 0: their reciprocal is finite."""


def to_json(content: Any) -> bytes:
    """Write JSON; NaN and infinities become null, every other number keeps full precision."""
    finite = plain(content, lambda _: None)
    text = json.dumps(finite, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # An unpaired UTF-16 surrogate, which a request may contain, becomes its JSON escape.
    return text.encode("utf-8", "backslashreplace")


def from_json(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    OptionError
        If it is something else.
    """
    try:
        content = json.loads(
            body.decode("utf-8"), parse_constant=_refuse, parse_int=_whole, parse_float=_real
        )
    except (ValueError, RecursionError) as error:
        raise OptionError(f"the request is not JSON ({error}); expected an object") from None
    if not isinstance(content, dict):
        raise OptionError(f"the request is a {type(content).__name__}; expected a JSON object")
    return content


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"{digits[:5]}... has {len(digits)} digits")
    return int(digits)


def _real(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or 0.0 < abs(number) < _MIN_MAGNITUDE:
        raise ValueError(f"{text[:20]} is too {'large' if abs(number) > 1.0 else 'small'}")
    return number


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
