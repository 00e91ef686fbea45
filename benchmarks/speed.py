"""Speed: voxels per second on one core, relative to the time of an exp, and to DIPY."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import ivimkit as ik
from benchmarks.answers import CHECKED, check_answer
from benchmarks.clock import best_seconds, on_cores, side_by_side
from benchmarks.command import run_alone
from benchmarks.data import DataSet, simulated
from benchmarks.dipy_trr import ABSENT, dipy_voxels_per_second, is_installed
from benchmarks.error import ESTIMATED, rmse
from benchmarks.exp_time import N_EXPS, exp_nanoseconds, many_exps
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.machine import usable_cores
from ivimkit.engine import Task, run
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI

_VOXELS, _DIPY_VOXELS = 20_000, 200
# Many more chunks than threads, as in a real volume: 20 000 voxels are only five chunks.
_SCALING_COPIES = 8
_REPEATS = 15
_PAIRS = (
    ("varpro", "biexp"),
    ("trr", "biexp"),
    ("segmented", "biexp"),
    ("loglinear", "sivim"),
    ("loglinear", "monoexp"),
)
_EXPS, _TIMES_DIPY, _SCALING = 3300.0, 1000.0, 1.8


@dataclass(frozen=True)
class _Speed:
    """Voxels per second of one method on one core."""

    method: str
    model: str
    fit: float
    engine: float
    fit_exps: float
    engine_exps: float
    errors: tuple[float | None, ...]

    def row(self, dipy: float | None) -> list[Cell]:
        return [
            f"{self.method}, {self.model}",
            self.fit,
            self.engine,
            self.fit_exps,
            self.engine_exps,
            None if dipy is None else self.fit / dipy,
            *self.errors,
        ]


def measure(settings: Settings) -> Findings:
    """Time every method, the exp and DIPY on one core, and varpro on two."""
    data = simulated("b21", 50, settings.size(_VOXELS))
    with on_cores(1):
        exp_ns = exp_nanoseconds()
        speeds = [_time(method, model, data) for method, model in _PAIRS]
        # Before and after: the clock of the core may have changed in between.
        exp_ns = min(exp_ns, exp_nanoseconds())
        few = data.first(min(_DIPY_VOXELS, settings.size(_VOXELS)))
        dipy = dipy_voxels_per_second(few) if is_installed() else None
        alone = best_seconds(lambda: _fit(data.first(1), 1), repeats=_REPEATS)
    scaling = _scaling(data)
    enough = data.signal.shape[0] >= _VOXELS
    return Findings(
        conditions={
            "data": f"{data.name}, {data.signal.shape[0]} voxels, float64",
            "threads": "one, pinned to one core",
            "state": f"warm (compiled), best of {_REPEATS}",
        },
        checked=CHECKED,
        tables=[
            _table(speeds, dipy),
            Table(
                "The same run",
                [Column("what"), Column("value", "{:,.3g}")],
                [
                    ["one vectorised float64 exp, ns", exp_ns],
                    [f"DIPY trr, its own bounds, {few.signal.shape[0]} voxels: voxels/s", dipy],
                    ["varpro, two threads on two cores against one", scaling],
                    ["`ik.fit` of a single voxel, ms: what every call costs", 1e3 * alone],
                ],
            ),
        ],
        # With fewer voxels the fixed cost of a call would dominate.
        targets=_targets(speeds, dipy, scaling) if enough else (),
        notes=[
            "`ik.fit` is the whole call on an array: checks, fit, the ADC of every voxel, "
            "residuals and the result object. `engine` is the fit alone, including reading. Exp "
            "times are medians of pairs: the fit, then exponentials, in turn.",
            *([ABSENT] if dipy is None else []),
            *([] if enough else [f"Targets are evaluated only with at least {_VOXELS} voxels."]),
        ],
    )


def _time(method: str, model: str, data: DataSet) -> _Speed:
    def fit() -> object:
        return ik.fit(data.signal, data.bvals, model=model, method=method, threads=1)

    result = ik.fit(data.signal, data.bvals, model=model, method=method, threads=1)
    check_answer(result, data)
    n = data.signal.shape[0]
    dwi = DWI(data.signal, Acquisition(data.bvals))
    task = Task(ik.models.get(model), ik.methods.get(method), dwi.fit_counts)

    def engine() -> object:
        return run(dwi.voxels(), dwi.fit_bvals[np.newaxis], [task], threads=1)

    fit_s, _, fit_ratio = side_by_side(fit, many_exps, repeats=_REPEATS)
    engine_s, _, engine_ratio = side_by_side(engine, many_exps, repeats=_REPEATS)
    return _Speed(
        method,
        model,
        n / fit_s,
        n / engine_s,
        fit_ratio * N_EXPS / n,
        engine_ratio * N_EXPS / n,
        tuple(rmse(result.maps, data.truth, name) for name in ESTIMATED),
    )


def _fit(data: DataSet, threads: int) -> ik.FitResult:
    return ik.fit(data.signal, data.bvals, method="varpro", threads=threads)


def _scaling(data: DataSet) -> float | None:
    """Return the speed-up of two threads on two cores; None if there is only one core."""
    if len(usable_cores()) < 2:
        return None
    signal = np.tile(data.signal, (_SCALING_COPIES, 1))
    many = DataSet(data.name, data.bvals, signal)
    with on_cores(1):
        one = best_seconds(lambda: _fit(many, 1), repeats=_REPEATS)
    with on_cores(2):
        two = best_seconds(lambda: _fit(many, 2), repeats=_REPEATS)
    return one / two


def _table(speeds: list[_Speed], dipy: float | None) -> Table:
    return Table(
        "One core",
        [
            Column("method, model"),
            Column("voxels/s, `ik.fit`", "{:,.0f}"),
            Column("voxels/s, engine", "{:,.0f}"),
            Column("exp times per voxel", "{:,.0f}"),
            Column("engine", "{:,.0f}"),
            Column("× DIPY trr", "{:,.0f}"),
            Column("RMSE D, 10⁻³ mm²/s", "{:.3f}"),
            Column("RMSE f", "{:.3f}"),
            Column("RMSE D*, 10⁻³ mm²/s", "{:.1f}"),
        ],
        [speed.row(dipy) for speed in speeds],
    )


def _targets(speeds: list[_Speed], dipy: float | None, scaling: float | None) -> list[Target]:
    by_name = {speed.method: speed for speed in reversed(speeds)}
    varpro = by_name["varpro"]
    quicker = min(by_name["segmented"].fit, by_name["loglinear"].fit)
    return [
        Target(
            f"varpro: ≤ {_EXPS:,.0f} exp times per voxel (500 000 voxels/s at 0.6 ns)",
            f"{varpro.engine_exps:,.0f}, {varpro.engine:,.0f} voxels/s; with ADC, residuals and "
            f"result {varpro.fit_exps:,.0f}, {varpro.fit:,.0f} voxels/s",
            varpro.engine_exps <= _EXPS,
        ),
        Target(
            f"varpro: ≥ {_TIMES_DIPY:,.0f} × DIPY's trr",
            "no DIPY" if dipy is None else f"{varpro.fit / dipy:,.0f} ×",
            None if dipy is None else varpro.fit / dipy >= _TIMES_DIPY,
        ),
        Target(
            "segmented and loglinear faster than varpro",
            f"the slower one {quicker / varpro.fit:.2f} ×",
            quicker > varpro.fit,
        ),
        Target(
            f"Two threads ≥ {_SCALING} × one",
            "one core only" if scaling is None else f"{scaling:.2f} ×",
            None if scaling is None else scaling >= _SCALING,
        ),
    ]


FIGURE = Figure(
    order=2,
    name="speed",
    title="Speed: voxels per second of one core",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
