"""MendingCache: a cache of compiled code on disk that survives damaged files and full disks.

numba does not check the files of its cache: after a power cut, or on a full disk, a damaged file
would make every fit fail until somebody finds and removes it. Here it is removed and the code is
compiled again; if nothing can be written, compiled code is kept for the process only.
"""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba.core import caching

from ivimkit.errors import CacheWarning

__all__ = ["MendingCache"]

# numba has no type hints.
_FunctionCache: Any = caching.FunctionCache
_CacheFile: Any = caching.IndexDataCacheFile

_DIGEST = hashlib.sha256
_SIZE = _DIGEST().digest_size


class _CheckedFile(_CacheFile):  # type: ignore[misc]
    """Cache files of one function, each with a digest at its end.

    Without it, damaged machine code would be executed.
    """

    def _dump(self, obj: Any) -> bytes:
        # Reading a pickle stops at its end, so numba itself can read the file, too.
        data: bytes = super()._dump(obj)
        return data + _DIGEST(data).digest()

    def _load_data(self, name: str) -> Any:
        data = Path(self._data_path(name)).read_bytes()
        if _DIGEST(data[:-_SIZE]).digest() != data[-_SIZE:]:
            raise ValueError(f"{name} is damaged")
        return super()._load_data(name)


class MendingCache(_FunctionCache):  # type: ignore[misc]
    """A cache of compiled code that survives damaged files and full disks.

    Parameters
    ----------
    function : function
        The function to compile.

    Raises
    ------
    RuntimeError
        If no folder for the cache can be written.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFile(
            self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp()
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code of a signature; None if it is missing or damaged."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - a damaged pickle may raise anything.
            self._remove()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store the compiled code of a signature; warn if that is not possible."""
        try:
            try:
                super().save_overload(sig, data)
            except OSError:
                raise
            except Exception:  # noqa: BLE001 - a damaged index may raise anything.
                self._remove()
                super().save_overload(sig, data)
        except OSError as error:
            self._remove()
            _say_once(str(self._cache_path), error.strerror or str(error))

    def _remove(self) -> None:
        """Remove all files of the function; other processes may still use what they have read."""
        folder, base = Path(self._cache_path), self._impl.filename_base
        with suppress(OSError):
            for path in folder.iterdir():
                if path.name.startswith(f"{base}."):
                    path.unlink(missing_ok=True)


@functools.cache
def _say_once(folder: str, reason: str) -> None:
    warnings.warn(
        f"compiled code cannot be kept in {folder} ({reason}), so that every run compiles anew; "
        "make room there, or set NUMBA_CACHE_DIR to another folder",
        CacheWarning,
        stacklevel=2,
    )
