"""Accuracy: the error of each method together with its speed, which alone means nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import ivimkit as ik
from benchmarks.answers import CHECKED, check_answer
from benchmarks.clock import best_seconds, on_cores
from benchmarks.command import run_alone
from benchmarks.data import DataSet, all_simulated
from benchmarks.error import ESTIMATED, UNITS, median_relative, rmse
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table

_VOXELS = 20_000
_REPEATS = 3


@dataclass(frozen=True)
class _Contender:
    """A method with its options, and the model it fits."""

    label: str
    model: str
    method: str
    options: tuple[tuple[str, object], ...] = ()


_CONTENDERS = (
    _Contender("varpro", "biexp", "varpro"),
    _Contender("trr", "biexp", "trr"),
    _Contender("segmented, 3 steps", "biexp", "segmented"),
    _Contender("segmented, 2 steps", "biexp", "segmented", (("steps", 2),)),
    _Contender("varpro, sivim", "sivim", "varpro"),
    _Contender("loglinear, sivim", "sivim", "loglinear"),
)


def measure(settings: Settings) -> Findings:
    """Fit every set by every method."""
    n = settings.size(_VOXELS)
    tables = []
    with on_cores(1):
        for data in all_simulated(n):
            rows = [_row(contender, data) for contender in _CONTENDERS]
            tables.append(_table(data, [*rows, _guess_row(data)]))
    return Findings(
        conditions={
            "data": f"{n} voxels of each simulated set, all of them included",
            "bounds": "defaults",
            "threads": "one, pinned to one core",
            "state": f"warm, best of {_REPEATS}; `ik.fit` including the ADC map",
        },
        checked=CHECKED,
        tables=tables,
        notes=[
            "The last row is not a fit: it is the mean of the true values of the set for every "
            "voxel, and its RMSE is their standard deviation. An estimate with a larger RMSE "
            "tells less about a single voxel than the set does. D* of such voxels is flagged "
            "`PERFUSION_NOT_DETECTED` where f is not distinguishable from 0.",
        ],
    )


def _row(contender: _Contender, data: DataSet) -> list[Cell]:
    method = ik.methods.get(contender.method, **dict(contender.options))

    def fit() -> ik.FitResult:
        return ik.fit(data.signal, data.bvals, model=contender.model, method=method, threads=1)

    result = fit()
    check_answer(result, data)
    seconds = best_seconds(fit, repeats=_REPEATS)
    return [
        contender.label,
        data.signal.shape[0] / seconds,
        *(rmse(result.maps, data.truth, name) for name in ESTIMATED),
        *(median_relative(result.maps, data.truth, name) for name in ESTIMATED),
    ]


def _guess_row(data: DataSet) -> list[Cell]:
    spread = [float(np.std(data.truth[name])) / UNITS[name] for name in ESTIMATED]
    away = [np.abs(data.truth[name].mean() / data.truth[name] - 1.0) for name in ESTIMATED]
    return ["always the mean", None, *spread, *(100.0 * float(np.median(a)) for a in away)]


def _table(data: DataSet, rows: list[list[Cell]]) -> Table:
    return Table(
        data.name,
        [
            Column("method"),
            Column("voxels/s", "{:,.0f}"),
            Column("RMSE D, 10⁻³ mm²/s", "{:.3f}"),
            Column("RMSE f", "{:.3f}"),
            Column("RMSE D*, 10⁻³ mm²/s", "{:.1f}"),
            Column("median error D, %", "{:.1f}"),
            Column("f, %", "{:.1f}"),
            Column("D*, %", "{:.1f}"),
        ],
        rows,
    )


FIGURE = Figure(
    order=3,
    name="accuracy",
    title="Accuracy and speed",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
