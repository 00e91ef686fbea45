"""Progress of long work in a notebook: one line that is updated, without any widget."""

from __future__ import annotations

import html
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ivimkit.rounding import thousands

__all__ = ["NotebookLine", "in_notebook", "shown_in_notebook"]

_SECONDS_BEFORE = 2.0
"""Work that takes less is not shown."""

_SECONDS_BETWEEN = 0.25


def in_notebook() -> bool:
    """Return whether the code runs in a notebook, whose kernel can replace what it has shown."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookLine:
    """A line below a cell: a bar with words, replaced in its place.

    Parameters
    ----------
    unit : str
        What is counted, like ``"voxels"``; empty for shares alone.
    clock : callable
        Returns seconds.
    """

    def __init__(self, unit: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._unit = unit
        self._clock = clock
        self._begun = self._last = clock()
        self._first: tuple[float, float] | None = None
        self._handle: Any = None
        self._share: float | None = None
        self._words = ""

    def __call__(self, done: float, total: float, what: str = "") -> None:
        """Show that `done` of `total` is done, unless it was shown a moment ago."""
        now = self._clock()
        if self._first is None:
            self._first = now, done
        if now - self._begun < _SECONDS_BEFORE or now - self._last < _SECONDS_BETWEEN:
            return
        count = f"{thousands(done)} of {thousands(total)} {self._unit}" if self._unit else ""
        parts = (what, count, self._left(now, done, total))
        self._show(", ".join(part for part in parts if part), done / total if total else 0.0)

    def say(self, text: str) -> None:
        """Show a sentence at once: what is said before the first report takes long."""
        self._show(text, None)

    def end(self) -> None:
        """Leave only the time that it took, if anything was shown."""
        if self._handle is not None:
            self._show(f"{self._clock() - self._begun:.0f} s", None)

    def _left(self, now: float, done: float, total: float) -> str:
        assert self._first is not None
        since, before = self._first
        if done <= before or now <= since:
            return ""
        return f"{(total - done) * (now - since) / (done - before):.0f} s left"

    def _show(self, words: str, share: float | None) -> None:
        self._words, self._share, self._last = words, share, self._clock()
        if self._handle is None:
            self._handle = import_module("IPython.display").display(self, display_id=True)
        else:
            self._handle.update(self)

    def __repr__(self) -> str:
        return self._words if self._share is None else f"{self._share:4.0%}  {self._words}"

    def _repr_html_(self) -> str:
        words = html.escape(self._words)
        if self._share is None:
            return f"<div>{words}</div>"
        bar = f'<progress max="1" value="{self._share:.4f}"></progress>'
        return f"<div>{bar} {self._share:.0%} {words}</div>"


class _Waits(logging.Handler):
    """Shows that code is compiled, which takes long; learning a prior does not."""

    def __init__(self, line: NotebookLine) -> None:
        super().__init__(logging.WARNING)
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Show it."""
        self._line.say(record.getMessage())


@contextmanager
def shown_in_notebook(unit: str = "") -> Iterator[NotebookLine]:
    """Show the progress of a block in a notebook, and what the library logs meanwhile.

    Parameters
    ----------
    unit : str
        What is counted.

    Yields
    ------
    NotebookLine
        To be called with what is done, and the whole.
    """
    line = NotebookLine(unit)
    log, handler = logging.getLogger("ivimkit"), _Waits(line)
    log.addHandler(handler)
    try:
        yield line
    finally:
        log.removeHandler(handler)
        line.end()
