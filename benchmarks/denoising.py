"""Denoising: what each way does to errors, small lesions and intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.error import ESTIMATED, UNITS
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from ivimkit.extend.fit_method import FitMethod
from ivimkit.scan.history import NO_HISTORY
from ivimkit.simulate.digital_phantom import Phantom

_SHAPE = (80, 60, 8)
# One voxel, five voxels, 21 voxels in one slice.
_RADII = (2.0, 4.3, 9.6)
_LESIONS = (*[_RADII[0]] * 12, *[_RADII[1]] * 8, *[_RADII[2]] * 4)
_SNR = 25.0
_QUICK, _FULL = 2, 6
_TEXTURE = ik.simulate.Texture()
_LIMITS = (93.0, 97.0)
_GAUSS = 0.6
_FRACTION = 0.02

_FLAT = ik.methods.Bayes(prior="flat")
_LEARNED = ik.methods.Bayes(prior="learned")
_LOCAL = ik.methods.Bayes(prior="local")
_VARPRO = ik.methods.get("varpro")


@dataclass(frozen=True)
class _Case:
    """A phantom and its protocol."""

    kind: str
    snr: float
    repeats: int = 1

    @property
    def text(self) -> str:
        times = f" x {self.repeats}" if self.repeats > 1 else ""
        return f"{self.kind}, b13{times}, SNR {self.snr:g}"

    def make(self, seed: int, *, lesions: tuple[float, ...] = ()) -> Phantom:
        return ik.simulate.phantom(
            self.kind,
            shape=_SHAPE,
            bvals=np.tile(ik.simulate.B13, self.repeats),
            snr=self.snr,
            texture=_TEXTURE,
            seed=seed,
            lesions=lesions,
        )


_CASES = (
    _Case("abdomen", 10.0),
    _Case("abdomen", 15.0),
    _Case("abdomen", 25.0),
    _Case("abdomen", 50.0),
    _Case("abdomen", 25.0, 4),
    _Case("brain", 40.0),
    _Case("brain", 80.0, 2),
)

Change = Callable[[ik.DWI], ik.DWI]


def _as_acquired(dwi: ik.DWI) -> ik.DWI:
    return dwi


def _by(steps: str) -> Change:
    return lambda dwi: ik.preprocess(dwi, steps).dwi


def _forgotten(steps: str) -> Change:
    """Denoise, and forget that it was done: what fits without a model of the noise do."""
    return lambda dwi: ik.preprocess(dwi, steps).dwi.with_history(NO_HISTORY)


def _smoothed(dwi: ik.DWI) -> ik.DWI:
    values = gaussian_filter(np.asarray(dwi.signal, float), (_GAUSS, _GAUSS, 0, 0))
    return dwi.with_signal(values.astype(np.float32))


_WAYS: dict[str, tuple[Change, tuple[FitMethod, ...]]] = {
    "as acquired": (_as_acquired, (_VARPRO, _FLAT, _LEARNED, _LOCAL)),
    "mppca, radius 1": (_by("denoise:radius=1"), (_VARPRO, _FLAT)),
    "mppca, radius 2": (_by("denoise:radius=2"), (_VARPRO, _FLAT)),
    "mppca, radius 1, forgotten": (_forgotten("denoise:radius=1"), (_FLAT, _LEARNED)),
    "gibbs": (_by("gibbs:partial_fourier=1"), (_VARPRO, _FLAT)),
    f"Gaussian, {_GAUSS:g} voxels": (_smoothed, (_VARPRO, _FLAT)),
}


@dataclass(frozen=True)
class _Score:
    """What one way does: errors in the liver, contrasts kept, shares of intervals, CPU seconds."""

    errors: NDArray[np.float64]
    contrasts: NDArray[np.float64]
    shares: NDArray[np.float64]
    seconds: float


def measure(settings: Settings) -> Findings:
    """Apply every way to phantoms of several seeds, and one to several protocols."""
    n = _FULL if settings.full else _QUICK
    found: dict[str, list[_Score]] = {}
    for seed in range(n):
        print(f"denoising: phantom {seed + 1} of {n} ...", flush=True)
        made = _Case("abdomen", _SNR).make(seed, lesions=_LESIONS)
        for label, score in _scores(made):
            found.setdefault(label, []).append(score)
    told = [(case, *_coverage(case)) for case in _CASES]
    kept = {
        label: np.mean([s.contrasts for s in scores], axis=0) for label, scores in found.items()
    }
    return Findings(
        conditions={
            "data": f"abdomen {' x '.join(map(str, _SHAPE))} voxels, Rician noise, tissues with "
            f"the texture of ik.simulate.Texture(); first table: b13, SNR {_SNR:g}, {n} phantoms, "
            f"each with {len(_LESIONS)} discs in one slice of the liver with the S0 of the liver",
            "bounds": "defaults",
            "told": "nothing about the noise",
        },
        checked="at most 0.1 % of the voxels without a fit; lower limits are below upper ones.",
        tables=[_table(found), _coverage_table(told)],
        targets=_targets(told, kept),
        notes=[
            "Error: root mean square in the voxels of the liver. Contrast kept: difference of the "
            "mean D of lesions and liver over that of the truth. Intervals: of 95 %, of voxels "
            f"with f above {_FRACTION:g}: at f = 0 no interval of a positive number contains it. "
            "CPU: the step and the fit, compiled. Forgotten: the denoised scan fitted as if it "
            "had been acquired so.",
            "Patch2Self is refused for these scans, which have one volume per b-value.",
        ],
    )


def _scores(made: Phantom) -> Iterator[tuple[str, _Score]]:
    for way, (change, methods) in _WAYS.items():
        clock = time.process_time()
        dwi = change(made.dwi)
        before = time.process_time() - clock
        for method in methods:
            clock = time.process_time()
            result = ik.fit(dwi, method=method, threads=1)
            seconds = before + time.process_time() - clock
            result.raise_for_status(max_failed=0.001)
            name = _name(method)
            yield f"{way}: {name}", _score(made, result, seconds)


def _name(method: FitMethod) -> str:
    prior = method.options().get("prior")
    return method.name if prior is None else f"{method.name}, {prior}"


def _score(made: Phantom, result: ik.FitResult, seconds: float) -> _Score:
    liver = made.region("liver")
    errors = [
        np.sqrt(np.nanmean((result.maps[name] - made.truth[name])[liver] ** 2)) / UNITS[name]
        for name in ESTIMATED
    ]
    return _Score(
        np.array(errors), np.array(list(_contrasts(made, result))), _shares(made, result), seconds
    )


def _contrasts(made: Phantom, result: ik.FitResult) -> Iterator[float]:
    liver = made.region("liver")
    for radius in _RADII:
        lesion = made.region(f"lesion of {radius:g} mm")
        difference = [
            float(np.nanmean(values[lesion]) - np.nanmean(values[liver]))
            for values in (result.maps["D"], made.truth["D"])
        ]
        yield 100.0 * difference[0] / difference[1]


def _shares(made: Phantom, result: ik.FitResult) -> NDArray[np.float64]:
    """Return the percentage of intervals that contain the truth; NaN if there are none."""
    found = []
    for name in ESTIMATED:
        if name not in result.interval:
            found.append(np.nan)
            continue
        low, high = result.interval[name]
        truth = made.truth[name]
        there = np.isfinite(low) & np.isfinite(truth) & (made.truth["f"] > _FRACTION)
        if (low > high)[there].any():
            raise AssertionError(f"a lower limit of {name} is above the upper one")
        found.append(100.0 * float(((low <= truth) & (truth <= high))[there].mean()))
    return np.array(found)


def _coverage(case: _Case) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of intervals with what is left of the noise, and as if acquired."""
    print(f"denoising: {case.text} ...", flush=True)
    made = case.make(seed=100)
    dwi = ik.preprocess(made.dwi, "denoise").dwi
    pair = [
        _shares(made, ik.fit(scan, method=_FLAT, threads=1))
        for scan in (dwi, dwi.with_history(NO_HISTORY))
    ]
    return pair[0], pair[1]


def _table(found: dict[str, list[_Score]]) -> Table:
    rows: list[list[Cell]] = []
    for label, scores in found.items():
        parts = [
            np.mean([getattr(score, name) for score in scores], axis=0)
            for name in ("errors", "contrasts", "shares")
        ]
        numbers = [None if np.isnan(value) else float(value) for value in np.concatenate(parts)]
        rows.append([label, *numbers, float(np.mean([score.seconds for score in scores]))])
    discs = [f"lesions of {radius:g} mm" for radius in _RADII]
    return Table(
        f"Liver and small lesions, SNR {_SNR:g}",
        [
            Column("scan and method"),
            Column("error: D, 10⁻³ mm²/s", "{:.3f}"),
            Column("f", "{:.3f}"),
            Column("D*, 10⁻³ mm²/s", "{:.1f}"),
            *(Column(f"contrast kept, %: {disc}", "{:.0f}") for disc in discs),
            *(Column(f"95 %: {name}", "{:.1f}") for name in ("D", "f", "D*")),
            Column("CPU, s", "{:.1f}"),
        ],
        rows,
    )


def _coverage_table(
    told: list[tuple[_Case, NDArray[np.float64], NDArray[np.float64]]],
) -> Table:
    names = ("D", "f", "D*")
    return Table(
        "Intervals of bayes, flat, after MPPCA: with what is left of the noise; as if acquired",
        [
            Column("scan"),
            *(Column(f"95 %: {name}", "{:.1f}") for name in names),
            *(Column(f"as if acquired: {name}", "{:.1f}") for name in names),
        ],
        [[case.text, *map(float, known), *map(float, naive)] for case, known, naive in told],
    )


def _targets(
    told: list[tuple[_Case, NDArray[np.float64], NDArray[np.float64]]],
    kept: dict[str, NDArray[np.float64]],
) -> list[Target]:
    shares = np.concatenate([known for _, known, _ in told])
    low, high = _LIMITS
    mppca = kept[f"mppca, radius 1: {_VARPRO.name}"]
    return [
        Target(
            f"After MPPCA, 95 % intervals of D, f and D* contain the truth in {low:g} to {high:g} "
            "%, every phantom and SNR",
            f"{shares.min():.1f} to {shares.max():.1f} %",
            bool(shares.min() >= low and shares.max() <= high),
        ),
        Target(
            "MPPCA with radius 1 keeps ≥ 85 % of the contrast of D of lesions of one voxel",
            f"{mppca[0]:.0f} %",
            bool(mppca[0] >= 85.0),
        ),
    ]


FIGURE = Figure(
    order=28,
    name="denoising",
    title="Denoising: errors, small lesions, intervals",
    measure=measure,
    full_takes="ten minutes (six phantoms)",
)

if __name__ == "__main__":
    run_alone(FIGURE)
