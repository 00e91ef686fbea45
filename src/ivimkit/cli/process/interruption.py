"""Ctrl-C and SIGTERM, so that neither is ever lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from ivimkit.cli.process.exit_codes import INTERRUPTED

__all__ = [
    "catch_signals",
    "ignore_signals",
    "leave_at_once",
    "leave_on_signals",
    "raise_if_interrupted",
    "signals_leave",
    "was_interrupted",
]

# Global state, because a signal belongs to the process.
_INTERRUPTED = threading.Event()


def leave_on_signals() -> None:
    """Let Ctrl-C and SIGTERM end the process at once, while nothing has been done.

    An exception would have to pass through the imports and the option parser.
    """
    _handle(_leave)


def catch_signals() -> None:
    """Make SIGTERM clean up like Ctrl-C, and remember either one."""
    _handle(_interrupt)


def signals_leave() -> bool:
    """Return whether signals end the process at once."""
    return signal.getsignal(signal.SIGTERM) is _leave


def ignore_signals() -> None:
    """Ignore signals: all work is done, and the exit code is set."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def was_interrupted() -> bool:
    """Return whether a signal has arrived."""
    return _INTERRUPTED.is_set()


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if a signal has arrived.

    An exception raised in a handler is dropped where C code calls back into Python, as compilation
    does many times; this one is not.
    """
    if _INTERRUPTED.is_set():
        raise KeyboardInterrupt


def leave_at_once(code: int) -> NoReturn:
    """End the process with this code, output written, nothing else run.

    An interrupt that passed through code made from a string, as in a compilation, would make the
    interpreter end itself by a signal instead of the code.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.flush()
    os._exit(code)


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handler)
    # A shell may have told its background jobs to ignore Ctrl-C.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    if sys.stderr is not None:
        with suppress(OSError):
            os.write(2, b"interrupted: nothing is left half-written\n")
    os._exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _INTERRUPTED.set()
    raise KeyboardInterrupt
