"""Reading gzip: by isal, which is faster than zlib, where it is installed."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

__all__ = ["GZIP_ERRORS", "open_gzip"]

try:
    from isal import igzip, isal_zlib

    _open: Any = igzip.open
    _fault: Any = isal_zlib.error
except ImportError:
    _open, _fault = gzip.open, zlib.error

GZIP_ERRORS: tuple[type[Exception], ...] = (zlib.error, _fault)
"""What damaged content raises, apart from OSError, EOFError and ValueError."""


def open_gzip(path: Path) -> Any:
    """Open a gzip file for reading bytes; the checksum is compared at its end."""
    return _open(path, "rb")
