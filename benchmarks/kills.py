"""Kills: a cohort whose processes are ended by kill -9 at random moments, or with a full disk.

The command, a worker, the scheduler and a worker of a Dask cluster are killed many times, each
time in the run that goes on from the last one. In the end every scan must have been fitted once,
with the bytes of a run that nobody disturbed.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import ivimkit as ik
from benchmarks.cohort_data import bids_command, make_dataset, results_of
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from ivimkit.cohort.ledger import DONE

_MOMENTS, _FULL_MOMENTS = 3, 20
_SCANS = 30
_SHAPE = (24, 20, 4)
_SEED = 17
_MAX_WAIT_S = 300.0
_MAX_MOMENT_S = 2.0
"""A process is killed at most so long after the first scan of its run was begun."""
_START_SHARE = 0.2
"""Share of the kills that come earlier: while the run starts."""
_DISK_MB = (0.5, 3.0)
"""Sizes of the disk that gets full; the whole result needs more."""
_LOCAL = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
_ONE_THREAD = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory")


@dataclass
class _Campaign:
    """One kind of kill, repeated.

    Parameters
    ----------
    root, home : Path
        The data set, and where results go.
    whole : dict of str to bytes
        The result of an undisturbed run.
    kills : int
        How often a process was killed.
    restarts : int
        How often a run was started.
    rounds : int
        How many results were completed.
    kept : dict of str to bytes
        Entries of scans that were done when a process was killed.
    twice, lost, different : int
        Scans that were fitted again, that were missing at the end, and files that differ.
    """

    root: Path
    home: Path
    whole: dict[str, bytes]
    kills: int = 0
    restarts: int = 0
    rounds: int = 0
    kept: dict[str, bytes] = field(default_factory=dict)
    twice: int = 0
    lost: int = 0
    different: int = 0

    @property
    def out(self) -> Path:
        """Folder of the present result."""
        return self.home / f"out{self.rounds}"

    def note(self) -> None:
        """Remember which scans are done now."""
        done = _done_entries(self.out)
        self.twice += sum(done.get(name) != entry for name, entry in self.kept.items())
        self.kept = done

    def is_complete(self) -> bool:
        """Return whether all scans are done."""
        return len(_done_entries(self.out)) == _SCANS

    def finish(self, run: Callable[[], int]) -> None:
        """Run to the end, compare, and begin a new result."""
        start = time.monotonic()
        while run() != 0 or not self.is_complete():
            # A worker ends a little later than its parent: its scan is still claimed.
            self.restarts += 1
            if time.monotonic() - start > _MAX_WAIT_S:
                break
        self.note()
        self.lost += _SCANS - len(self.kept)
        found = results_of(self.out)
        self.different += sum(
            found.get(name) != self.whole.get(name) for name in {*found, *self.whole}
        )
        self.kept = {}
        self.rounds += 1

    def row(self, name: str) -> list[Cell]:
        """Return the row of the table."""
        return [name, self.kills, self.restarts, self.twice, self.lost, self.different]


def measure(settings: Settings) -> Findings:
    """Kill each kind of process, fill the disk, and compare what comes out in the end."""
    moments = _FULL_MOMENTS if settings.full else _MOMENTS
    rows: list[list[Cell]] = []
    with TemporaryDirectory(prefix="ivimkit-kills-") as folder:
        home = Path(folder)
        root = make_dataset(home / "raw", _SCANS, _SHAPE)
        subprocess.run(_command(root, home / "whole"), check=True, stdout=subprocess.DEVNULL)
        whole = results_of(home / "whole")
        for name, kill in _KINDS.items():
            print(f"kills: {name} ...", flush=True)
            (home / kill.__name__).mkdir()
            campaign = _Campaign(root, home / kill.__name__, whole)
            told = kill(campaign, moments, random.Random(_SEED))
            rows.append(campaign.row(name) if told else [name, *[None] * 5])
            print(*rows[-1], flush=True)
    faults = sum(sum(int(cell or 0) for cell in row[3:]) for row in rows)  # type: ignore[arg-type]
    return Findings(
        conditions={
            "data": f"{_SCANS} scans of {' × '.join(map(str, _SHAPE))} voxels at 13 b-values, "
            "method varpro, 2 processes, no reports",
            "moments": f"drawn with the seed {_SEED}: up to {_MAX_MOMENT_S:g} s after the first "
            f"scan of a run was begun, and {_START_SHARE:.0%} of them while it starts",
            "compared": "the bytes of all files of the result except those in `log` and "
            "`.ivimkit`, which contain times; an entry of the ledger that is done must not change",
        },
        checked="the figure itself.",
        tables=[
            Table(
                "Ended by kill -9, and started again until all is done",
                [
                    Column("what"),
                    Column("times", "{:d}"),
                    Column("runs", "{:d}"),
                    Column("scans fitted twice", "{:d}"),
                    Column("scans lost", "{:d}"),
                    Column("files that differ", "{:d}"),
                ],
                rows,
            )
        ],
        targets=[
            Target(
                "The bytes of an undisturbed run, no scan fitted twice, none lost",
                f"{faults} faults",
                faults == 0,
            )
        ],
        notes=["A dash: it could not be tried here (a small disk needs the rights of root)."],
    )


def kill_command(campaign: _Campaign, moments: int, draw: random.Random) -> bool:
    """Kill the command that was started."""
    while campaign.kills < moments:
        with _started(campaign) as run:
            _wait_for_a_moment(campaign, run, draw)
            if run.poll() is None:
                run.kill()
                campaign.kills += 1
        campaign.note()
        if campaign.is_complete() or campaign.kills == moments:
            campaign.finish(lambda: _run(campaign))
    return True


def kill_worker(campaign: _Campaign, moments: int, draw: random.Random) -> bool:
    """Kill one of its processes; it goes on by itself."""
    while campaign.kills < moments:
        with _started(campaign) as run:
            while run.poll() is None and campaign.kills < moments:
                _wait_for_a_moment(campaign, run, draw)
                workers = _workers_of(run.pid)
                if workers and run.poll() is None:
                    os.kill(draw.choice(workers), signal.SIGKILL)
                    campaign.kills += 1
            run.wait()
        campaign.note()
        campaign.finish(lambda: _run(campaign))
    return True


def kill_scheduler(campaign: _Campaign, moments: int, draw: random.Random) -> bool:
    """Kill the scheduler of a Dask cluster."""
    return _kill_in_cluster(campaign, moments, draw, lambda cluster: cluster[0])


def kill_dask_worker(campaign: _Campaign, moments: int, draw: random.Random) -> bool:
    """Kill a worker of a Dask cluster, which has no other and no nanny."""
    return _kill_in_cluster(campaign, moments, draw, lambda cluster: cluster[1])


def _kill_in_cluster(
    campaign: _Campaign,
    moments: int,
    draw: random.Random,
    victim: Callable[[list[subprocess.Popen[str]]], subprocess.Popen[str]],
) -> bool:
    while campaign.kills < moments:
        with _cluster() as (address, processes), _started(campaign, "--dask", address) as run:
            _wait_for_a_moment(campaign, run, draw)
            if run.poll() is None:
                victim(processes).kill()
                campaign.kills += 1
                if victim(processes) is processes[1]:
                    # Nobody starts another one here.
                    processes[0].kill()
            run.wait()
        campaign.note()
        if campaign.is_complete() or campaign.kills == moments:
            campaign.finish(lambda: _run(campaign))
    return True


def fill_disk(campaign: _Campaign, moments: int, draw: random.Random) -> bool:
    """Write to a disk that is too small, which then grows."""
    for _ in range(moments):
        size = draw.uniform(*_DISK_MB)
        campaign.out.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={round(1000 * size)}k", "tmpfs"]
        if subprocess.run([*mount, campaign.out], check=False, capture_output=True).returncode:
            return False
        try:
            done = subprocess.run(
                _command(campaign.root, campaign.out), check=False, capture_output=True, text=True
            )
            told = done.stderr.count("No space left on device")
            if done.returncode != 2 or told != 1:
                raise AssertionError(f"exit code {done.returncode}: {done.stderr}")
            campaign.kills += 1
            campaign.restarts += 1
            campaign.note()
            bigger = ["mount", "-o", "remount,size=200m", campaign.out]
            subprocess.run(bigger, check=True)
            place = campaign.out
            campaign.finish(lambda: _run(campaign))
        finally:
            subprocess.run(["umount", place], check=True)
    return True


def _command(root: Path, out: Path, *options: str) -> list[str]:
    return bids_command(root, out, *(options or ("--n-procs", "2")))


def _run(campaign: _Campaign) -> int:
    done = subprocess.run(
        _command(campaign.root, campaign.out), check=False, stdout=subprocess.DEVNULL
    )
    return done.returncode


@contextmanager
def _started(campaign: _Campaign, *options: str) -> Iterator[subprocess.Popen[str]]:
    campaign.restarts += 1
    # What a run that is killed says is of no interest.
    with subprocess.Popen(
        _command(campaign.root, campaign.out, *options),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        yield run


@contextmanager
def _cluster() -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """Start a scheduler and a worker; yield the address, and both of them."""
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


def _wait_for_a_moment(
    campaign: _Campaign, run: subprocess.Popen[str], draw: random.Random
) -> None:
    """Wait until a random moment of a run, or its end."""
    early, moment = draw.random() < _START_SHARE, draw.uniform(0.0, _MAX_MOMENT_S)
    before = _changes(campaign.out)
    while not early and run.poll() is None and _changes(campaign.out) == before:
        time.sleep(0.02)
    end = time.monotonic() + moment
    while time.monotonic() < end and run.poll() is None:
        time.sleep(0.01)


def _changes(out: Path) -> int:
    """Return when the ledger was last written to."""
    try:
        return (out / ".ivimkit").stat().st_mtime_ns
    except OSError:
        return 0


def _done_entries(out: Path) -> dict[str, bytes]:
    ledger = ik.cohort.Ledger(out)
    return {
        entry.name: (ledger.folder / f"{entry.name}.json").read_bytes()
        for entry in ledger.entries()
        if entry.state == DONE
    }


def _workers_of(parent: int) -> list[int]:
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


_KINDS = {
    "the command": kill_command,
    "a worker process": kill_worker,
    "the scheduler of Dask": kill_scheduler,
    "the worker of Dask": kill_dask_worker,
    "a disk that is full": fill_disk,
}

FIGURE = Figure(
    order=30,
    name="kills",
    title="Kills: a cohort that is ended at random moments",
    measure=measure,
    only_full=True,
    full_takes="15 minutes",
)

if __name__ == "__main__":
    run_alone(FIGURE)
