"""Optimum: whether `varpro` finds the global optimum, against 30 random starts of scipy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import DataSet, all_simulated, prostate
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.reference import BOUNDS, best_costs, cost_of

_STARTS = 30
_QUICK, _FULL = 100, 2000
_SAME = 1.0001
_SHARE, _WORST = 0.999, 1.01


@dataclass(frozen=True)
class _Outcome:
    """Sums of squared residuals of one set, relative to the best that scipy found."""

    name: str
    ratio: NDArray[np.float64]

    @property
    def share(self) -> float:
        return float(np.mean(self.ratio <= _SAME))

    @property
    def worst(self) -> float:
        return float(self.ratio.max())

    def row(self) -> list[Cell]:
        beaten = float(np.mean(self.ratio < 1.0 / _SAME))
        return [self.name, self.ratio.size, 100 * self.share, self.worst, 100 * beaten]


def measure(settings: Settings) -> Findings:
    """Compare the residuals of every voxel of every set."""
    n = settings.size(_QUICK, _FULL)
    scan = prostate(n)
    sets = [*all_simulated(n), *([] if scan is None else [scan])]
    outcomes = []
    for data in sets:
        print(f"optimum: {data.name}, {n} voxels x {_STARTS} starts of scipy ...", flush=True)
        outcomes.append(_compare(data))
    share = min(outcome.share for outcome in outcomes)
    worst = max(outcome.worst for outcome in outcomes)
    return Findings(
        conditions={
            "data": f"the first {n} voxels of each set",
            "bounds": "f 0 to 1, D* 3e-3 to 0.3, D 0 to 5e-3 mm²/s, S0 ≥ 0",
        },
        checked="the residuals of both are computed from the parameters by one NumPy formula, the "
        "sum of squares reported by the fit agrees with it, and all parameters are within the "
        "bounds.",
        tables=[
            Table(
                f"Sum of squared residuals of varpro / best of {_STARTS} random starts of scipy",
                [
                    Column("set"),
                    Column("voxels", "{:d}"),
                    Column(f"≤ {_SAME}, %", "{:.2f}"),
                    Column("worst ratio", "{:.6f}"),
                    Column("varpro lower, %", "{:.2f}"),
                ],
                [outcome.row() for outcome in outcomes],
            )
        ],
        targets=[
            Target(
                f"At most {_SAME} × the reference in ≥ {_SHARE:.1%} of the voxels of every set",
                f"{share:.2%}",
                share >= _SHARE,
            ),
            Target(f"Never above {_WORST} × the reference", f"worst {worst:.6f}", worst <= _WORST),
        ],
        notes=() if scan is not None else ("The prostate scan is not available: left out.",),
    )


def _compare(data: DataSet) -> _Outcome:
    names = ("f", "D_star", "D")
    model = ik.models.get("biexp").with_bounds(**dict(zip(names, BOUNDS, strict=True)))
    result = ik.fit(data.signal, data.bvals, model=model, method="varpro")
    result.raise_for_status()
    for name, (low, high) in zip(names, BOUNDS, strict=True):
        values = result.maps[name]
        if not ((values >= low) & (values <= high)).all():
            raise AssertionError(f"{data.name}: varpro left the bounds of {name}")
    cost = cost_of(data.bvals, data.signal, result.params)
    if not np.allclose(cost, result.maps["cost"], rtol=1e-6):
        raise AssertionError(f"{data.name}: the cost reported by varpro does not match its fit")
    return _Outcome(data.name, cost / best_costs(data, starts=_STARTS))


FIGURE = Figure(
    order=1,
    name="optimum",
    title="Optimum: does varpro find the global minimum?",
    measure=measure,
    full_takes="about 25 minutes of one core (2 000 voxels per set), once: the result is cached",
)

if __name__ == "__main__":
    run_alone(FIGURE)
