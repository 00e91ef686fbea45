"""The end of the output: written to the last letter, or dropped without noise."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

__all__ = ["drop_output", "flush_output", "place_of_output"]


def place_of_output() -> tuple[int, ...]:
    """Return what is the same as long as the output goes to one place."""
    try:
        found = os.fstat(sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):  # Closed, or not a file, as in tests.
        return (id(sys.stdout),)
    return id(sys.stdout), found.st_dev, found.st_ino


def flush_output() -> None:
    """Write what is left of the output.

    Raises
    ------
    OSError
        If it cannot be written: nobody reads it, or a disk is full.
    """
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def drop_output() -> None:
    """Let what is left of the output go nowhere, or the interpreter would complain in the end."""
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
