"""Curvature: whether its standard deviations match the scatter, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.clock import on_cores, side_by_side
from benchmarks.command import run_alone
from benchmarks.data import PROTOCOLS, S0, DataSet, simulated, two_pool_signal
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target

_DRAWS = 4000
_SNR = 100.0
_SEED = 5
_VOXELS, _REPEATS = 20_000, 15
_SAME, _COST = 0.05, 0.20
_NAMES = ("S0", "D", "f", "D_star")
# f, D* and D (mm^2/s), all determined well enough that no draw comes near a bound.
_TRUTHS = (
    (0.20, 30e-3, 1.0e-3),
    (0.30, 50e-3, 1.2e-3),
    (0.30, 25e-3, 0.8e-3),
    (0.40, 40e-3, 1.6e-3),
)


@dataclass(frozen=True)
class _Outcome:
    """Root mean square of the reported standard deviations over the scatter, of S0, D, f and
    D*."""

    label: str
    known: NDArray[np.float64]
    estimated: NDArray[np.float64]
    relative: float
    at_bound: float

    @property
    def away(self) -> float:
        return float(np.abs(np.stack([self.known, self.estimated]) - 1.0).max())

    def row(self) -> list[Cell]:
        return [
            self.label,
            *map(float, self.known),
            *map(float, self.estimated),
            100.0 * self.relative,
            100.0 * self.at_bound,
        ]


def measure(settings: Settings) -> Findings:
    """Fit many noise realisations of a few voxels, then time the fit with and without."""
    draws = settings.size(_DRAWS)
    outcomes = [
        _outcome(protocol, truth, kind, draws)
        for protocol in PROTOCOLS
        for kind in ("Gaussian", "Rician")
        for truth in _TRUTHS
    ]
    data = simulated("b21", 50, settings.size(_VOXELS))
    with on_cores(1):
        with_it, without, ratio = side_by_side(
            lambda: _fit(data, uncertainty="curvature"), lambda: _fit(data), repeats=_REPEATS
        )
    n = data.signal.shape[0]
    worst = max(outcomes, key=lambda outcome: outcome.away)
    return Findings(
        conditions={
            "data": f"{draws} draws of the noise of each voxel, SNR {_SNR:g}; time: {data.name}, "
            f"{n} voxels",
            "bounds": "defaults",
            "threads": f"one, pinned to one core; fits with and without in turn, {_REPEATS} pairs",
        },
        checked="the parameters with curvature are bit-identical to those without.",
        tables=[
            Table(
                "Standard deviation told (root mean square) / scatter of the estimates",
                [
                    Column("f, D*, D (10⁻³ mm²/s)"),
                    *(
                        Column(f"{what}: {name}", "{:.3f}")
                        for what in ("sigma known", "estimated")
                        for name in ("S0", "D", "f", "D*")
                    ),
                    Column("scatter of D*, %", "{:.0f}"),
                    Column("draws without, %", "{:.2f}"),
                ],
                [outcome.row() for outcome in outcomes],
            ),
            Table(
                "Cost, varpro",
                [Column("`ik.fit`"), Column("voxels/s", "{:,.0f}")],
                [["without", n / without], ["with curvature", n / with_it]],
            ),
        ],
        targets=_targets(worst, ratio) if n >= _VOXELS and draws >= _DRAWS else (),
        notes=[
            f"With {_DRAWS} draws the scatter is measured to ± 1.1 %. Draws without: those whose "
            "D* has no standard deviation, because it is at a bound or f is indistinguishable "
            "from 0; they are excluded from both.",
            *([] if n >= _VOXELS else ["Goals are evaluated only without --voxels."]),
        ],
    )


def _fit(data: DataSet, **options: object) -> ik.FitResult:
    return ik.fit(data.signal, data.bvals, threads=1, **options)  # type: ignore[arg-type]


def _outcome(protocol: str, truth: tuple[float, float, float], kind: str, draws: int) -> _Outcome:
    bvals = PROTOCOLS[protocol]
    sigma = S0 / _SNR
    f, d_star, d = (np.full(1, value) for value in truth)
    clean = two_pool_signal(bvals, np.full(1, S0), f, d_star, d)
    random = np.random.default_rng([_SEED, bvals.size, kind == "Rician", _TRUTHS.index(truth)])
    noise = random.standard_normal((2, draws, bvals.size)) * sigma
    signal = np.hypot(clean + noise[0], noise[1]) if kind == "Rician" else clean + noise[0]
    data = DataSet(protocol, bvals, signal)
    plain = _fit(data)
    plain.raise_for_status(max_failed=0.001)
    ratios = []
    for given in (sigma, None):
        result = _fit(data, sigma=given, uncertainty="curvature")
        if not np.array_equal(result.params, plain.params, equal_nan=True):
            raise AssertionError(f"{protocol}: curvature changes the parameters of the fit")
        there = np.isfinite(result.sd["D_star"])
        scatter = np.array([result.maps[name][there].std() for name in _NAMES])
        told = np.array([np.sqrt(np.mean(result.sd[name][there] ** 2)) for name in _NAMES])
        ratios.append(told / scatter)
    label = f"{protocol}, {kind}: {truth[0]:g}, {1e3 * truth[1]:g}, {1e3 * truth[2]:g}"
    spread = float(plain.maps["D_star"][there].std() / truth[1])
    return _Outcome(label, ratios[0], ratios[1], spread, float(np.mean(~there)))


def _targets(worst: _Outcome, ratio: float) -> list[Target]:
    return [
        Target(
            f"Standard deviations of all parameters within {_SAME:.0%} of the scatter at SNR "
            f"{_SNR:g}",
            f"worst {worst.away:.1%} ({worst.label})",
            worst.away <= _SAME,
        ),
        Target(
            f"Curvature costs ≤ {_COST:.0%} of the fit",
            f"{ratio - 1.0:.1%}",
            ratio - 1.0 <= _COST,
        ),
    ]


FIGURE = Figure(
    order=13,
    name="curvature",
    title="Curvature: standard deviations, and what they cost",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
