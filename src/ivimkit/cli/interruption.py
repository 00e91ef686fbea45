"""Ctrl-C and SIGTERM, so that neither is ever lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import NoReturn

__all__ = ["catch_signals", "leave_at_once", "raise_if_interrupted"]

# The one thing here that cannot be an argument: a signal belongs to the process.
_INTERRUPTED = threading.Event()


def catch_signals() -> None:
    """Make SIGTERM clean up like Ctrl-C, and remember either one."""
    signal.signal(signal.SIGTERM, _interrupt)
    # A shell may have told its background jobs to ignore Ctrl-C.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if a signal has come.

    An exception that a handler raises is dropped where C code calls back into Python, as a
    compilation does many times; this one is not.
    """
    if _INTERRUPTED.is_set():
        raise KeyboardInterrupt


def leave_at_once(code: int) -> NoReturn:
    """End the process with this code, output written, nothing else run.

    An interrupt that passed through code made from a string, as in a compilation, would make the
    interpreter end itself by a signal in place of the code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _interrupt(number: int, frame: object) -> None:
    _INTERRUPTED.set()
    raise KeyboardInterrupt
