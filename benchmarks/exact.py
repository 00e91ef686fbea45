"""Exact: full fits must recover the parameters of noise-free signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import B13, B21, two_pool_signal
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.pairs import working_pairs
from ivimkit.extend.signal_model import SignalModel

_VOXELS = 1000
_LIMIT = 1e-6
_LEAST_F, _LEAST_RATIO = 0.02, 3.0
# A fast compartment that has decayed at the first b > 0, as in model sivim.
_GONE = 1e9


@dataclass(frozen=True)
class _Outcome:
    """Largest relative errors of one method on one protocol."""

    method: str
    model: str
    protocol: str
    failed: int
    worst: dict[str, float]
    missed: int

    def row(self) -> list[Cell]:
        errors: list[Cell] = [self.worst.get(n) for n in ("S0", "f", "D_star", "D", "ADC")]
        return [f"{self.method}, {self.model}, {self.protocol}", *errors, self.missed, self.failed]


def measure(settings: Settings) -> Findings:
    """Fit noise-free signals of random truths by every full fit."""
    n = settings.size(_VOXELS)
    outcomes = [
        _recover(model, method.name, protocol, bvals, n)
        for model, method in working_pairs()
        if method.full_fit
        for protocol, bvals in (("b21", B21), ("b13", B13))
    ]
    worst = max(max(outcome.worst.values()) for outcome in outcomes)
    missed = sum(outcome.missed + outcome.failed for outcome in outcomes)
    return Findings(
        conditions={
            "data": f"{n} truths per row, uniform within the default bounds with D* ≥ 3 D and "
            f"f ≥ {_LEAST_F}, no noise, float64"
        },
        checked="the signals come from NumPy, not from the simulator of the package.",
        tables=[
            Table(
                "Largest relative error of each parameter",
                [
                    Column("method, model, b-values"),
                    *(Column(name, "{:.1e}") for name in ("S0", "f", "D*", "D", "ADC")),
                    Column(f"voxels above {_LIMIT:g}", "{:d}"),
                    Column("not fitted", "{:d}"),
                ],
                [outcome.row() for outcome in outcomes],
            )
        ],
        targets=[
            Target(
                f"Every parameter of every truth to {_LIMIT:g} relative",
                f"worst {worst:.1e}, {missed} voxels missed",
                missed == 0,
            )
        ],
    )


def _recover(
    model: SignalModel, method: str, protocol: str, bvals: NDArray[np.float64], n: int
) -> _Outcome:
    truth = _truth(model, n)
    pools = {"f": np.zeros(n), "D_star": np.full(n, _GONE), **truth}
    pools.setdefault("D", pools.pop("ADC", np.zeros(n)))
    signal = two_pool_signal(bvals, **pools)
    result = ik.fit(signal, bvals, model=model, method=method)
    errors = {name: np.abs(result.maps[name] / true - 1.0) for name, true in truth.items()}
    failed = np.isnan(result.maps["S0"])
    largest = np.max([np.where(failed, 0.0, error) for error in errors.values()], axis=0)
    return _Outcome(
        method,
        model.name,
        protocol,
        int(failed.sum()),
        {name: float(np.nanmax(error)) for name, error in errors.items()},
        int(np.count_nonzero(largest > _LIMIT)),
    )


def _truth(model: SignalModel, n: int) -> dict[str, NDArray[np.float64]]:
    """Draw parameters within the bounds; those of D* leave room above 3 D."""
    uniform = np.random.default_rng([1000, len(model.names)]).uniform(size=(5, n))
    truth: dict[str, NDArray[np.float64]] = {}
    for row, name in zip(uniform, ("S0", "f", "D", "ADC", "D_star"), strict=True):
        if name not in model.names:
            continue
        lower, upper = np.full(n, model[name].lower), model[name].upper
        if name == "S0":
            lower, upper = np.full(n, 10.0), 2000.0
        elif name == "f":
            lower = np.maximum(lower, _LEAST_F)
        elif name == "D_star":
            lower = np.maximum(lower, _LEAST_RATIO * truth["D"])
        truth[name] = lower + (upper - lower) * row
    return truth


FIGURE = Figure(
    order=6,
    name="exact",
    title="Noise-free data: is the truth given back?",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
