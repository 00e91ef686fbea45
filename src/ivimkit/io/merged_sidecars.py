"""The content of all JSON sidecars of a scan, as one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ivimkit.errors import FileFormatError
from ivimkit.io.gradient_files import text_of
from ivimkit.io.untrusted_files import reason_of, untrusted

__all__ = ["merged_sidecars"]


def merged_sidecars(
    paths: Sequence[Path], unreadable: Callable[[Path, str], None] | None = None
) -> dict[str, tuple[Any, Path]]:
    """Return what sidecars say, each key with its value and the file that it is from.

    Parameters
    ----------
    paths : sequence of Path
        The sidecars as `ivimkit.io.gradient_files.sidecars_of` finds them: what one says replaces
        what those behind it say of the same key.
    unreadable : callable, optional
        Receives the path of a file that is not JSON, and the reason; such a file says nothing.

    Returns
    -------
    dict of str to (value, Path)
    """
    said: dict[str, tuple[Any, Path]] = {}
    for path in reversed(paths):
        try:
            with untrusted(FileFormatError):
                content = json.loads(text_of(path, "JSON", "Give a sidecar"))
        except FileFormatError as error:
            if unreadable is not None:
                unreadable(path, reason_of(error))
            continue
        if isinstance(content, Mapping):
            said |= {key: (value, path) for key, value in content.items()}
    return said
