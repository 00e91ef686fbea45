"""Throughput: what sending scans to workers costs, for fits of a third of a second."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ivimkit as ik
from benchmarks.cohort_data import make_dataset
from benchmarks.command import run_alone
from benchmarks.figure import Column, Figure, Findings, Settings, Table, Target
from benchmarks.process_tree import run_tree
from ivimkit.cohort.ledger import FOLDER
from ivimkit.cohort.one_subject import fit_subject
from ivimkit.cohort.task import Task

_SHAPE = (64, 42, 10)
_FEW, _MANY, _FULL_MANY = 8, 24, 48
_FULL_ROUNDS = 2
_WORKERS = 2
_MIN_SHARE = 0.95
_SCATTER = (
    "Shares of more than 100 % tell how far times by the clock scatter; those of CPU scatter less."
)
_OWN = "seconds of the first process: "

Fit = Callable[[ik.cohort.Plan], int]


@dataclass(frozen=True)
class _Way:
    """A way to fit scans, and the one that it is compared with."""

    title: str
    fit: Fit
    like: str
    is_target: bool = False


@dataclass(frozen=True)
class _Run:
    """Seconds of a run: CPU in all and in workers, and by the clock for each scan.

    The clock runs from the time when a few scans are done, as the ledger tells, to that when all
    are.
    """

    cpu: float
    workers: float
    clock: float


def measure(settings: Settings) -> Findings:
    """Fit many scans in each way; CPU time is compared with that of a few scans."""
    many = _FULL_MANY if settings.full else _MANY
    rounds = _FULL_ROUNDS if settings.full else 1
    few: dict[str, _Run] = {}
    runs: dict[str, list[_Run]] = {name: [] for name in _WAYS}
    with TemporaryDirectory(prefix="ivimkit-throughput-") as folder:
        root = make_dataset(Path(folder) / "raw", many, _SHAPE)
        # The first run compiles.
        _run("bare", root, Path(folder) / "first", 2)
        for name in _WAYS:
            few[name] = _run(name, root, Path(folder) / f"{name}-few", _FEW)
        for k in range(rounds):
            for name in _WAYS:
                print(f"throughput: {name}, round {k + 1} of {rounds} ...", flush=True)
                runs[name].append(_run(name, root, Path(folder) / f"{name}-{k}", many))
    clock = {name: min(one.clock for one in runs[name]) for name in _WAYS}
    shares = {name: clock[way.like] / clock[name] for name, way in _WAYS.items()}
    costs = {}
    for name in _WAYS:
        best = min(runs[name], key=lambda one: one.cpu)
        spent = (best.cpu - few[name].cpu, best.workers - few[name].workers)
        costs[name] = [1000 * seconds / (many - _FEW) for seconds in spent]
    return Findings(
        conditions={
            "data": f"{many - _FEW} scans of {' × '.join(map(str, _SHAPE))} voxels at 13 "
            f"b-values, method varpro, {_WORKERS} workers with one thread, or one",
            "time": f"by the clock from when {_FEW} of {many} scans are done to when all are, the "
            f"least of {rounds} runs; CPU time of {many} scans less that of {_FEW}; the command, "
            "the scheduler and two workers share the cores of one machine, while one worker has a "
            "core of its own, and all else the other",
        },
        checked="every scan was fitted once, in each way.",
        tables=[
            Table(
                "Throughput",
                [
                    Column("way"),
                    Column("scans per second", "{:.2f}"),
                    Column("of bare processes", "{:.1%}"),
                    Column("CPU per scan, ms", "{:.0f}"),
                    Column("of it in workers, ms", "{:.0f}"),
                ],
                [
                    [
                        way.title,
                        1.0 / clock[name],
                        shares[name],
                        *costs[name],
                    ]
                    for name, way in _WAYS.items()
                ],
            )
        ],
        targets=[
            Target(
                f"At least {_MIN_SHARE:.0%} of the throughput of bare processes: {way.title}",
                f"{shares[name]:.1%}",
                shares[name] >= _MIN_SHARE if settings.full else None,
            )
            for name, way in _WAYS.items()
            if way.is_target
        ],
        notes=[_SCATTER],
    )


def _run(name: str, root: Path, out: Path, number: int) -> _Run:
    words = ["-m", "benchmarks.throughput", "--way", name, str(root), str(out), str(number)]
    done = run_tree([sys.executable, *words])
    own = float(done.output.rpartition(_OWN)[2].split()[0])
    ends = sorted(path.stat().st_mtime for path in (out / FOLDER).glob("*.json"))
    if len(ends) != number:
        raise AssertionError(f"the ledger has {len(ends)} of {number} scans")
    clock = (ends[-1] - ends[_FEW - 1]) / (number - _FEW) if number > _FEW else 0.0
    print(f"{name}, {number} scans: {clock:.4f} s each, CPU {done.cpu_seconds:.1f} s", flush=True)
    return _Run(done.cpu_seconds, done.cpu_seconds - own, clock)


def _fit(task: Task) -> str:
    return fit_subject(task).state


def _bare(planned: ik.cohort.Plan) -> int:
    """Nothing but processes: no claim is watched, nothing is limited, and none is replaced."""
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("forkserver")) as pool:
        return list(pool.map(_fit, planned.tasks)).count("done")


def _bare_apart(planned: ik.cohort.Plan) -> int:
    worker, rest = sorted(os.sched_getaffinity(0))[:2]
    _stay_on(rest)
    with ProcessPoolExecutor(1, get_context("forkserver"), _stay_on, (worker,)) as pool:
        return list(pool.map(_fit, planned.tasks)).count("done")


def _cohort(planned: ik.cohort.Plan) -> int:
    return ik.cohort.run(planned).counts["done"]


def _dask(planned: ik.cohort.Plan) -> int:
    with (
        _cluster(_WORKERS) as made,
        ik.cohort.dask_workers(made.scheduler_address) as workers,
    ):
        return ik.cohort.run(planned, executor=workers).counts["done"]


def _dask_apart(planned: ik.cohort.Plan) -> int:
    worker, rest = sorted(os.sched_getaffinity(0))[:2]
    with _cluster(1) as made, ik.cohort.dask_workers(made.scheduler_address) as workers:
        _stay_on(rest)
        workers.client.run(_stay_on, worker)
        return ik.cohort.run(planned, executor=workers).counts["done"]


def _cluster(n_workers: int) -> AbstractContextManager[Any]:
    from distributed import LocalCluster

    # Half of Dask has no types.
    start: Any = LocalCluster
    made: AbstractContextManager[Any] = start(
        n_workers=n_workers,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
    )
    return made


def _stay_on(core: int) -> None:
    """Let all threads of this process run on one core, and what they start."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


_WAYS = {
    "bare": _Way("bare processes (ProcessPoolExecutor.map)", _bare, "bare"),
    "cohort": _Way("ivimkit.cohort.run", _cohort, "bare", is_target=True),
    "dask": _Way("ivimkit.cohort.run on Dask", _dask, "bare", is_target=True),
    "bare_apart": _Way("a bare process with a core of its own", _bare_apart, "bare_apart"),
    "dask_apart": _Way(
        "a worker of Dask with a core of its own", _dask_apart, "bare_apart", is_target=True
    ),
}


def _child(name: str, root: str, out: str, number: str) -> None:
    found = ik.cohort.find_bids(Path(root))
    recipe = ik.cohort.Recipe.of(report=False)
    planned = ik.cohort.plan(found, Path(out), recipe, n_procs=_WORKERS, threads=1)
    some = ik.cohort.Plan(
        planned.out, planned.tasks[: int(number)], 0, planned.share, planned.datasets
    )
    done = _WAYS[name].fit(some)
    if done != int(number):
        raise AssertionError(f"{done} of {number} scans were fitted")
    print(f"\n{_OWN}{time.process_time()}", flush=True)


def _main(words: Sequence[str]) -> None:
    if words[:1] == ["--way"]:
        _child(*words[1:])
    else:
        run_alone(FIGURE)


FIGURE = Figure(
    order=31,
    name="throughput",
    title="Throughput: workers of this machine and of Dask against bare processes",
    measure=measure,
    full_takes="5 minutes",
)

if __name__ == "__main__":
    _main(sys.argv[1:])
