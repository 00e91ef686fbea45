"""Bayes speed: posteriors per second, time to learn the prior, and memory."""

from __future__ import annotations

import sys
import time

import numpy as np

import ivimkit as ik
from benchmarks.clock import on_cores
from benchmarks.command import run_alone
from benchmarks.data import DataSet, simulated
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.process import run_command

_VOXELS, _TRAINING_VOXELS = 20_000, 50_000
_REPEATS = 3
_SPEED, _SECONDS = 10_000.0, 60.0
# Voxels of the runs whose memory is compared, and the memory a voxel may add beyond its maps.
_FEW, _MANY = 20_000, 200_000
_PER_VOXEL = 2.0
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
    memory = [_memory(size) for size in (_FEW, _MANY)] if settings.voxels is None else []
    enough = settings.voxels is None
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
        ],
        targets=_targets(slowest, training, memory) if enough else (),
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


def _targets(slowest: float, training: float, memory: list[tuple[int, int, int]]) -> list[Target]:
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
    ]


FIGURE = Figure(
    order=14,
    name="bayes_speed",
    title="Posterior: voxels per second, learning and memory",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
