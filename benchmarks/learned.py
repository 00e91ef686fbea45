"""Learned: a prior learned from the scan, compared with knowing the true distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import ORGANS, PROTOCOLS, SNRS, DataSet, organ_mixture, simulated
from benchmarks.error import ESTIMATED, UNITS, rmse
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.limit import under_mixture, under_truth

_VOXELS = 20_000
_UNIFORM_GOAL, _MIXED_GOAL = 1.10, 1.15

_CONTENDERS = {
    "bayes, learned": ik.methods.get("bayes", prior="learned"),
    "varpro": ik.methods.get("varpro"),
    "bayes, flat, default bounds": ik.methods.get("bayes", prior="flat"),
    "bayes, shrinkage": ik.methods.get("bayes", prior="shrinkage"),
}
_LEARNED = next(iter(_CONTENDERS))


@dataclass(frozen=True)
class _Outcome:
    """Errors of D, f and D* of one set, by method, in the unit of tables."""

    data: DataSet
    mixed: bool
    limit: NDArray[np.float64]
    errors: dict[str, NDArray[np.float64]]

    @property
    def worst(self) -> float:
        return float((self.errors[_LEARNED] / self.limit).max())

    def table(self) -> Table:
        prior = "the true mixture" if self.mixed else "the true prior"
        best = f"limit: {prior} and sigma known"
        rows: list[list[Cell]] = [self._row(best, self.limit)]
        rows += [self._row(label, errors) for label, errors in self.errors.items()]
        spread = [float(np.std(self.data.truth[name])) / UNITS[name] for name in ESTIMATED]
        rows.append(self._row("always the mean", np.array(spread)))
        return Table(
            self.data.name,
            [
                Column("method"),
                Column("RMSE D, 10⁻³ mm²/s", "{:.4f}"),
                Column("RMSE f", "{:.4f}"),
                Column("RMSE D*, 10⁻³ mm²/s", "{:.2f}"),
                Column("D / limit", "{:.3f}"),
                Column("f", "{:.3f}"),
                Column("D*", "{:.3f}"),
            ],
            rows,
        )

    def _row(self, label: str, errors: NDArray[np.float64]) -> list[Cell]:
        return [label, *map(float, errors), *map(float, errors / self.limit)]


def measure(settings: Settings) -> Findings:
    """Fit twelve sets, six of them a mixture of organs."""
    n = settings.size(_VOXELS)
    outcomes = []
    for mixed in (False, True):
        for protocol in PROTOCOLS:
            for snr in SNRS:
                data = organ_mixture(protocol, snr, n) if mixed else simulated(protocol, snr, n)
                print(f"learned: {data.name} ...", flush=True)
                outcomes.append(_outcome(data, snr, mixed))
    uniform = [outcome for outcome in outcomes if not outcome.mixed]
    organs = [outcome for outcome in outcomes if outcome.mixed]
    return Findings(
        conditions={
            "data": f"{n} voxels of each set, all of them included; organs: liver, kidney, "
            "pancreas and muscle in equal shares, with (f, D*, D in 10⁻³ mm²/s) = "
            + ", ".join(f"({f:g}, {1e3 * s:g}, {1e3 * d:g})" for f, s, d in ORGANS)
            + " and log-normal spreads of 0.25, 0.35 and 0.12",
            "bounds": "defaults, except for the limit",
            "told": "only signals and b-values; the limit is given prior and sigma",
        },
        checked="at most 0.1 % of the voxels without a fit; the limit beats always guessing the "
        "mean, in every parameter.",
        tables=[outcome.table() for outcome in outcomes],
        targets=[
            _target("Uniform truth: learned", uniform, _UNIFORM_GOAL),
            _target("Mixture of four organs: learned", organs, _MIXED_GOAL),
        ]
        if n >= _VOXELS
        else (),
        notes=[
            "The limit is the posterior mean under the distribution that the truth was "
            "drawn from (`posterior` checks it): with Gaussian noise nothing has a smaller RMSE. "
            "It treats the noise as Gaussian, and at SNR 20 Rician noise leaves it a little to "
            "gain.",
            *([] if n >= _VOXELS else [f"Goals are evaluated from {_VOXELS} voxels on."]),
        ],
    )


def _outcome(data: DataSet, snr: float, mixed: bool) -> _Outcome:
    best = under_mixture(data, snr) if mixed else under_truth(data, snr)
    limit = _errors(best, data)
    spread = [float(np.std(data.truth[name])) / UNITS[name] for name in ESTIMATED]
    if not (limit < spread).all():
        raise AssertionError(f"{data.name}: the limit is worse than always guessing the mean")
    errors = {}
    for label, method in _CONTENDERS.items():
        errors[label] = _errors(ik.fit(data.signal, data.bvals, method=method), data)
    return _Outcome(data, mixed, limit, errors)


def _errors(result: ik.FitResult, data: DataSet) -> NDArray[np.float64]:
    result.raise_for_status(max_failed=0.001)
    return np.array([rmse(result.maps, data.truth, name) for name in ESTIMATED])


def _target(text: str, outcomes: list[_Outcome], goal: float) -> Target:
    worst = max(outcomes, key=lambda outcome: outcome.worst)
    return Target(
        f"{text} ≤ {goal:.2f} × the RMSE of the limit, for D, f and D* of every set",
        f"worst {worst.worst:.3f} ({worst.data.name})",
        worst.worst <= goal,
    )


FIGURE = Figure(
    order=11,
    name="learned",
    title="The learned prior: how near to the best possible?",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
