"""Campaign: one way to end the processes of a cohort, tried many times on the same data."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import ivimkit as ik
from benchmarks.cohort_data import bids_command, results_of
from benchmarks.figure import Cell
from ivimkit.cohort.ledger import DONE, FOLDER
from ivimkit.cohort.task import SAMPLES

__all__ = ["EARLY_SHARE", "MAX_MOMENT_S", "Campaign", "cluster", "wait_for_a_moment", "workers_of"]

MAX_MOMENT_S = 2.0
"""A process is killed at most so long after what it is watched for has begun."""

EARLY_SHARE = 0.2
"""Share of the kills that come earlier: while the run starts."""

_MAX_WAIT_S = 300.0
_LOCAL = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
_ONE_THREAD = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory")


@dataclass
class Campaign:
    """One kind of kill, repeated.

    Parameters
    ----------
    root, home : Path
        The data set, and where results go.
    scans : int
        How many scans it has.
    options : tuple of str
        Options of the command.
    whole : dict of str to bytes
        The result of an undisturbed run.
    kills : int
        How often a process was killed.
    runs : int
        How often a run was started.
    rounds : int
        How many results were completed.
    kept : dict of str to bytes
        Entries that were done when a process was killed.
    twice, lost, different : int
        Scans that were done again, that were missing at the end, and files that differ.
    """

    root: Path
    home: Path
    scans: int
    options: tuple[str, ...] = ()
    whole: dict[str, bytes] = field(default_factory=dict)
    kills: int = 0
    runs: int = 0
    rounds: int = 0
    kept: dict[str, bytes] = field(default_factory=dict)
    twice: int = 0
    lost: int = 0
    different: int = 0

    @property
    def out(self) -> Path:
        """Folder of the present result."""
        return self.home / f"out{self.rounds}"

    @property
    def ledger(self) -> Path:
        """Folder of its ledger."""
        return self.out / FOLDER

    def command(self, out: Path, *options: str) -> list[str]:
        """Return the words of a run; on two processes, unless the options say where."""
        return bids_command(self.root, out, *self.options, *(options or ("--n-procs", "2")))

    def run_undisturbed(self) -> None:
        """Make the result that all others are compared with."""
        out = self.home / "whole"
        subprocess.run(self.command(out), check=True, stdout=subprocess.DEVNULL)
        self.whole = results_of(out)

    @contextmanager
    def started(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Start a run, and wait for its end."""
        self.runs += 1
        # What a run that is killed says is of no interest.
        with subprocess.Popen(
            self.command(self.out, *options),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as run:
            yield run

    def note(self) -> None:
        """Remember what is done now."""
        done = _done_entries(self.out)
        self.twice += sum(done.get(name) != entry for name, entry in self.kept.items())
        self.kept = done

    def is_complete(self) -> bool:
        """Return whether all scans are done."""
        return _number_fitted(_done_entries(self.out)) == self.scans

    def finish(self) -> None:
        """Run to the end, compare, and begin a new result."""
        start = time.monotonic()
        while self._run() != 0 or not self.is_complete():
            # A worker ends a little later than its parent: its scan is still claimed.
            self.runs += 1
            if time.monotonic() - start > _MAX_WAIT_S:
                break
        self.note()
        self.lost += self.scans - _number_fitted(self.kept)
        found = results_of(self.out)
        self.different += sum(
            found.get(name) != self.whole.get(name) for name in {*found, *self.whole}
        )
        self.kept = {}
        self.rounds += 1

    def row(self, name: str) -> list[Cell]:
        """Return the row of the table."""
        return [name, self.kills, self.runs, self.twice, self.lost, self.different]

    def _run(self) -> int:
        done = subprocess.run(self.command(self.out), check=False, stdout=subprocess.DEVNULL)
        return done.returncode


@contextmanager
def cluster() -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """Start a scheduler of Dask and a worker; yield the address, and both of them."""
    with TemporaryDirectory(prefix="ivimkit-dask-") as scratch:
        start = [sys.executable, "-m"]
        scheduler = subprocess.Popen(
            [*start, "distributed.cli.dask_scheduler", *_LOCAL],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert scheduler.stderr is not None
        address = next(
            found[0]
            for line in scheduler.stderr
            if (found := re.search(r"tcp://127\.0\.0\.1:\d+", line))
        )
        worker = subprocess.Popen(
            [*start, "distributed.cli.dask_worker", address, *_ONE_THREAD, scratch],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield address, [scheduler, worker]
        finally:
            for process in (scheduler, worker):
                process.kill()
                process.wait()
            scheduler.stderr.close()


def wait_for_a_moment(
    watched: Path, run: subprocess.Popen[str], draw: random.Random, longest: float = MAX_MOMENT_S
) -> None:
    """Wait until a random moment of a run, or its end.

    Parameters
    ----------
    watched : Path
        A file or folder that is written to when it begins.
    run : Popen
        The run.
    draw : Random
        Draws the moment.
    longest : float
        The time in which it lies, seconds.
    """
    early, moment = draw.random() < EARLY_SHARE, draw.uniform(0.0, longest)
    before = _last_change(watched)
    while not early and run.poll() is None and _last_change(watched) == before:
        time.sleep(0.02)
    end = time.monotonic() + moment
    while time.monotonic() < end and run.poll() is None:
        time.sleep(0.01)


def workers_of(parent: int) -> list[int]:
    """Return the processes below a process that fit: those without children of their own."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    below, found = {parent}, {parent}
    while below:
        below = {pid for pid, own in parents.items() if own in below}
        found |= below
    return sorted(found - {parent} - {parents[pid] for pid in found if pid in parents})


def _last_change(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _done_entries(out: Path) -> dict[str, bytes]:
    """Return the entries of scans that are fitted, and of samples that are taken."""
    return {
        f"{of}/{entry.name}": (ledger.folder / f"{entry.name}.json").read_bytes()
        for of in ("", SAMPLES)
        for ledger in [ik.cohort.Ledger(out, of)]
        for entry in ledger.entries()
        if entry.state == DONE
    }


def _number_fitted(entries: dict[str, bytes]) -> int:
    return sum(name.startswith("/") for name in entries)
