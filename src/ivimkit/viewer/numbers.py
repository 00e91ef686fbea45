"""Numbers as JSON has them: no NaN, no infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ivimkit.errors import OptionError

__all__ = ["from_json", "to_json"]


def to_json(content: Any) -> bytes:
    """Write JSON; NaN and infinities become null, every other number keeps all its bits."""
    text = json.dumps(_plain(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8")


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


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
