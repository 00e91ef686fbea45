"""EventLog: what the node does, as one line of JSON per step."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from ivimkit.letters import readable

__all__ = ["MAX_BYTES", "EventLog"]

MAX_BYTES = 10_000_000
"""A file of the log has at most this size; then it becomes the older one of two."""

_OLDER = ".1"


class EventLog:
    """A log that appends lines to a file, and to a stream if there is one.

    Parameters
    ----------
    path : Path, optional
        The file.
    stream : file, optional
        E.g. stderr.
    now : callable
        The time, seconds since 1970.
    max_bytes : int
        Size at which the file is put aside.
    """

    def __init__(
        self,
        path: Path | None,
        stream: TextIO | None,
        now: Callable[[], float],
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._path = path
        self._stream = stream
        self._now = now
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def __call__(self, event: str, **facts: object) -> None:
        """Write a line: the time, what happened, and what else is known."""
        time = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": time, "event": event, **facts}, default=str) + "\n"
        with self._lock:
            if self._path is not None:
                self._append(self._path, readable(line))
            if self._stream is not None:
                self._print(line)

    def _append(self, path: Path, line: str) -> None:
        try:
            if path.is_file() and path.stat().st_size + len(line) > self._max_bytes:
                path.replace(path.with_name(path.name + _OLDER))
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            # A full disk must not end the node, which refuses images then, and says so here.
            print(f"the log cannot be written: {error}", file=sys.stderr)  # noqa: T201

    def _print(self, line: str) -> None:
        try:
            assert self._stream is not None
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads it any more.
            self._stream = None
