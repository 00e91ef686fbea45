"""Folder locks between processes; the system releases them when a process ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ivimkit.errors import InputError

__all__ = ["hold", "locked", "release"]

_PATIENCE = 30.0
_PAUSE = 0.005


def _locks() -> ModuleType | None:
    try:
        import fcntl
    except ImportError:  # Windows.
        return None
    return fcntl


def hold(folder: Path) -> int | None:
    """Acquire the lock of a folder, if it is free.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    int or None
        For `release`; -1 where there are no locks, None if another process holds it.
    """
    fcntl = _locks()
    if fcntl is None:
        return -1
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return None
    except OSError:  # A file system without locks, such as some network drives.
        os.close(number)
        return -1
    return number


def release(number: int) -> None:
    """Release a lock."""
    if number >= 0:
        os.close(number)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, waiting for it; exchanges take milliseconds.

    Raises
    ------
    InputError
        If another process does not release it.
    """
    end = time.monotonic() + _PATIENCE
    while (number := hold(folder)) is None:
        if time.monotonic() > end:
            raise InputError(
                f"another process is writing to {folder}; expected no other writer. Wait for "
                "it to end, or choose another folder"
            )
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        release(number)
