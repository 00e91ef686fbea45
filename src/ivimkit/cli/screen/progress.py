"""Progress of a fit: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from ivimkit.cli.process.interruption import raise_if_interrupted
from ivimkit.extend.preprocessing_step import Step
from ivimkit.io.dicom import is_dicom_input
from ivimkit.preprocessing.preprocess import StepProgress
from ivimkit.rounding import thousands

__all__ = [
    "PlainLines",
    "progress_shown",
    "reading_shown",
    "steps_shown",
    "transfer_shown",
]

_SECONDS_BETWEEN_LINES = 5.0

Report = Callable[[int, int], None]


class _VoxelsColumn(ProgressColumn):
    """Voxels done, all voxels and voxels per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        rate = f", {thousands(speed)}/s" if speed else ""
        return Text(f"{thousands(task.completed)} of {thousands(task.total or 0)} voxels{rate}")


class _Waits(logging.Handler):
    """Passes on what the library logs, each message once."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._show = show
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a message on."""
        text = record.getMessage()
        if text not in self._shown:
            self._shown.add(text)
            self._show(text)


@contextmanager
def _waits_shown(show: Callable[[str], None]) -> Iterator[None]:
    """Show the log of the library during a block, and only here."""
    log, handler = logging.getLogger("ivimkit"), _Waits(show)
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


class PlainLines:
    """Reports progress in lines of text, not too often.

    The time left is counted from the first report: before it come compiling and learning.

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
        self._last = time.monotonic()
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Report that `done` of `total` voxels are done."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, done
        if now - self._last < self._seconds and done < total:
            return
        self._last = now
        self._write(
            f"{done / total:4.0%}  {thousands(done)} of {thousands(total)} voxels"
            f"{self._pace(now, done, total)}"
        )

    def _pace(self, now: float, done: int, total: int) -> str:
        """Return speed and time left; empty while unknown."""
        assert self._first is not None
        since, before = self._first
        if done <= before or now <= since:
            return ""
        rate = (done - before) / (now - since)
        return f", {thousands(rate)}/s, {(total - done) / rate:.0f} s left"


def _bar(console: Console, done: ProgressColumn) -> Progress:
    """Return a bar that disappears at the end, with a column of what is done."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        done,
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        expand=True,
    )


@contextmanager
def progress_shown(console: Console, name: str, n_voxels: int, *, quiet: bool) -> Iterator[Report]:
    """Show the progress of a fit while it runs.

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
        with _waits_shown(lambda _: None):
            yield lambda done, total: raise_if_interrupted()
    elif not console.is_terminal:

        def say(line: str) -> None:
            console.print(f"{name}: {line}", soft_wrap=True)

        lines = PlainLines(say)

        def write(done: int, total: int) -> None:
            raise_if_interrupted()
            lines(done, total)

        with _waits_shown(say):
            yield write
    else:
        bar = _bar(console, _VoxelsColumn(table_column=Column(no_wrap=True)))
        with bar:
            # Until the first voxels are done, machine code is being loaded.
            task = bar.add_task("preparing", total=n_voxels)

            def report(done: int, total: int) -> None:
                raise_if_interrupted()
                bar.update(task, description="fitting", completed=done, total=total)

            def say_wait(text: str) -> None:
                # A permanent line: nothing else may happen for a minute.
                bar.console.print(f"{name}: {text}", soft_wrap=True, highlight=False, markup=False)

            with _waits_shown(say_wait):
                yield report


@contextmanager
def steps_shown(console: Console, name: str, *, quiet: bool) -> Iterator[StepProgress]:
    """Show the progress of the steps before a fit while they are applied.

    Parameters
    ----------
    console : Console
        Where to.
    name : str
        Name of the scan.
    quiet : bool
        Show nothing.

    Yields
    ------
    callable
        To be called with a step and the share of it that is done.
    """
    if quiet or not console.is_terminal:
        begun: set[str] = set()

        def say(step: Step, share: float) -> None:
            raise_if_interrupted()
            if not quiet and step.name not in begun:
                begun.add(step.name)
                console.print(f"{name}: {step.name} ...", soft_wrap=True, markup=False)

        yield say
        return
    bar = _bar(console, TaskProgressColumn())
    with bar:
        task = bar.add_task("preparing", total=1.0)

        def report(step: Step, share: float) -> None:
            raise_if_interrupted()
            bar.update(task, description=step.name, completed=share)

        yield report


@contextmanager
def reading_shown(console: Console, scan: Path | Sequence[Path]) -> Iterator[None]:
    """Show on a terminal that a scan is being read, while it is; only DICOM takes long.

    Parameters
    ----------
    console : Console
        Where to.
    scan : Path or sequence of Path
        What is being read.
    """
    if not console.is_terminal or not is_dicom_input(scan):
        yield
        return
    name = scan if isinstance(scan, Path) else scan[0]
    with console.status(escape(f"reading DICOM files of {name}")):
        yield


@contextmanager
def transfer_shown(console: Console, name: str, n_bytes: int, *, quiet: bool) -> Iterator[Report]:
    """Show the progress of downloads while they run.

    Parameters
    ----------
    console : Console
        Where to.
    name : str
        What is being downloaded.
    n_bytes : int
        Its size.
    quiet : bool
        Show nothing.

    Yields
    ------
    callable
        To be called with the bytes of a file that have come and its size.
    """
    if quiet or not console.is_terminal:
        begun = False

        def say(done: int, total: int) -> None:
            nonlocal begun
            raise_if_interrupted()
            if not quiet and not begun:
                begun = True
                console.print(f"{name}: downloading {decimal(n_bytes)}", soft_wrap=True)

        yield say
        return
    bar = _bar(console, DownloadColumn())
    with bar:
        task = bar.add_task(name, total=None)

        def report(done: int, total: int) -> None:
            raise_if_interrupted()
            bar.update(task, completed=done, total=total)

        yield report
