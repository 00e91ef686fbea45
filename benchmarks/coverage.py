"""Coverage: how often nominal 95 % intervals contain the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import PROTOCOLS, SNRS, DataSet, simulated
from benchmarks.error import ESTIMATED
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.limit import sigma_of, true_model, under_truth

_VOXELS = 10_000
# Hundreds of fits per voxel.
_SLOW_VOXELS, _SLOW_FULL = 2000, 10_000
_RIGHT, _LEARNED, _PROFILE = (94.0, 96.0), (93.0, 97.0), (92.0, 97.0)
_PROFILE_SNR = 50


@dataclass(frozen=True)
class _Shares:
    """Percentages of D, f and D*: truth inside, and voxels that have an interval at all."""

    inside: NDArray[np.float64]
    inner: NDArray[np.float64] | None
    given: NDArray[np.float64]

    def row(self, label: str) -> list[Cell]:
        inner: list[Cell] = [None] * 3 if self.inner is None else list(map(float, self.inner))
        return [label, *map(float, self.inside), *inner, float(self.given.min())]


@dataclass(frozen=True)
class _Outcome:
    """All intervals of one set."""

    name: str
    snr: float
    shares: dict[str, _Shares]

    def table(self) -> Table:
        return Table(
            self.name,
            [
                Column("method"),
                *(Column(f"95 %: {name}", "{:.1f}") for name in ("D", "f", "D*")),
                *(Column(f"50 %: {name}", "{:.1f}") for name in ("D", "f", "D*")),
                Column("voxels with intervals, %", "{:.1f}"),
            ],
            [shares.row(label) for label, shares in self.shares.items()],
        )


_TRUE = "bayes, true prior, sigma known"
_TOLD_NOTHING = "bayes, learned"
_KNOWN = "profile, sigma known"
_ESTIMATED = "profile, sigma estimated"


def measure(settings: Settings) -> Findings:
    """Count for every set and method."""
    n = settings.size(_VOXELS)
    slow = min(n, settings.size(_SLOW_VOXELS, _SLOW_FULL))
    outcomes = []
    for protocol in PROTOCOLS:
        for snr in SNRS:
            data = simulated(protocol, snr).first(n)
            print(f"coverage: {data.name} ...", flush=True)
            outcomes.append(_outcome(data, snr, slow))
    middle = [outcome for outcome in outcomes if outcome.snr == _PROFILE_SNR]
    return Findings(
        conditions={
            "data": f"{n} voxels of each set, profile and bootstrap the first {slow}",
            "bounds": "defaults, except the true values for the true prior",
        },
        checked="lower limits are below upper ones, and 50 % intervals within those of 95 %; at "
        "most 0.1 % of the voxels without a fit.",
        tables=[outcome.table() for outcome in outcomes],
        targets=[
            _target("Bayes with the true prior", outcomes, (_TRUE,), _RIGHT),
            _target(
                f"Bayes, learned prior, SNR {_PROFILE_SNR}", middle, (_TOLD_NOTHING,), _LEARNED
            ),
            _target("Bayes, learned prior, every SNR", outcomes, (_TOLD_NOTHING,), _LEARNED),
            _target(
                f"Profile at SNR {_PROFILE_SNR}, sigma known or estimated",
                middle,
                (_KNOWN, _ESTIMATED),
                _PROFILE,
            ),
        ]
        if n >= _VOXELS
        else (),
        notes=[
            "Truth inside the interval, % of the voxels that have one: curvature has none for a "
            "parameter at a bound, or for D* where f is not distinguishable from 0. With 10 000 "
            "voxels a true 95 % is measured to ± 0.4, with 2 000 to ± 1.",
            "Bayes covers 95 % on average over its prior; profile, curvature and bootstrap aim "
            "at 95 % for each true value.",
            *([] if n >= _VOXELS else [f"Goals are evaluated from {_VOXELS} voxels on."]),
        ],
    )


def _outcome(data: DataSet, snr: float, slow: int) -> _Outcome:
    sigma = sigma_of(snr)
    few = data.first(slow)
    flat = ik.methods.get("bayes", prior="flat")

    def fit(part: DataSet, known: bool, uncertainty: str) -> _Shares:
        given = sigma if known else None
        result = ik.fit(part.signal, part.bvals, sigma=given, uncertainty=uncertainty)
        return _shares(result, part)

    learned = ik.fit(data.signal, data.bvals, method=ik.methods.Bayes(prior="learned"))
    default = ik.fit(data.signal, data.bvals, method=flat)
    shares = {
        _TRUE: _shares(under_truth(data, snr, noise="rician"), data),
        "the same, noise taken for Gaussian": _shares(under_truth(data, snr), data),
        "the same, sigma not known": _shares(
            ik.fit(data.signal, data.bvals, model=true_model(), method=flat), data
        ),
        _TOLD_NOTHING: _shares(learned, data),
        "bayes, flat, default bounds": _shares(default, data),
        _KNOWN: fit(few, True, "profile"),
        _ESTIMATED: fit(few, False, "profile"),
        "curvature, sigma known": fit(data, True, "curvature"),
        "curvature, sigma estimated": fit(data, False, "curvature"),
        "bootstrap": fit(few, False, "bootstrap"),
    }
    return _Outcome(data.name, snr, shares)


def _shares(result: ik.FitResult, data: DataSet) -> _Shares:
    result.raise_for_status(max_failed=0.001)
    inside, given, inner = [], [], []
    for name in ESTIMATED:
        truth = data.truth[name]
        low, high = result.interval[name]
        there = np.isfinite(low) & np.isfinite(high)
        if (low > high).any():
            raise AssertionError(f"{data.name}: a lower limit of {name} is above the upper one")
        inside.append(_percent((low <= truth) & (truth <= high), there))
        given.append(100.0 * float(there.mean()))
        if f"{name}_lo50" in result.maps:
            near, far = result.maps[f"{name}_lo50"], result.maps[f"{name}_hi50"]
            if (near < low).any() or (far > high).any():
                raise AssertionError(f"{data.name}: the 50 % interval of {name} is the wider one")
            inner.append(_percent((near <= truth) & (truth <= far), there))
    return _Shares(np.array(inside), np.array(inner) if inner else None, np.array(given))


def _percent(yes: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return 100.0 * float(yes[among].mean())


def _target(
    text: str, outcomes: list[_Outcome], labels: tuple[str, ...], limits: tuple[float, float]
) -> Target:
    found = np.concatenate([o.shares[label].inside for o in outcomes for label in labels])
    low, high = limits
    return Target(
        f"{text}: 95 % intervals of D, f and D* hold the truth in {low:g} to {high:g} %",
        f"{found.min():.1f} to {found.max():.1f} %",
        bool(found.min() >= low and found.max() <= high),
    )


FIGURE = Figure(
    order=12,
    name="coverage",
    title="Coverage: does 95 % mean 95 %?",
    measure=measure,
    full_takes="a quarter of an hour (profile and bootstrap of 10 000 voxels per set)",
)

if __name__ == "__main__":
    run_alone(FIGURE)
