"""Kills: a cohort whose processes are ended by kill -9 at random moments, or with a full disk.

The command, a worker, the scheduler and a worker of a Dask cluster are killed many times, each
time in the run that goes on from the last one. In the end every scan must have been fitted once,
with the bytes of a run that nobody disturbed.

`--kind` measures some of the kinds only, and keeps the others of the record that is there.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.campaign import (
    EARLY_SHARE,
    MAX_MOMENT_S,
    Campaign,
    cluster,
    wait_for_a_moment,
    workers_of,
)
from benchmarks.cohort_data import make_dataset
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.machine import commit
from benchmarks.record import RESULTS, read_record
from ivimkit.cohort.ledger import FOLDER, PRIORS
from ivimkit.cohort.task import SAMPLES

_MOMENTS, _FULL_MOMENTS, _FULL_PRIOR_MOMENTS = 3, 20, 12
_SCANS = 30
_PRIOR_SCANS = 12
_SHAPE = (24, 20, 4)
_SEED = 17
_DISK_MB = (0.5, 3.0)
"""Sizes of the disk that gets full; the whole result needs more."""

Kill = Callable[[Campaign, int, random.Random], bool]


@dataclass(frozen=True)
class _Kind:
    """What is killed, and in which run; `kill` returns whether it could be tried here."""

    title: str
    kill: Kill
    scans: int = _SCANS
    options: tuple[str, ...] = ()
    full_moments: int = _FULL_MOMENTS

    def measure(self, folder: Path, *, full: bool) -> list[Cell]:
        """Return the row of the table."""
        root = folder / f"raw{self.scans}"
        if not root.is_dir():
            make_dataset(root, self.scans, _SHAPE)
        home = folder / self.kill.__name__
        home.mkdir()
        campaign = Campaign(root, home, self.scans, self.options)
        campaign.run_undisturbed()
        moments = self.full_moments if full else _MOMENTS
        told = self.kill(campaign, moments, random.Random(_SEED))
        return campaign.row(self.title) if told else [self.title, *[None] * 5]


def measure(settings: Settings, kinds: Sequence[str] = ()) -> Findings:
    """Kill each kind of process, fill the disk, and compare what comes out in the end."""
    rows: dict[str, list[Cell]] = {}
    with TemporaryDirectory(prefix="ivimkit-kills-") as folder:
        for name in kinds or _KINDS:
            print(f"kills: {_KINDS[name].title} ...", flush=True)
            row = _KINDS[name].measure(Path(folder), full=settings.full)
            rows[_KINDS[name].title] = [*row, commit()]
            print(*row, flush=True)
    if kinds:
        rows = {**_earlier_rows(), **rows}
    known = [rows[kind.title] for kind in _KINDS.values() if kind.title in rows]
    faults = sum(int(cell or 0) for row in known for cell in row[3:6])
    return Findings(
        conditions={
            "data": f"{_SCANS} scans of {' × '.join(map(str, _SHAPE))} voxels at 13 b-values, "
            f"method varpro, 2 processes, no reports; with prior shared {_PRIOR_SCANS} of them, "
            "method bayes",
            "moments": f"drawn with the seed {_SEED}: up to {MAX_MOMENT_S:g} s after the first "
            f"scan of a run was begun, and {EARLY_SHARE:.0%} of them while it starts; with prior "
            "shared in turns after samples are begun, after the prior is, and after the fits are",
            "compared": "the bytes of all files of the result except those in `log` and "
            "`.ivimkit`, which contain times; an entry of the ledger that is done must not "
            "change, that of a sample neither",
        },
        checked="the figure itself.",
        tables=[
            Table(
                "Ended by kill -9, and started again until all is done",
                [
                    Column("what"),
                    Column("times", "{:d}"),
                    Column("runs", "{:d}"),
                    Column("scans done twice", "{:d}"),
                    Column("scans lost", "{:d}"),
                    Column("files that differ", "{:d}"),
                    Column("commit"),
                ],
                known,
            )
        ],
        targets=[
            Target(
                "The bytes of an undisturbed run, no scan done twice, none lost",
                f"{faults} faults",
                faults == 0,
            )
        ],
        notes=["A dash: it could not be tried here (a small disk needs the rights of root)."],
    )


def kill_command(campaign: Campaign, moments: int, draw: random.Random) -> bool:
    """Kill the command that was started."""
    while campaign.kills < moments:
        with campaign.started() as run:
            wait_for_a_moment(campaign.ledger, run, draw)
            if run.poll() is None:
                run.kill()
                campaign.kills += 1
        _go_on(campaign, moments)
    return True


def kill_worker(campaign: Campaign, moments: int, draw: random.Random) -> bool:
    """Kill one of its processes; it goes on by itself."""
    while campaign.kills < moments:
        with campaign.started() as run:
            while run.poll() is None and campaign.kills < moments:
                wait_for_a_moment(campaign.ledger, run, draw)
                workers = workers_of(run.pid)
                if workers and run.poll() is None:
                    os.kill(draw.choice(workers), signal.SIGKILL)
                    campaign.kills += 1
            run.wait()
        campaign.note()
        campaign.finish()
    return True


def kill_in_prior(campaign: Campaign, moments: int, draw: random.Random) -> bool:
    """Kill the command while it takes samples, learns the prior that scans share, and fits."""
    stages = (
        Path(FOLDER, SAMPLES),
        Path(FOLDER, SAMPLES, f"{PRIORS}.lock"),
        Path(FOLDER),
    )
    while campaign.kills < moments:
        for watched in stages:
            with campaign.started() as run:
                wait_for_a_moment(campaign.out / watched, run, draw)
                if run.poll() is None and campaign.kills < moments:
                    run.kill()
                    campaign.kills += 1
            campaign.note()
        campaign.finish()
    return True


def kill_scheduler(campaign: Campaign, moments: int, draw: random.Random) -> bool:
    """Kill the scheduler of a Dask cluster."""
    return _kill_in_cluster(campaign, moments, draw, lambda processes: processes[0])


def kill_dask_worker(campaign: Campaign, moments: int, draw: random.Random) -> bool:
    """Kill a worker of a Dask cluster, which has no other and no nanny."""
    return _kill_in_cluster(campaign, moments, draw, lambda processes: processes[1])


def _kill_in_cluster(
    campaign: Campaign,
    moments: int,
    draw: random.Random,
    victim: Callable[[list[subprocess.Popen[str]]], subprocess.Popen[str]],
) -> bool:
    while campaign.kills < moments:
        with cluster() as (address, processes), campaign.started("--dask", address) as run:
            wait_for_a_moment(campaign.ledger, run, draw)
            if run.poll() is None:
                victim(processes).kill()
                campaign.kills += 1
                if victim(processes) is processes[1]:
                    # Nobody starts another one here.
                    processes[0].kill()
            run.wait()
        _go_on(campaign, moments)
    return True


def fill_disk(campaign: Campaign, moments: int, draw: random.Random) -> bool:
    """Write to a disk that is too small, which then grows."""
    for _ in range(moments):
        size = draw.uniform(*_DISK_MB)
        place = campaign.out
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={round(1000 * size)}k", "tmpfs"]
        if subprocess.run([*mount, str(place)], check=False, capture_output=True).returncode:
            return False
        try:
            done = subprocess.run(
                campaign.command(place), check=False, capture_output=True, text=True
            )
            told = done.stderr.count("No space left on device")
            if done.returncode != 2 or told != 1:
                raise AssertionError(f"exit code {done.returncode}: {done.stderr}")
            campaign.kills += 1
            campaign.runs += 1
            campaign.note()
            bigger = ["mount", "-o", "remount,size=200m", str(place)]
            subprocess.run(bigger, check=True)
            campaign.finish()
        finally:
            subprocess.run(["umount", str(place)], check=True)
    return True


def _go_on(campaign: Campaign, moments: int) -> None:
    """Keep account of a run that was killed; begin a new result when one is complete."""
    campaign.note()
    if campaign.is_complete() or campaign.kills == moments:
        campaign.finish()


_KINDS = {
    "command": _Kind("the command", kill_command),
    "worker": _Kind("a worker process", kill_worker),
    "scheduler": _Kind("the scheduler of Dask", kill_scheduler),
    "dask-worker": _Kind("the worker of Dask", kill_dask_worker),
    "disk": _Kind("a disk that is full", fill_disk),
    "prior": _Kind(
        "the command, with prior shared",
        kill_in_prior,
        _PRIOR_SCANS,
        ("--method", "bayes", "--prior", "shared"),
        _FULL_PRIOR_MOMENTS,
    ),
}


def _earlier_rows() -> dict[str, list[Cell]]:
    """Return the rows of the record that is there, by what was killed."""
    path = RESULTS / "kills.json"
    if not path.is_file():
        return {}
    record = read_record(path)
    return {
        row[0]: [*row[:6], *(row[6:] or [record["commit"]])] for row in record["tables"][0]["rows"]
    }


FIGURE = Figure(
    order=30,
    name="kills",
    title="Kills: a cohort that is ended at random moments",
    measure=measure,
    only_full=True,
    full_takes="25 minutes",
)


def _main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--kind", action="append", choices=_KINDS, default=[])
    options, words = parser.parse_known_args()
    run_alone(replace(FIGURE, measure=partial(measure, kinds=options.kind)), words)


if __name__ == "__main__":
    _main()
