"""JSON as ivimkit writes and reads it: readable, plain, with words for inf and nan."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ivimkit.errors import FileFormatError
from ivimkit.io.untrusted_files import reason_of, untrusted

__all__ = ["from_json", "plain", "read_json", "restored", "to_json", "write_json"]

_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_KINDS = {list: "a list", str: "a text", bool: "yes or no", int: "a number", float: "a number"}
# Most values are these, and to look for mappings takes long.
_PLAIN = frozenset({str, int, bool})
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write readable JSON; inf and nan, which JSON lacks, become words."""
    path.write_text(to_json(content, indent=2) + "\n", encoding="utf-8")


def to_json(content: Mapping[str, Any], indent: int | None = None) -> str:
    """Return JSON; inf and nan, which JSON lacks, become words.

    Names of files that are not UTF-8 are restored unchanged: their odd bytes are escaped.
    """
    content = plain(content)
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    if _NOT_UTF8.search(text):
        text = json.dumps(content, indent=indent, ensure_ascii=False)
        return _NOT_UTF8.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
    # The same text as by json.dumps with an indent, in a fifth of the time.
    return text if indent is None else msgspec.json.format(text, indent=indent)


def from_json(text: str) -> dict[str, Any]:
    """Return what `to_json` was given, with lists instead of tuples and arrays.

    Raises
    ------
    ValueError
        If it is not JSON, or not a JSON object.
    """
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(f"it contains {_kind(content)}")
    return {name: restored(value) for name, value in content.items()}


def read_json(path: Path) -> dict[str, Any]:
    """Read JSON that `write_json` wrote; words stay words.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is damaged.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileFormatError(
            f"there is no {path.name} in {path.parent}; expected the folder of a result that "
            "ivimkit has saved. Check the path, or fit again: ivimkit fit takes scans, of DICOM "
            "or NIfTI"
        ) from None
    except (OSError, UnicodeError) as error:
        raise _unreadable(path, reason_of(error)) from None
    with untrusted(lambda why: _unreadable(path, why)):
        found = json.loads(content)
    if not isinstance(found, dict):
        raise FileFormatError(
            f"{path} contains {_kind(found)}; expected the record of a fit. Fit again"
        )
    return found


def restored(value: Any) -> Any:
    """Return content with the words for inf and nan as numbers again, at all levels."""
    if isinstance(value, dict):
        return {key: restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [restored(item) for item in value]
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "nothing")


def _unreadable(path: Path, why: str) -> FileFormatError:
    return FileFormatError(
        f"{path} cannot be read ({why}); expected JSON that ivimkit has written. Fit again"
    )


def plain(value: Any, not_finite: Callable[[float], str | None] = str) -> Any:
    """Return a value as JSON types, at all levels.

    Parameters
    ----------
    value : object
        Mappings, sequences, arrays, numbers, texts.
    not_finite : callable
        Makes the replacement of inf and nan, which JSON lacks; by default their names.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, not_finite) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist(), not_finite)
    if isinstance(value, list | tuple):
        return [plain(item, not_finite) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return not_finite(value)
    return value
