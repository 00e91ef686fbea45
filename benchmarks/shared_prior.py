"""Shared prior: one prior for a cohort, compared with one that each scan learns for itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.error import ESTIMATED, UNITS
from benchmarks.figure import Column, Figure, Findings, Settings, Table, Target
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.prior_table import PriorTable
from ivimkit.fitting.pooled_prior import MAX_SIGNALS, pooled_prior, scan_sample
from ivimkit.fitting.settings import FitSettings

_SHAPES = ((48, 32, 2), (24, 16, 2))
_SNR = 20.0
_LEARN, _FULL_LEARN = 12, 40
_TEST, _FULL_TEST = 3, 6
_FIRST_TEST_SEED = 1000
_OWN, _OWN_ALIKE = "own scan (auto: local)", "own scan (learned)"
_COHORT, _COHORT_ALIKE = "cohort (shared)", "cohort, without neighbours"
_MAX_ERROR_RATIO, _MIN_GAIN, _MIN_COVERAGE = 1.05, 5.0, 93.0


@dataclass(frozen=True)
class _Outcome:
    """Errors and coverage of D, f and D*, and CPU seconds of a scan."""

    errors: NDArray[np.float64]
    coverage: NDArray[np.float64] | None
    seconds: float


@dataclass(frozen=True)
class _Cohort:
    """What was measured with scans of one size."""

    title: str
    outcomes: Mapping[str, _Outcome]
    once: float
    sample_ms: float
    sample_kb: float

    def table(self) -> Table:
        """Return all outcomes."""
        errors = [
            Column(f"RMSE {name}", form)
            for name, form in zip(
                ("D, 10⁻³ mm²/s", "f", "D*, 10⁻³ mm²/s"),
                ("{:.3f}", "{:.3f}", "{:.1f}"),
                strict=True,
            )
        ]
        coverage = [Column(f"coverage {name}, %", "{:.1f}") for name in ("D", "f", "D*")]
        head = [Column("prior"), *errors, *coverage, Column("CPU per scan, s", "{:.2f}")]
        rows = [
            [
                name,
                *map(float, one.errors),
                *([None] * 3 if one.coverage is None else map(float, one.coverage)),
                one.seconds,
            ]
            for name, one in self.outcomes.items()
        ]
        return Table(self.title, head, rows)


def measure(settings: Settings) -> Findings:
    """Learn priors from cohorts of phantoms, and fit other phantoms with them."""
    n_learn = _FULL_LEARN if settings.full else _LEARN
    n_test = _FULL_TEST if settings.full else _TEST
    cohorts = [_measured(shape, n_learn, n_test) for shape in _SHAPES]
    once = Table(
        "What it costs once",
        [
            Column("scans"),
            Column("sample of a scan, CPU ms", "{:.0f}"),
            Column("sample of a scan, kB", "{:.0f}"),
            Column("learning, CPU s", "{:.1f}"),
        ],
        [[one.title, one.sample_ms, one.sample_kb, one.once] for one in cohorts],
    )
    return Findings(
        conditions={
            "data": f"priors from {n_learn} abdomen phantoms, of which each gives {MAX_SIGNALS} "
            f"signals; errors in the organs and vessels of {n_test} others, SNR {_SNR:g}, "
            "13 b-values; phantoms share their tissues, as subjects do only in part",
            "coverage": "share of the voxels whose 95 % interval contains the truth",
            "time": "CPU time, one thread, compiled",
        },
        checked="every voxel of the masks has a fit by bayes.",
        tables=[*(one.table() for one in cohorts), once],
        targets=[target for one in cohorts for target in _targets(one)] if settings.full else [],
        notes=[] if settings.full else ["Goals are evaluated with --full."],
    )


def _measured(shape: tuple[int, int, int], n_learn: int, n_test: int) -> _Cohort:
    asked = FitSettings.of(method="bayes")
    scans = [_phantom(k, shape) for k in range(n_learn)]
    tests = [_phantom(_FIRST_TEST_SEED + k, shape) for k in range(n_test)]
    title = f"scans of {tests[0].dwi.n_voxels} voxels"
    print(f"shared prior: {title} ...", flush=True)
    # The first calls compile.
    pooled_prior([scan_sample(one.dwi, asked, threads=1) for one in scans[:2]], "all", asked)
    start = time.process_time()
    samples = [scan_sample(one.dwi, asked, threads=1) for one in scans]
    sampled = time.process_time()
    prior = pooled_prior(samples, "all", asked, threads=1)
    once = time.process_time() - sampled
    assert isinstance(prior, PriorTable)
    bayes = ik.methods.Bayes()
    contenders: dict[str, FitMethod] = {
        _OWN: bayes,
        _OWN_ALIKE: replace(bayes, prior="learned"),
        _COHORT: replace(bayes, prior=prior),
        _COHORT_ALIKE: replace(bayes, prior=prior.alone()),
        "flat": replace(bayes, prior="flat"),
        "none (varpro)": ik.methods.get("varpro"),
    }
    outcomes = {name: _outcome(method, tests) for name, method in contenders.items()}
    return _Cohort(
        title,
        outcomes,
        once,
        1e3 * (sampled - start) / n_learn,
        1e-3 * sum(one.nbytes for one in samples[0].signals.values()),
    )


def _phantom(seed: int, shape: tuple[int, int, int]) -> ik.simulate.Phantom:
    return ik.simulate.phantom("abdomen", shape=shape, snr=_SNR, seed=seed)


def _outcome(method: FitMethod, tests: list[ik.simulate.Phantom]) -> _Outcome:
    ik.fit(tests[0].dwi, method=method, threads=1)
    seconds, squares, inside = 0.0, [], []
    for made in tests:
        start = time.process_time()
        result = ik.fit(made.dwi, method=method, threads=1)
        seconds += time.process_time() - start
        maps, truth = result.maps, made.truth
        known = made.dwi.mask & np.isfinite(truth["D_star"]) & (truth["f"] > 0.0)
        if "D_lo" in maps and not np.isfinite(maps["D"][made.dwi.mask]).all():
            raise AssertionError("a voxel of the mask has no fit")
        squares.append([np.nanmean((maps[k] - truth[k])[known] ** 2) for k in ESTIMATED])
        if "D_lo" in maps:
            inside.append(
                [
                    ((maps[f"{k}_lo"] <= truth[k]) & (truth[k] <= maps[f"{k}_hi"]))[known].mean()
                    for k in ESTIMATED
                ]
            )
    units = np.array([UNITS[name] for name in ESTIMATED])
    return _Outcome(
        np.sqrt(np.mean(squares, axis=0)) / units,
        100.0 * np.mean(inside, axis=0) if inside else None,
        seconds / len(tests),
    )


def _targets(cohort: _Cohort) -> list[Target]:
    own, shared = cohort.outcomes[_OWN], cohort.outcomes[_COHORT]
    worst = float((shared.errors / own.errors).max())
    gain = cohort.outcomes[_OWN_ALIKE].seconds / cohort.outcomes[_COHORT_ALIKE].seconds
    assert shared.coverage is not None
    lowest = float(shared.coverage.min())
    return [
        Target(
            f"{cohort.title}: RMSE of D, f and D* at most {_MAX_ERROR_RATIO:g} times that of a "
            "prior of its own",
            f"{worst:.2f} times",
            worst <= _MAX_ERROR_RATIO,
        ),
        Target(
            f"{cohort.title}: without neighbours, {_MIN_GAIN:g} times faster than learning from "
            "each scan",
            f"{gain:.1f} times",
            gain >= _MIN_GAIN,
        ),
        Target(
            f"{cohort.title}: 95 % intervals contain the truth in {_MIN_COVERAGE:g} % or more",
            f"{lowest:.1f} %",
            lowest >= _MIN_COVERAGE,
        ),
    ]


FIGURE = Figure(
    order=30,
    name="shared_prior",
    title="A prior for a cohort, or one for each scan?",
    measure=measure,
    full_takes="5 minutes",
)

if __name__ == "__main__":
    run_alone(FIGURE)
