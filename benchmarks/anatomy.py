"""Where the time of a voxel goes: the fit of varpro cut off after each of its stages."""

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
from ivimkit.engine.bind import bind, pasted_with_kernels
from ivimkit.engine.cpu import fit_chunk
from ivimkit.engine.voxel import fit_row
from ivimkit.kernels.device import device
from ivimkit.kernels.pools import pool_bounds, store_pools
from ivimkit.kernels.search import (
    _find_profile,
    _highest,
    _pair_start,
    _project,
    global_fit,
    ordered,
)
from ivimkit.kernels.two_pools import _sums, descend

_VOXELS = 20_000
_REPEATS = 25
_LANES = 8
_SUM_PASSES = 16


@device
def _nothing(b, root_weight, signal, sigma, lower, upper, start, options, table, work, out) -> int:
    out[0] = 1.0
    return 0


@device
def _projected(
    b, root_weight, signal, sigma, lower, upper, start, options, table, work, out
) -> int:
    _project(signal, table, work)
    out[0] = work[0, 0]
    return 0


@device
def _profiled(
    b, root_weight, signal, sigma, lower, upper, start, options, table, work, out
) -> int:
    n1, n2 = int(options[4]), int(options[5])
    box = ordered(pool_bounds(lower, upper, options))
    _project(signal, table, work)
    _find_profile(table, n1, n2, box[2], box[3], work)
    out[0], out[1] = _pair_start(n1, n2, _highest(n2, work), table, work, box)
    return 0


@device
def _one_descent(
    b, root_weight, signal, sigma, lower, upper, start, options, table, work, out
) -> int:
    n1, n2 = int(options[4]), int(options[5])
    box = ordered(pool_bounds(lower, upper, options))
    _project(signal, table, work)
    _find_profile(table, n1, n2, box[2], box[3], work)
    slow, fast = _pair_start(n1, n2, _highest(n2, work), table, work, box)
    fit = descend(b, root_weight, signal, slow, fast, box, -1.0, -1.0, math.inf, table)
    return store_pools(fit, options, box, out)


@device
def _everything(
    b, root_weight, signal, sigma, lower, upper, start, options, table, work, out
) -> int:
    box = pool_bounds(lower, upper, options)
    fit = global_fit(
        b, root_weight, signal, box, int(options[4]), int(options[5]), options[6], table, work
    )
    return store_pools(fit, options, box, out)


@device
def _only_sums(
    b, root_weight, signal, sigma, lower, upper, start, options, table, work, out
) -> int:
    # Each pass begins where the last one ended, so that none can be optimised away.
    slow, fast = 1e-3, 2e-2
    for _ in range(_SUM_PASSES):
        q1, q2, qb1, qb2, qbb1, qbb2, cost = _sums(
            b, root_weight, signal, slow, fast, 700.0, 300.0
        )
        slow = 1e-3 + 1e-30 * (q1 + qb1 + qbb1 + cost)
        fast = 2e-2 + 1e-30 * (q2 + qb2 + qbb2)
    out[0] = slow
    return 0


_STAGES: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("reading a row, screening it, spread of the signal", _nothing),
    ("24 inner products with the dictionary", _projected),
    ("profile over the 128 pairs, best start", _profiled),
    ("first descent", _one_descent),
    ("other summits, doubt, slope test: all the rest", _everything),
)


def measure(settings: Settings) -> Findings:
    """Time the driver with ever longer parts of the voxel function, in turn."""
    data = simulated("b21", 50, settings.size(_VOXELS))
    n = data.signal.shape[0]
    calls = [_call(data, stage) for _, stage in _STAGES]
    sums = _call(data, _only_sums)
    result = ik.fit(data.signal, data.bvals, method="varpro", threads=1)
    check_answer(result, data)
    found = calls[-1]()[0][:, : len(result.model.names)]
    if not np.array_equal(found, result.params):
        raise AssertionError("the stages do not add up to varpro: other numbers than ik.fit")
    with on_cores(1):
        exp_ns = exp_nanoseconds()
        times = _in_turn([*calls, sums, many_exps])
    *stages, sum_time, exps = (1e9 * t / n for t in times)
    # The time of an exponential that the same minutes saw.
    per_exp = exps * n / N_EXPS
    steps = np.diff([0.0, *stages])
    first = np.nanmean(calls[3]()[0][:, -1])
    passes = float(result.maps["n_iter"].mean())
    n_padded = -(-data.bvals.size // _LANES) * _LANES
    sums_pass = (sum_time - stages[0]) / _SUM_PASSES
    descents = stages[4] - stages[2]
    rows = [
        [name, float(step), float(step / per_exp), float(step / stages[-1])]
        for (name, _), step in zip(_STAGES, steps, strict=True)
    ]
    rows.append(["all", stages[-1], stages[-1] / per_exp, 1.0])
    return Findings(
        conditions={
            "data": f"{data.name}, {n} voxels, float64, in memory",
            "threads": "one, pinned to one core",
            "state": f"warm, stages in turn, medians of {_REPEATS} rounds",
        },
        checked=f"{CHECKED} The last stage gives the bits of `ik.fit`.",
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
                    ["passes over the b-values of the first descent", float(first)],
                    ["passes over the b-values of all descents", passes],
                    ["exps of a pass (two rates, b-values padded)", 2.0 * n_padded],
                    ["exps per voxel", passes * 2.0 * n_padded],
                    ["their time, ns", passes * 2.0 * n_padded * per_exp],
                    ["a pass: its seven sums with their exps, ns", sums_pass],
                    ["a pass as it is, with the step that follows, ns", descents / passes],
                    ["voxels/s if a voxel were its exps alone", 1e9 / (passes * 48.0 * per_exp)],
                    ["voxels/s if a voxel were its sums alone", 1e9 / (passes * sums_pass)],
                    ["voxels/s of this loop", 1e9 / stages[-1]],
                ],
            ),
        ],
        notes=["Each stage contains all those before it; the table shows the differences."],
    )


def _call(data: DataSet, voxel: Callable[..., Any]) -> Callable[[], Any]:
    """Return a call of the engine's driver with a voxel function, on data in memory."""
    model, method = ik.models.get("biexp"), ik.methods.get("varpro")
    n, n_b = data.signal.shape
    padded = -(-n_b // _LANES) * _LANES
    b, weight, signal = np.zeros(padded), np.zeros(padded), np.zeros((n, padded))
    b[:n_b], weight[:n_b], signal[:, :n_b] = data.bvals, 1.0, data.signal
    plan = method.plan(model, b, weight)
    lower = np.array([[p.lower for p in model.parameters]])
    upper = np.array([[p.upper for p in model.parameters]])
    start = np.array([[p.start for p in model.parameters]])
    values = np.zeros((n, len(model.parameters) + 2))
    variation, status = np.zeros(n), np.zeros(n, np.int32)
    driver = bind(fit_chunk, ("fit_row", pasted_with_kernels(fit_row, ("fit_voxel", voxel))))

    def call() -> Any:
        driver(
            b, np.sqrt(weight), signal, np.zeros(1), lower, upper, start,
            plan.options, plan.table, plan.work_rows, values, variation, status,
        )  # fmt: skip
        return values, status

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
