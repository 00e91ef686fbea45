"""Throughput: what sending scans to workers costs, for fits of a third of a second."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import ivimkit as ik
from benchmarks.cohort_data import make_dataset
from benchmarks.command import run_alone
from benchmarks.figure import Column, Figure, Findings, Settings, Table, Target
from benchmarks.process_tree import TreeRun, run_tree
from ivimkit.cohort.one_subject import fit_subject
from ivimkit.cohort.task import Task

_SHAPE = (64, 42, 10)
_FEW, _MANY, _FULL_MANY = 8, 24, 48
_FULL_ROUNDS = 3
_WORKERS = 2
_MIN_SHARE = 0.95


def measure(settings: Settings) -> Findings:
    """Fit a few and many scans in each way; the difference is without what a start costs."""
    many = _FULL_MANY if settings.full else _MANY
    rounds = _FULL_ROUNDS if settings.full else 1
    runs: dict[tuple[str, int], list[TreeRun]] = {}
    with TemporaryDirectory(prefix="ivimkit-throughput-") as folder:
        root = make_dataset(Path(folder) / "raw", many, _SHAPE)
        # The first run compiles.
        _run("bare", root, Path(folder) / "first", 2)
        for k in range(rounds):
            for name in _WAYS:
                print(f"throughput: {name}, round {k + 1} of {rounds} ...", flush=True)
                for n in (_FEW, many):
                    done = _run(name, root, Path(folder) / f"{name}{k}-{n}", n)
                    runs.setdefault((name, n), []).append(done)
    wall = {
        name: _per_scan([[one.seconds for one in runs[name, n]] for n in (_FEW, many)], many)
        for name in _WAYS
    }
    cpu = {
        name: _per_scan([[one.cpu_seconds for one in runs[name, n]] for n in (_FEW, many)], many)
        for name in _WAYS
    }
    return Findings(
        conditions={
            "data": f"{many - _FEW} scans of {' × '.join(map(str, _SHAPE))} voxels at 13 "
            f"b-values, method varpro, {_WORKERS} workers with one thread",
            "time": f"that for {many} scans less that for {_FEW}, each the least of {rounds}; the "
            "command, the scheduler and the workers share the cores of one machine",
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
                ],
                [
                    [_TITLES[name], 1.0 / seconds, wall["bare"] / seconds, 1000 * cpu[name]]
                    for name, seconds in wall.items()
                ],
            )
        ],
        targets=[
            Target(
                f"At least {_MIN_SHARE:.0%} of the throughput of bare processes: {_TITLES[name]}",
                f"{wall['bare'] / wall[name]:.1%}",
                wall["bare"] / wall[name] >= _MIN_SHARE if settings.full else None,
            )
            for name in ("cohort", "dask")
        ],
    )


def _per_scan(times: Sequence[Sequence[float]], many: int) -> float:
    """Return the seconds of a scan, without those of a start."""
    few, all_of_them = map(min, times)
    return (all_of_them - few) / (many - _FEW)


def _run(name: str, root: Path, out: Path, number: int) -> TreeRun:
    words = ["-m", "benchmarks.throughput", "--way", name, str(root), str(out), str(number)]
    return run_tree([sys.executable, *words])


def _fit(task: Task) -> str:
    return fit_subject(task).state


def _bare(planned: ik.cohort.Plan) -> int:
    """Nothing but processes: no claim is watched, nothing is limited, and none is replaced."""
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("forkserver")) as pool:
        return list(pool.map(_fit, planned.tasks)).count("done")


def _cohort(planned: ik.cohort.Plan) -> int:
    return ik.cohort.run(planned).counts["done"]


def _dask(planned: ik.cohort.Plan) -> int:
    from distributed import LocalCluster

    with (
        LocalCluster(
            n_workers=_WORKERS,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
        ) as cluster,
        ik.cohort.dask_workers(cluster.scheduler_address) as workers,
    ):
        return ik.cohort.run(planned, executor=workers).counts["done"]


_WAYS: dict[str, Callable[[ik.cohort.Plan], int]] = {
    "bare": _bare,
    "cohort": _cohort,
    "dask": _dask,
}
_TITLES = {
    "bare": "bare processes (ProcessPoolExecutor.map)",
    "cohort": "ivimkit.cohort.run",
    "dask": "ivimkit.cohort.run on Dask",
}


def _child(name: str, root: str, out: str, number: str) -> None:
    found = ik.cohort.find_bids(Path(root))
    recipe = ik.cohort.Recipe.of(report=False)
    planned = ik.cohort.plan(found, Path(out), recipe, n_procs=_WORKERS, threads=1)
    some = ik.cohort.Plan(
        planned.out, planned.tasks[: int(number)], 0, planned.share, planned.datasets
    )
    done = _WAYS[name](some)
    if done != int(number):
        raise AssertionError(f"{done} of {number} scans were fitted")


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
    full_takes="3 minutes",
)

if __name__ == "__main__":
    _main(sys.argv[1:])
