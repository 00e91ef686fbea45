"""Anatomy: where the time of a voxel goes, by stopping varpro after each of its stages."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import ivimkit as ik
from benchmarks.answers import CHECKED, check_answer
from benchmarks.clock import on_cores
from benchmarks.command import run_alone
from benchmarks.data import DataSet, simulated
from benchmarks.exp_time import N_EXPS, exp_nanoseconds, many_exps
from benchmarks.figure import Column, Figure, Findings, Settings, Table
from ivimkit.engine import Task
from ivimkit.engine.bind import bind
from ivimkit.engine.cpu import fit_batch
from ivimkit.engine.task import Prepared
from ivimkit.kernels.device import device
from ivimkit.kernels.two_decays.fitted_decays import ordered
from ivimkit.kernels.two_decays.lane_profile import N_GROUPS
from ivimkit.kernels.two_decays.lane_schedule import (
    _COUNT,
    _FILLED,
    _LEFT,
    _NEXT,
    _fill_group,
    find_basins,
)
from ivimkit.kernels.two_decays.lane_search import chunk_of, lanes_of
from ivimkit.kernels.two_decays.lanes import LANES, Start, begin, pass_over, step
from ivimkit.kernels.two_decays.option_positions import OWN
from ivimkit.kernels.two_decays.pools import pool_bounds

_VOXELS = 20_000
_CHUNK = 2500
_REPEATS = 25
_PADDED = 8
_PASSES = 16


@device
def _nothing(part, voxels, scratch, counters, out, status):
    out[0, 0] = 1.0


@device
def _compared(part, voxels, scratch, counters, out, status):
    chunk, lanes = chunk_of(voxels, status), lanes_of(voxels, scratch, counters)
    box = ordered(pool_bounds(voxels.lower, voxels.upper, voxels.options))
    for group in range(N_GROUPS):
        counters[_LEFT + group] = 0
    counters[_NEXT] = 0
    counters[_COUNT] = 1
    while counters[_COUNT] > 0:
        _fill_group(chunk, box, lanes)
        counters[_LEFT + counters[_FILLED]] = 0


@device
def _descended(part, voxels, scratch, counters, out, status):
    chunk, lanes = chunk_of(voxels, status), lanes_of(voxels, scratch, counters)
    box = ordered(pool_bounds(voxels.lower, voxels.upper, voxels.options))
    find_basins(chunk, box, lanes)


@device
def _passes(part, voxels, scratch, counters, out, status):
    b, root_weight, signals = voxels.x[0], voxels.root_weight, voxels.signals
    lanes = lanes_of(voxels, scratch, counters)
    for k in range(LANES):
        begin(lanes.state, k, Start(1e-3, 2e-2, -1.0, -1.0, math.inf))
        for j in range(b.size):
            lanes.memory[j, k] = signals[k, j]
    n_used = b.size - int(voxels.options[OWN])
    for _ in range(0, _PASSES * signals.shape[0], LANES):
        pass_over(b, root_weight, lanes.memory, n_used, lanes.state)


@device
def _steps(part, voxels, scratch, counters, out, status):
    b, root_weight, signals = voxels.x[0], voxels.root_weight, voxels.signals
    lanes = lanes_of(voxels, scratch, counters)
    box = ordered(pool_bounds(voxels.lower, voxels.upper, voxels.options))
    # The state of a first pass, again and again: its sums are not touched.
    for k in range(LANES):
        begin(lanes.state, k, Start(1e-3, 2e-2, -1.0, -1.0, math.inf))
        for j in range(b.size):
            lanes.memory[j, k] = signals[k, j]
    n_used = b.size - int(voxels.options[OWN])
    pass_over(b, root_weight, lanes.memory, n_used, lanes.state)
    for _ in range(0, _PASSES * signals.shape[0], LANES):
        step(lanes.state, box)


_STAGES: tuple[tuple[str, Callable[..., Any] | None], ...] = (
    ("reading a row, screening it, spread of the signal", _nothing),
    ("24 inner products with the dictionary, gains and profile of 128 pairs", _compared),
    ("descents from the summits of the profile, with their starts", _descended),
    ("beginning again from one pool, writing the result", None),
)


def measure(settings: Settings) -> Findings:
    """Time the driver with increasingly long parts of the function of `varpro`, in turn."""
    data = simulated("b21", 50, settings.size(_VOXELS))
    n = data.signal.shape[0]
    chunks = _Chunks(data)
    calls = [chunks.call(stage) for _, stage in _STAGES]
    passes, steps = chunks.call(_passes), chunks.call(_steps)
    result = ik.fit(data.signal, data.bvals, method="varpro", threads=1)
    check_answer(result, data)
    calls[-1]()
    if not np.array_equal(chunks.values[:, : len(result.model.names)], result.params):
        raise AssertionError("the stages do not add up to varpro: other numbers than ik.fit")
    with on_cores(1):
        exp_ns = exp_nanoseconds()
        times = _in_turn([*calls, passes, steps, many_exps])
    *stages, pass_time, step_time, exps = (1e9 * t / n for t in times)
    # The time of an exponential measured in the same minutes.
    per_exp = exps * n / N_EXPS
    differences = np.diff([0.0, *stages])
    mean_passes = float(result.maps["n_iter"].mean())
    n_b = data.bvals.size
    one_pass, one_step = ((t - stages[0]) / _PASSES for t in (pass_time, step_time))
    rows = [
        [name, float(took), float(took / per_exp), float(took / stages[-1])]
        for (name, _), took in zip(_STAGES, differences, strict=True)
    ]
    rows.append(["all", stages[-1], stages[-1] / per_exp, 1.0])
    return Findings(
        conditions={
            "data": f"{data.name}, {n} voxels, float64, in memory",
            "threads": "one, pinned to one core",
            "state": f"warm, stages in turn, medians of {_REPEATS} rounds",
        },
        checked=f"{CHECKED} The last stage is bit-identical to `ik.fit`.",
        tables=[
            Table(
                "Where the time of a voxel goes: varpro, one core",
                [
                    Column("stage"),
                    Column("ns per voxel", "{:,.0f}"),
                    Column("exp times", "{:,.0f}"),
                    Column("share", "{:.0%}"),
                ],
                rows,
            ),
            Table(
                "The arithmetic of the limit",
                [Column("what"), Column("value", "{:,.3g}")],
                [
                    ["one vectorised exp, ns (alone)", exp_ns],
                    ["one vectorised exp, ns (in turn with the stages)", per_exp],
                    ["passes over the b-values, all descents", mean_passes],
                    ["exps of a pass", 2.0 * n_b],
                    ["exps per voxel", mean_passes * 2.0 * n_b],
                    ["their time, ns", mean_passes * 2.0 * n_b * per_exp],
                    ["a pass: its 16 sums with their exps, ns", one_pass],
                    ["the step behind a pass, ns", one_step],
                    ["all passes and steps, ns", mean_passes * (one_pass + one_step)],
                    [
                        "voxels/s if a voxel were its exps alone",
                        1e9 / (mean_passes * 2.0 * n_b * per_exp),
                    ],
                    ["voxels/s if a voxel were its sums alone", 1e9 / (mean_passes * one_pass)],
                    ["voxels/s of this loop", 1e9 / stages[-1]],
                ],
            ),
        ],
        notes=["Each stage includes all those before it; the table shows the differences."],
    )


class _Chunks:
    """The data in chunks like those of the engine, with room for its results."""

    def __init__(self, data: DataSet) -> None:
        n, n_b = data.signal.shape
        padded = -(-n_b // _PADDED) * _PADDED
        b, signal = np.zeros(padded), np.zeros((n, padded))
        b[:n_b], signal[:, :n_b] = data.bvals, data.signal
        task = Task(ik.models.get("biexp"), ik.methods.get("varpro"), np.ones(n_b))
        self.prepared = Prepared(task, b[np.newaxis], n)
        # How much of the b-values is padding, where no other stage reads.
        self.options = np.append(self.prepared.plan.options, float(padded - n_b))
        self.signal = [signal[k : k + _CHUNK] for k in range(0, n, _CHUNK)]
        self.values = self.prepared.values

    def call(self, stage: Callable[..., Any] | None) -> Callable[[], Any]:
        """Return a call of the engine's driver with a stage, the whole fit for None."""
        fit = self.prepared
        (whole,) = fit.batch.steps
        kernel = "fit_voxels", stage or whole.function
        driver = bind(fit_batch, kernel, allocates=False)

        def call() -> None:
            for k, signals in enumerate(self.signal):
                rows = slice(k * _CHUNK, k * _CHUNK + signals.shape[0])
                driver(
                    0, True, True, fit.x, fit.root_weight, signals, fit.sigma, fit.lower[0],
                    fit.upper[0], self.options, fit.plan.table, *fit.scratch(signals.shape[0]),
                    fit.values[rows], fit.variation[rows], fit.status[rows],
                )  # fmt: skip

        return call


def _in_turn(calls: list[Callable[[], Any]]) -> list[float]:
    """Return the median time of each call, taken round by round."""
    rounds = []
    for _ in range(_REPEATS + 1):
        times = []
        for call in calls:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        rounds.append(times)
    return [statistics.median(column) for column in zip(*rounds[1:], strict=True)]


FIGURE = Figure(
    order=17,
    name="anatomy",
    title="Anatomy: where the time of a voxel goes",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
