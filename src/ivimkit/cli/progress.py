"""Progress of a fit: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from ivimkit.cli.interruption import raise_if_interrupted
from ivimkit.rounding import thousands

__all__ = ["PlainLines", "progress_shown"]

_SECONDS_BETWEEN_LINES = 5.0

Report = Callable[[int, int], None]


class _VoxelsColumn(ProgressColumn):
    """Voxels done, all voxels and voxels per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        rate = f", {spaced(speed)}/s" if speed else ""
        return Text(f"{spaced(task.completed)} of {spaced(task.total or 0)} voxels{rate}")


class PlainLines:
    """Reports progress in lines of text, not too often.

    Parameters
    ----------
    write : callable
        Takes a line.
    seconds : float
        Shortest time between two lines.
    """

    def __init__(
        self, write: Callable[[str], None], seconds: float = _SECONDS_BETWEEN_LINES
    ) -> None:
        self._write = write
        self._seconds = seconds
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Report that `done` of `total` voxels are done."""
        now = time.monotonic()
        if now - self._last < self._seconds and done < total:
            return
        self._last = now
        rate = done / max(now - self._start, 1e-9)
        left = (total - done) / rate if rate else 0.0
        self._write(
            f"{done / total:4.0%}  {spaced(done)} of {spaced(total)} voxels, "
            f"{spaced(rate)}/s, {left:.0f} s left"
        )


@contextmanager
def progress_shown(console: Console, name: str, n_voxels: int, *, quiet: bool) -> Iterator[Report]:
    """Show the progress of a fit while it lasts.

    Parameters
    ----------
    console : Console
        Where to.
    name : str
        What is being fitted.
    n_voxels : int
        Number of voxels.
    quiet : bool
        Show nothing.

    Yields
    ------
    callable
        To be called with the numbers of voxels done and of all voxels.
    """
    if quiet:
        yield lambda done, total: raise_if_interrupted()
    elif not console.is_terminal:
        lines = PlainLines(lambda line: console.print(f"{name}: {line}", soft_wrap=True))

        def write(done: int, total: int) -> None:
            raise_if_interrupted()
            lines(done, total)

        yield write
    else:
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            _VoxelsColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            expand=True,
        )
        with bar:
            # Until the first voxels are done, the machine code is being loaded or compiled.
            task = bar.add_task("preparing", total=n_voxels)

            def report(done: int, total: int) -> None:
                raise_if_interrupted()
                bar.update(task, description="fitting", completed=done, total=total)

            yield report


def spaced(value: float) -> str:
    """Write a whole number with thin groups, e.g. ``1\u202f234\u202f567``."""
    return thousands(value)
