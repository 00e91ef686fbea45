"""Deferred signals: Ctrl-C and SIGTERM wait for the end of a critical section."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["signals_wait"]

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_wait() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM to the end of the block; none is lost.

    Handlers run in the main thread only, so in any other there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    # Each step is undone even if a signal interrupts another one.
    with ExitStack() as steps:
        steps.callback(_deliver, came)
        for number in _NUMBERS:
            before = signal.getsignal(number)
            # A handler that was not set by Python cannot be put back.
            if before is not None:
                steps.callback(signal.signal, number, before)
                signal.signal(number, lambda number, _: came.append(number))
        yield


def _deliver(came: list[int]) -> None:
    for number in dict.fromkeys(came):
        signal.raise_signal(number)
