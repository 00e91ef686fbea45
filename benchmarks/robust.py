"""Robust: fits of scans with volumes and values that do not belong, and their screen."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.clock import on_cores
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from ivimkit.extend.fit_method import FitMethod
from ivimkit.fitting.screen import screened
from ivimkit.fitting.screening import Screening

_VOXELS = 3000
_SEEDS = 3
_CLEAN_SEEDS = 12
_REPEATS = 3
_S0, _SIGMA = 1000.0, 50.0
_B13 = np.array([0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800.0])
_B = np.repeat(_B13, 3)
_BIEXP = ik.models.get("biexp")
_UNKNOWN = np.full(1, np.nan)

_MAX_COST = 1.05
_MIN_COVERAGE = 0.90
_MIN_SPEED = 40_000
_MAX_VALUES = 0.001

_PROTOCOLS = {
    "b21": np.array([*range(0, 101, 10), 120, 150, 200, 250, 300, *range(400, 801, 100)], float),
    "b13": _B13,
    "8 b-values": np.array([0, 20, 50, 100, 200, 400, 600, 800.0]),
    "b13, 3 times": _B,
    "6 b-values, 4 times": np.repeat([0, 30, 70, 150, 400, 800.0], 4),
    "b up to 2000": np.array([0, 10, 30, 60, 100, 200, 400, 700, 1000, 1500, 2000.0]),
}


@dataclass(frozen=True)
class _Scenario:
    """What is wrong with a scan.

    Parameters
    ----------
    name : str
        In tables.
    volumes : int
        Number of volumes that drop: they lose 20 to 90 %, with a spread of 30 % over the voxels.
    values : float
        Share of the values that are multiplied by the exponential of a normal number of sd 0.35.
    """

    name: str
    volumes: int = 0
    values: float = 0.0


_SCENARIOS = (
    _Scenario("clean"),
    _Scenario("7 of 39 volumes", 7),
    _Scenario("11 of 39 volumes", 11),
    _Scenario("10 % of the values", 0, 0.1),
    _Scenario("2 volumes, 5 % of the values", 2, 0.05),
)
_WAYS: tuple[tuple[str, FitMethod, float | None], ...] = (
    ("varpro", ik.methods.get("varpro"), None),
    ("bayes, sigma known", ik.methods.get("bayes"), _SIGMA),
    ("bayes, sigma learned", ik.methods.get("bayes"), None),
)


@dataclass(frozen=True, eq=False)
class _Scan:
    """Signals, the volumes that dropped, and the true values."""

    signal: NDArray[np.float64]
    dropped: NDArray[np.bool_]
    truth: dict[str, NDArray[np.float64]]

    @property
    def dwi(self) -> ik.DWI:
        return ik.DWI(self.signal, _B)


@dataclass
class _Sums:
    """Errors of a fit over all seeds, and what the screen found."""

    errors: dict[str, list[NDArray[np.float64]]]
    covered: dict[str, list[NDArray[np.bool_]]]
    found: int = 0
    wrong: int = 0
    dropped: int = 0
    left_out: float = 0.0

    def rmse(self, name: str) -> float:
        return float(np.sqrt(np.nanmean(np.concatenate(self.errors[name]) ** 2)))

    def median(self, name: str) -> float:
        return float(np.nanmedian(np.concatenate(self.errors[name])))

    def coverage(self, name: str) -> float | None:
        return float(np.mean(np.concatenate(self.covered[name]))) if self.covered[name] else None


def measure(settings: Settings) -> Findings:
    """Fit scans of every scenario, and screen clean scans of other protocols."""
    n = settings.size(_VOXELS)
    rows: list[list[Cell]] = []
    sums: dict[tuple[str, str, bool], _Sums] = {}
    with on_cores(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for scenario in _SCENARIOS:
            scans = [_scan(scenario, n, seed) for seed in range(_SEEDS)]
            for way, method, sigma in _WAYS:
                for robust in (False, True):
                    change = {"robust": robust}
                    own = _fitted(scans, replace(method, **change), sigma)
                    sums[scenario.name, way, robust] = own
                    rows.append(_row(scenario.name, way, own, robust))
        speeds = {one.name: _speed(_scan(one, n, 0)) for one in _SCENARIOS}
        clean = {name: _clean(b) for name, b in _PROTOCOLS.items()}
    return Findings(
        conditions={
            "data": f"{_SEEDS} scans of {n} voxels each: D 1.1 × 10⁻³ mm²/s with a log-normal "
            "spread of 12 %, D* 60 and 30 %, f 0.25 with 0.25 in its logit; 13 b-values, three "
            "times each, Rician noise, SNR 20 per volume",
            "dropped volumes": "lose 20 to 90 % of their signal, with a spread of 30 % over the "
            "voxels; values: multiplied by exp(N(0, 0.35))",
            "threads": "one, pinned to one core",
        },
        checked="Every estimate against the true value of its voxel, every volume against the "
        "list of those that dropped.",
        tables=[
            Table("Fits without and with robust=True", _COLUMNS, rows),
            Table(
                "The screen alone, sigma unknown",
                [Column("scenario"), Column("voxels/s", "{:,.0f}")],
                [[name, speed] for name, speed in speeds.items()],
            ),
            Table(
                f"Clean scans: abdomen and brain, SNR 12 and 40, {_CLEAN_SEEDS} seeds each",
                [
                    Column("protocol"),
                    Column("slices × volumes judged", "{:,d}"),
                    Column("left out", "{:,d}"),
                    Column("single values left out", "{:.3%}"),
                ],
                [[name, *found] for name, found in clean.items()],
            ),
        ],
        targets=_targets(sums, speeds, clean),
        notes=[
            "A fit of the medians of the repeats, of their maxima, or with a robust loss alone "
            "leaves a third to all of the bias of dropped volumes: whole volumes have to be found "
            "from all voxels together.",
            "With 10 % odd values, those within four standard deviations of the noise stay in.",
        ],
    )


_COLUMNS = [
    Column("scenario"),
    Column("fit"),
    Column("robust"),
    Column("D: median error, %", "{:+.1f}"),
    Column("RMSE, %", "{:.1f}"),
    Column("f: median error", "{:+.3f}"),
    Column("RMSE", "{:.3f}"),
    Column("95 % interval of D covers", "{:.3f}"),
    Column("of f", "{:.3f}"),
    Column("volumes found"),
    Column("wrongly", "{:d}"),
    Column("values left out", "{:.2%}"),
]


def _row(scenario: str, way: str, own: _Sums, robust: bool) -> list[Cell]:
    return [
        scenario,
        way,
        "yes" if robust else "no",
        100 * own.median("D"),
        100 * own.rmse("D"),
        own.median("f"),
        own.rmse("f"),
        own.coverage("D"),
        own.coverage("f"),
        f"{own.found} of {own.dropped}" if robust else None,
        own.wrong if robust else None,
        own.left_out / _SEEDS if robust else None,
    ]


def _scan(scenario: _Scenario, n: int, seed: int) -> _Scan:
    random = np.random.default_rng([seed, scenario.volumes, round(100 * scenario.values)])
    logit = np.log(0.25 / 0.75) + 0.25 * random.standard_normal(n)
    truth = {
        "f": 1.0 / (1.0 + np.exp(-logit)),
        "D_star": 0.06 * np.exp(0.3 * random.standard_normal(n)),
        "D": 1.1e-3 * np.exp(0.12 * random.standard_normal(n)),
    }
    params = np.stack([np.full(n, _S0), *truth.values()], axis=1)
    signal = ik.simulate.signals("biexp", params, _B)
    dropped = np.zeros(_B.size, dtype=bool)
    dropped[random.choice(np.flatnonzero(_B > 0), scenario.volumes, replace=False)] = True
    for k in np.flatnonzero(dropped):
        loss = random.uniform(0.2, 0.9) * random.normal(1.0, 0.3, n)
        signal[:, k] *= 1.0 - np.clip(loss, 0.0, 1.0)
    odd = random.random(signal.shape) < scenario.values
    signal = np.where(odd, signal * np.exp(random.normal(0.0, 0.35, signal.shape)), signal)
    noise = _SIGMA * random.standard_normal((2, *signal.shape))
    return _Scan(np.hypot(signal + noise[0], noise[1]), dropped, truth)


def _fitted(scans: list[_Scan], method: FitMethod, sigma: float | None) -> _Sums:
    names = ("D", "f")
    found = _Sums({name: [] for name in names}, {name: [] for name in names})
    for scan in scans:
        result = ik.fit(scan.dwi, method=method, sigma=sigma, threads=1)
        for name in names:
            true = scan.truth[name]
            error = result.maps[name] - true
            # Where f is not 0, an error of D of more than twice itself is one of f.
            found.errors[name].append(np.clip(error / true, -2, 2) if name == "D" else error)
            if name in result.interval:
                low, high = result.interval[name]
                found.covered[name].append((low <= true) & (true <= high))
        if result.screening is not None:
            _count(found, result.screening, scan)
    return found


def _count(found: _Sums, screening: Screening, scan: _Scan) -> None:
    out = np.isin(screening.volumes, screening.volumes_out)
    found.found += int((out & scan.dropped).sum())
    found.wrong += int((out & ~scan.dropped).sum())
    found.dropped += int(scan.dropped.sum())
    found.left_out += screening.share_left_out


def _speed(scan: _Scan) -> float:
    """Return voxels per CPU second of the screen, the best of a few."""
    seconds = []
    for _ in range(_REPEATS):
        start = time.process_time()
        screened(scan.dwi, _BIEXP, _UNKNOWN, threads=1)
        seconds.append(time.process_time() - start)
    return len(scan.signal) / min(seconds)


def _clean(bvals: NDArray[np.float64]) -> tuple[int, int, float]:
    """Return cells judged, cells left out, and share of single values left out."""
    cells = wrong = 0
    shares = []
    for organ in ("abdomen", "brain"):
        for seed in range(_CLEAN_SEEDS):
            for snr in (12, 40):
                made = ik.simulate.phantom(
                    organ, shape=(40, 36, 2), bvals=bvals, snr=snr, seed=seed
                )
                _, screening = screened(made.dwi, _BIEXP, _UNKNOWN, threads=1)
                cells += screening.left_out.size
                wrong += int(screening.left_out.sum())
                shares.append(screening.share_left_out)
    return cells, wrong, float(np.mean(shares))


def _targets(
    sums: dict[tuple[str, str, bool], _Sums],
    speeds: dict[str, float],
    clean: dict[str, tuple[int, int, float]],
) -> list[Target]:
    robust = [own for (_, _, is_robust), own in sums.items() if is_robust]
    found, dropped = sum(own.found for own in robust), sum(own.dropped for own in robust)
    wrong = sum(own.wrong for own in robust) + sum(count for _, count, _ in clean.values())
    costs = [
        sums["clean", way, True].rmse(name) / sums["clean", way, False].rmse(name)
        for way, _, _ in _WAYS
        for name in ("D", "f")
    ]
    coverage = [
        own.coverage(name) or 0.0 for own in robust for name in ("D", "f") if own.covered[name]
    ]
    values = max(share for _, _, share in clean.values())
    return [
        Target("Every dropped volume is found", f"{found} of {dropped}", found == dropped),
        Target("No volume is left out wrongly, of clean scans either", f"{wrong}", wrong == 0),
        Target(
            f"Single values of clean scans left out: < {_MAX_VALUES:.1%}",
            f"at most {values:.3%}",
            values < _MAX_VALUES,
        ),
        Target(
            f"RMSE of clean scans: < {_MAX_COST:g} × that without the screen",
            f"at most {max(costs):.3f}",
            max(costs) < _MAX_COST,
        ),
        Target(
            f"95 % intervals of the robust fit cover ≥ {_MIN_COVERAGE:.0%} in every scenario",
            f"at least {min(coverage):.3f}",
            min(coverage) >= _MIN_COVERAGE,
        ),
        Target(
            f"The screen takes ≥ {_MIN_SPEED:,} voxels/s",
            f"{min(speeds.values()):,.0f} to {max(speeds.values()):,.0f}",
            min(speeds.values()) >= _MIN_SPEED,
        ),
    ]


FIGURE = Figure(
    name="robust",
    title="Volumes and values that do not belong",
    order=13,
    measure=measure,
)


if __name__ == "__main__":
    run_alone(FIGURE)
