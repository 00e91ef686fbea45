"""Bayes speed: posteriors per second, time to learn the prior, and memory."""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from typing import NamedTuple

import numpy as np

import ivimkit as ik
from benchmarks.clock import on_cores
from benchmarks.command import run_alone
from benchmarks.data import DataSet, prostate, simulated
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.process import run_command

_VOXELS, _TRAINING_VOXELS = 20_000, 50_000
_REPEATS = 3
_SPEED, _SECONDS = 100_000.0, 60.0
# Seconds of the fit of a prostate scan and of a brain, learning included, and of the first fit of
# all; how many times as long a prior from the neighbours may take as one of the whole scan.
_PROSTATE_SECONDS, _BRAIN_SECONDS, _FIRST_SECONDS, _LOCAL_RATIO = 2.0, 30.0, 25.0, 2.0
_PROSTATE_VOXELS = 8800
_BRAIN_VOXELS, _BRAIN_CORES = 1_200_000, 2
_IMAGE = (96, 80, 2)
# Voxels of the runs whose memory is compared, and the memory a voxel may add beyond its maps.
_FEW, _MANY = 20_000, 200_000
_PER_VOXEL = 2.0
_FIRST = """
import time
import ivimkit as ik
from benchmarks.data import simulated
data = simulated("b21", 50, 2000)
start = time.perf_counter()
ik.fit(data.signal, data.bvals, method="bayes")
print(time.perf_counter() - start)
"""
_FIT = """
import sys
import ivimkit as ik
from benchmarks.data import simulated
data = simulated("b21", 50, int(sys.argv[1]))
result = ik.fit(data.signal, data.bvals, method=ik.methods.Bayes(prior="learned"))
result.raise_for_status(max_failed=0.001)
held = data.signal.nbytes + sum(result.maps[name].nbytes for name in result.maps)
print(held + sum(values.nbytes for values in data.truth.values()))
"""


def measure(settings: Settings) -> Findings:
    """Time posteriors and learning on one core, then measure memory."""
    n = settings.size(_VOXELS)
    data = simulated("b21", 50, n)
    many = simulated("b21", 50, settings.size(_TRAINING_VOXELS))
    with on_cores(1):
        start = time.process_time()
        learned = _fit(many, ik.methods.get("bayes", prior="learned"))
        whole = time.process_time() - start
        methods = {
            "flat, default bounds": ik.methods.get("bayes", prior="flat"),
            "learned, table given": ik.methods.get("bayes", prior=learned.priors["all"]),
        }
        speeds = {label: _voxels_per_second(data, method) for label, method in methods.items()}
        training = whole - many.signal.shape[0] / speeds["learned, table given"]
        _check(data, methods["learned, table given"])
    enough = settings.voxels is None
    memory = [_memory(size) for size in (_FEW, _MANY)] if enough else []
    waits = _waits(training, speeds["learned, table given"]) if enough else []
    slowest = min(speeds.values())
    rows: list[list[Cell]] = [[f"posterior, {label}", speed] for label, speed in speeds.items()]
    return Findings(
        conditions={
            "data": f"{data.name}, {n} voxels; learning: {many.signal.shape[0]} voxels, of which "
            f"the prior takes {ik.priors.get('learned').options()['n_voxels']}",
            "threads": "one, pinned to one core; the runs for memory on all cores",
            "state": f"warm (compiled), processor time, best of {_REPEATS}; the whole fit with a "
            "prior to learn once; `ik.fit`, noise variance learned, ADC included",
        },
        checked="at most 0.1 % of the voxels without a fit; ten times the voxels have "
        "bit-identical posteriors.",
        tables=[
            Table("One core", [Column("what"), Column("voxels/s", "{:,.0f}")], rows),
            Table(
                "Learning",
                [Column("what"), Column("seconds", "{:.1f}")],
                [
                    [f"`ik.fit` of {many.signal.shape[0]} voxels, prior learned", whole],
                    ["of which learning", training],
                ],
            ),
            Table(
                "Peak memory of a process that fits with a prior it learns",
                [
                    Column("voxels", "{:,d}"),
                    Column("peak, MB", "{:.0f}"),
                    Column("of which signals, truth and maps, MB", "{:.0f}"),
                ],
                [[size, peak / 1e6, held / 1e6] for size, peak, held in memory],
            ),
            *([_waits_table(waits)] if enough else []),
        ],
        targets=_targets(slowest, training, memory, waits) if enough else (),
        notes=[
            "Learning has a separate peak, which does not grow with the scan: it uses a "
            "sample of the voxels.",
            *([] if enough else ["Goals are evaluated only without --voxels."]),
        ],
    )


def _voxels_per_second(data: DataSet, method: ik.methods.Bayes) -> float:
    """Return the speed in processor time: a fit this long is never alone on a core."""
    _fit(data, method).raise_for_status(max_failed=0.001)
    times = []
    for _ in range(_REPEATS):
        start = time.process_time()
        _fit(data, method)
        times.append(time.process_time() - start)
    return data.signal.shape[0] / min(times)


def _fit(data: DataSet, method: ik.methods.Bayes) -> ik.FitResult:
    return ik.fit(data.signal, data.bvals, method=method, threads=1)


def _check(data: DataSet, method: ik.methods.Bayes) -> None:
    """Raise if the posterior of a voxel depends on the number of others."""
    few = data.first(max(data.signal.shape[0] // 10, 1))
    one, two = (
        ik.fit(part.signal, part.bvals, method=method, sigma=20.0, threads=1)
        for part in (few, data)
    )
    for name in one.maps:
        if not np.array_equal(one.maps[name], two.maps[name][: few.signal.shape[0]], True):
            raise AssertionError(f"{name} of a voxel depends on the other voxels")


def _memory(voxels: int) -> tuple[int, int, int]:
    """Return number of voxels, peak memory of a fit and bytes of the data that must be kept."""
    print(f"bayes_speed: memory of {voxels} voxels ...", flush=True)
    run = run_command([sys.executable, "-W", "ignore", "-c", _FIT, str(voxels)])
    return voxels, run.peak, int(run.output)


class _Wait(NamedTuple):
    """What a user waits for, and the goal."""

    what: str
    value: float
    goal: float
    unit: str


def _waits(training: float, speed: float) -> list[_Wait]:
    """Return how long whole fits take that learn, in processor time of one core."""
    phantom = ik.simulate.phantom(shape=_IMAGE, snr=40.0).dwi
    learned, local = (_seconds(phantom, prior) for prior in ("learned", "local"))
    brain = (training + _BRAIN_VOXELS / speed) / _BRAIN_CORES
    waits = [
        _Wait(
            f"{_BRAIN_VOXELS / 1e6:g} million voxels, learning included, {_BRAIN_CORES} cores, "
            "from the figures above",
            brain,
            _BRAIN_SECONDS,
            "s",
        ),
        _Wait("prior local over prior learned, an image", local / learned, _LOCAL_RATIO, "×"),
        _Wait("first fit of all, nothing compiled", _first_fit(), _FIRST_SECONDS, "s"),
    ]
    found = prostate(_PROSTATE_VOXELS)
    if found is not None:
        scan = ik.DWI(found.signal, found.bvals)
        label = f"{scan.n_voxels:,} voxels of the prostate scan, learning included"
        waits.insert(0, _Wait(label, _seconds(scan, "learned"), _PROSTATE_SECONDS, "s"))
    return waits


def _seconds(dwi: ik.DWI, prior: str) -> float:
    method = ik.methods.get("bayes", prior=prior)
    times = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ik.errors.AcquisitionWarning)
        for _ in range(1 + _REPEATS):
            start = time.process_time()
            ik.fit(dwi, method=method, threads=1)
            times.append(time.process_time() - start)
    return min(times[1:])


def _first_fit() -> float:
    """Return the wall time of a fit in a process that finds no compiled code."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-c", _FIRST]
        said = run_command(command, environment={"NUMBA_CACHE_DIR": folder}).output
        # It also says that it compiles.
        return float(said.split()[-1])


def _waits_table(waits: list[_Wait]) -> Table:
    return Table(
        "What a user waits for",
        [Column("what"), Column("measured", "{:.1f}"), Column("unit")],
        [[wait.what, wait.value, wait.unit] for wait in waits],
    )


def _targets(
    slowest: float, training: float, memory: list[tuple[int, int, int]], waits: list[_Wait]
) -> list[Target]:
    (_, low, held_low), (_, high, held_high) = memory
    ratio = (high - low) / (held_high - held_low)
    return [
        Target(
            f"≥ {_SPEED:,.0f} posteriors per second of one core",
            f"{slowest:,.0f}",
            slowest >= _SPEED,
        ),
        Target(
            f"A prior learned within {_SECONDS:g} s from {_TRAINING_VOXELS:,} voxels",
            f"{training:.1f} s",
            training <= _SECONDS,
        ),
        Target(
            f"Ten times the voxels add ≤ {_PER_VOXEL:g} × what their signals and maps take",
            f"{ratio:.2f} ×",
            ratio <= _PER_VOXEL,
        ),
        *(
            Target(
                f"{wait.what}: ≤ {wait.goal:g} {wait.unit}",
                f"{wait.value:.1f} {wait.unit}",
                wait.value <= wait.goal,
            )
            for wait in waits
        ),
    ]


FIGURE = Figure(
    order=14,
    name="bayes_speed",
    title="Posterior: voxels per second, learning and memory",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
