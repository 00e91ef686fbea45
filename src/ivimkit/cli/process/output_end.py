"""The end of the output: written completely, or dropped silently."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

__all__ = ["drop_output", "flush_output", "place_of_output"]


def place_of_output() -> tuple[int, ...]:
    """Return an identity of the output, which changes if it is redirected."""
    try:
        found = os.fstat(sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):  # Closed, or not a file, as in tests.
        return (id(sys.stdout),)
    return id(sys.stdout), found.st_dev, found.st_ino


def flush_output() -> None:
    """Write the rest of the output.

    Raises
    ------
    OSError
        If it cannot be written: nobody reads it, or a disk is full.
    """
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def drop_output() -> None:
    """Discard the rest of the output, or the interpreter would complain at exit."""
    try:
        number = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # Closed, or not a file, as in tests.
        return
    with suppress(OSError):
        sys.stdout.flush()
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
