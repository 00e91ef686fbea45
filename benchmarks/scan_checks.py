"""Scan checks: how often a good scan causes a warning, and how often a faulty one does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import ABDOMEN, B13, B21, ORGANS, PROSTATE
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.image import read_image

__all__ = ["Case", "faults", "phantoms", "shared_scans"]

_QUICK, _FULL = 1000, 10_000
_SEED = 11
_SNRS = (10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
_KINDS = ("gaussian", "rician")
_PROTOCOLS: tuple[NDArray[np.float64], ...] = (
    B13,
    B21,
    np.array([0.0, 50, 400, 800]),
    np.array([0.0, 10, 20, 30, 40, 50, 100, 150, 200, 900, 1000]),
    np.array([0.0, 5, 10, 20, 30, 60, 100, 200, 400, 600, 800, 1000, 1500]),
    np.array([0.0, 500, 1000, 1500, 2000, 2500, 3000]),
    np.array([5.0, 25, 75, 150, 300, 500, 700]),
    np.array([0.0, 0, 0, 20, 20, 50, 50, 200, 200, 400, 400, 800, 800, 800]),
)
# A swap should be detected if the two mean signals differ by this many standard errors, and by
# this fraction of the lower one.
_ERRORS, _SHARE = 8.0, 0.05
_SWAPPED, _SWAPPED_REPEATS = "neighbours swapped", "neighbours swapped, repeated b-values"
# For repeated b-values, also by this many standard deviations of their volumes.
_SCATTERS = 6.0


@dataclass(frozen=True, eq=False)
class Case:
    """A scan and its family.

    Parameters
    ----------
    family : str
        Name for the table.
    signal : ndarray, shape (..., n_volumes)
        a.u.
    bvals : ndarray, shape (n_volumes,)
        b-values in s/mm^2.
    mask : ndarray of bool, shape (...), or None
        Voxels to check.
    bvecs : ndarray, shape (n_volumes, 3), or None
        Directions.
    """

    family: str
    signal: NDArray[np.float64]
    bvals: NDArray[np.float64]
    mask: NDArray[np.bool_] | None = None
    bvecs: NDArray[np.float64] | None = None

    def kinds(self) -> list[str]:
        """Return the kinds of faults found."""
        dwi = ik.DWI(self.signal, self.bvals, mask=self.mask, bvecs=self.bvecs)
        return [found.kind for found in ik.quality.scan_findings(dwi) if found.is_fault]

    def voxels(self) -> NDArray[np.float64]:
        """Return the signals of the voxels to check, shape (n_voxels, n_volumes)."""
        if self.mask is not None:
            return self.signal[self.mask]
        return self.signal.reshape(-1, self.bvals.size)


def phantoms(n: int) -> Iterator[Case]:
    """Yield phantoms of seven families, all at SNR 10 to 100, Gaussian and Rician."""
    makers = (_image, _image, _mixture, _mixture, _tissue, _directions, _flat)
    for seed in range(n):
        random = np.random.default_rng([_SEED, seed])
        yield makers[seed % len(makers)](random, seed)


def _image(random: np.random.Generator, seed: int) -> Case:
    """Return a digital abdomen or brain, with its mask, one region, or no mask."""
    kind = str(random.choice(["abdomen", "brain"]))
    made = ik.simulate.phantom(
        kind,
        shape=(int(random.integers(16, 40)), int(random.integers(16, 40)), 2),
        bvals=_protocol(random),
        snr=float(random.choice(_SNRS)),
        noise=str(random.choice(_KINDS)),
        seed=seed,
        partial_volume=1,
    )
    what = ("mask", "region", "no mask")[seed // 7 % 3]
    mask = {"mask": made.dwi.mask, "no mask": None}.get(what)
    if what == "region":
        mask = made.labels == random.choice(np.unique(made.labels[made.labels > 0]))
    signal = np.asarray(made.dwi.signal, dtype=np.float64)
    return Case(f"{kind}, {what}", signal, made.dwi.acquisition.bvals, mask)


def _mixture(random: np.random.Generator, seed: int) -> Case:
    """Return voxels of any two compartments, few or many."""
    n = int(random.choice([8, 20, 100, 1000, 6000]))
    b = _protocol(random)
    signal = _decay(
        b,
        random.uniform(300.0, 1500.0, n),
        random.uniform(0.0, 0.4, n),
        random.uniform(8e-3, 0.1, n),
        random.uniform(0.3e-3, 2.5e-3, n),
    )
    return Case("mixture of voxels", _noisy(signal, random, seed), b)


def _tissue(random: np.random.Generator, seed: int) -> Case:
    """Return voxels of one tissue that differ only by noise."""
    f, D_star, D = ORGANS[seed % len(ORGANS)]
    n = int(random.choice([8, 30, 300, 3000]))
    b = _protocol(random)
    signal = np.tile(_decay(b, 1000.0, f, D_star, D), (n, 1))
    return Case("one tissue", _noisy(signal, random, seed), b)


def _directions(random: np.random.Generator, seed: int) -> Case:
    """Return anisotropic tissue in 2 to 12 directions, pulsation of 0 to 8 % at b > 0."""
    shells = np.array([0.0, 10, 50, 100, 200, 400, 800])
    n_directions = int(random.choice([2, 3, 6, 12]))
    b = np.repeat(shells, [2, *[n_directions] * (shells.size - 1)])
    vectors = random.normal(size=(b.size, 3))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    n = int(random.choice([30, 300, 3000]))
    fibre = random.normal(size=3)
    # One fibre bundle, or bundles in all directions.
    fibres = np.tile(fibre, (n, 1)) if seed % 2 else random.normal(size=(n, 3))
    fibres /= np.linalg.norm(fibres, axis=1)[:, None]
    along = (fibres @ vectors.T) ** 2
    across, axial = random.uniform(0.4e-3, 0.9e-3), random.uniform(1.0e-3, 1.8e-3)
    D = across + (axial - across) * along
    f = random.uniform(0.05, 0.3, (n, 1))
    signal = random.uniform(600.0, 1200.0, (n, 1)) * (
        f * np.exp(-b * 30e-3) + (1.0 - f) * np.exp(-b * D)
    )
    signal *= np.where(b > 0, 1.0 - random.uniform(0.0, 0.08) * random.random(b.size), 1.0)
    known = vectors * (b > 0)[:, None] if seed // 2 % 2 else None
    return Case("directions", _noisy(signal, random, seed), b, bvecs=known)


def _flat(random: np.random.Generator, seed: int) -> Case:
    """Return curves lost in the noise above b = 1000 or so."""
    b = np.array([0.0, 50, 200, 600, 1000, 1500, 2000, 2500, 3000])
    n = int(random.choice([8, 50, 500, 5000]))
    signal = _decay(
        b,
        random.uniform(500.0, 1000.0, n),
        np.full(n, 0.1),
        np.full(n, 20e-3),
        random.uniform(1.5e-3, 3.0e-3, n),
    )
    return Case("gone in the noise", _noisy(signal, random, seed), b)


def _decay(
    b: NDArray[np.float64],
    s0: NDArray[np.float64] | float,
    f: NDArray[np.float64] | float,
    D_star: NDArray[np.float64] | float,
    D: NDArray[np.float64] | float,
) -> NDArray[np.float64]:
    s0, f, D_star, D = (np.asarray(value)[..., None] for value in (s0, f, D_star, D))
    return np.asarray(s0 * (f * np.exp(-b * D_star) + (1.0 - f) * np.exp(-b * D)))


def _noisy(
    signal: NDArray[np.float64], random: np.random.Generator, seed: int
) -> NDArray[np.float64]:
    return ik.simulate.add_noise(
        signal, snr=float(random.choice(_SNRS)), kind=str(random.choice(_KINDS)), seed=seed
    )


def _protocol(random: np.random.Generator) -> NDArray[np.float64]:
    return _PROTOCOLS[int(random.integers(len(_PROTOCOLS)))]


def shared_scans(
    prostate: Path = PROSTATE, abdomen: Path = ABDOMEN, selections: slice = slice(None)
) -> Iterator[Case]:
    """Yield the real scans with each mask and selection of volumes, if available.

    Of the abdomens, perhaps only some selections: all volumes, or one kind of gradient with one
    diffusion time, which vary fastest.
    """
    if (prostate / "dwi.nii.gz").exists():
        b = np.loadtxt(prostate / "dwi.bval")
        signal = read_image(prostate / "dwi.nii.gz").astype(np.float64)
        masks = {path.name: read_image(path) > 0 for path in sorted(prostate.glob("roi_*"))}
        for mask in (None, *masks.values()):
            for kept in (b <= 1000.0, b >= 0.0):
                yield Case("prostate", signal[..., kept], b[kept], mask)
    for folder in sorted(abdomen.parent.glob("volunteer*")):
        b = np.loadtxt(folder / "dwi.bval")
        told = json.loads((folder / "dwi.json").read_text())
        profile, time_ms = (np.array(told[key]) for key in ("GradientProfile", "DiffusionTime_ms"))
        signal = read_image(folder / "dwi.nii.gz").astype(np.float64)
        regions = read_image(folder / "rois.nii.gz")
        inside = [regions == label for label in np.unique(regions[regions > 0])]
        chosen = [b >= 0.0] + [
            (b == 0.0) | ((profile == kind) & (time_ms == time))
            for kind in np.unique(profile)
            for time in (40, 70, 100)
        ]
        for mask in (None, read_image(folder / "mask.nii.gz") > 0, *inside):
            for kept in chosen[selections]:
                yield Case("abdomen", signal[..., kept], b[kept], mask)


Fault = tuple[str, set[str], Callable[[], Case]]
"""Name of a fault, the kinds of findings that detect it, and the scan with the fault."""


def faults(case: Case) -> Iterator[Fault]:
    """Yield the scan with each fault that its mean signals can reveal."""
    b, voxels = case.bvals, case.voxels()
    mean = voxels.mean(axis=0)
    n = b.size
    order = np.argsort(b, kind="stable")

    def with_b(bvals: NDArray[np.float64]) -> Case:
        return Case(case.family, case.signal, bvals, case.mask, case.bvecs)

    def with_signal(signal: NDArray[np.float64]) -> Case:
        return Case(case.family, signal, b, case.mask, case.bvecs)

    def filled(volume: int, value: float) -> Case:
        signal = case.signal.copy()
        signal[..., volume] = value
        return with_signal(signal)

    if _apart(voxels, int(order[0]), int(order[-1])):
        yield "reversed", {"order"}, lambda: with_b(b[::-1])
    alphabet = np.array(sorted(b.tolist(), key=lambda value: f"{value:g}"))
    moved = np.flatnonzero(alphabet != np.sort(b))
    if len(moved) and _apart(voxels, int(order[moved].min()), int(order[moved].max())):
        yield "alphabetical order", {"order"}, lambda: with_b(alphabet)
    if b[0] < b[1] and _apart(voxels, 0, n - 1):
        yield "b = 0 last", {"order", "spread"}, lambda: with_b(np.roll(b, -1))
    for one, other in pairwise(order.tolist()):
        scattered = max(_scatter(mean[b == b[one]]), _scatter(mean[b == b[other]]))
        if (
            b[one] < b[other]
            and _apart(voxels, one, other)
            and mean[one] - mean[other] > _SCATTERS * scattered
        ):
            swapped = b.copy()
            swapped[[one, other]] = b[[other, one]]
            alone = np.count_nonzero(b == b[one]) + np.count_nonzero(b == b[other]) == 2
            name = _SWAPPED if alone else _SWAPPED_REPEATS
            yield name, {"order", "spread"}, lambda s=swapped: with_b(s)  # type: ignore[misc]
    low = np.where(b <= 40.0, 0.0, b)
    lowest = order[b[order] <= 40.0]
    if (
        len(lowest) > 1
        and _apart(voxels, int(lowest[0]), int(lowest[-1]))
        and np.unique(low).size > 1
        and mean[lowest[-1]] < 0.85 * mean[lowest[0]]
    ):
        yield "low b written as 0", {"spread"}, lambda: with_b(low)
    if np.count_nonzero(b == b[0]) == 1 and b[0] == 0.0:
        gained = np.concatenate([1.3 * case.signal[..., :1], case.signal], axis=-1)
        yield (
            "b = 0 with gain 1.3",
            {"spread"},
            lambda: Case(case.family, gained, np.append(0.0, b), case.mask),
        )
    yield "empty volume", {"empty"}, lambda: filled(n // 2, 0.0)
    yield "constant volume", {"constant"}, lambda: filled(n // 2, 7.0)
    yield "NaN volume", {"not finite"}, lambda: filled(n // 2, np.nan)
    high = int(order[-1])
    with np.errstate(all="ignore"):
        adc = np.log(case.signal[..., order[0]] / case.signal[..., high]) / (b[high] - b[order[0]])
    adc = np.where(np.isfinite(adc), np.clip(adc, 0.0, 4e-3), 0.0)
    for name, factor in (("ADC map in mm²/s", 1.0), ("ADC map in 10⁻⁶ mm²/s", 1e6)):
        signal = np.concatenate([case.signal, factor * adc[..., None]], axis=-1)
        longer = np.append(b, b.max())
        yield (
            name,
            {"not diffusion", "order", "spread"},
            lambda s=signal, o=longer: Case(  # type: ignore[misc]
                case.family, s, o, case.mask
            ),
        )


def _scatter(means: NDArray[np.float64]) -> float:
    return float(means.std(ddof=1)) if means.size > 1 else 0.0


def _apart(voxels: NDArray[np.float64], low: int, high: int) -> bool:
    """Whether the mean signals of two volumes differ by many standard errors and per cent."""
    fall = voxels[:, low] - voxels[:, high]
    error = fall.std(ddof=1) / np.sqrt(len(fall))
    return bool(
        fall.mean() > _ERRORS * error and fall.mean() > _SHARE * abs(voxels[:, high].mean())
    )


def measure(settings: Settings) -> Findings:
    """Check good phantoms and scans, and the same with faults."""
    n = settings.voxels or (_FULL if settings.full else _QUICK)
    alarms: dict[str, list[int]] = {}
    found: dict[tuple[str, str], list[int]] = {}
    for where, cases in (("phantoms", phantoms(n)), ("real scans", shared_scans())):
        for number, case in enumerate(cases):
            count = alarms.setdefault(
                case.family if where == "phantoms" else f"real: {case.family}", [0, 0]
            )
            count[0] += 1
            count[1] += bool(case.kinds())
            if (where == "phantoms" and number % 5) or len(case.voxels()) < 30:
                continue
            if where == "real scans" and case.bvals.size > 20:
                continue
            for name, kinds, make in faults(case):
                seen = found.setdefault((name, where), [0, 0])
                seen[0] += 1
                seen[1] += bool(kinds.intersection(make().kinds()))
    false = sum(count[1] for count in alarms.values())
    names = list(dict.fromkeys(name for name, _ in found))
    rows: list[list[Cell]] = [
        [name, *_pair(found, name, "phantoms"), *_pair(found, name, "real scans")]
        for name in names
    ]
    judged = [count for (name, _), count in found.items() if name != _SWAPPED_REPEATS]
    tried, seen = (sum(count[k] for count in judged) for k in (0, 1))
    return Findings(
        conditions={
            "phantoms": f"{n}, SNR 10 to 100, Gaussian and Rician noise, {len(_PROTOCOLS)} "
            "protocols from 4 to 21 b-values; digital abdomens and brains with mask, one region "
            "or no mask, voxels of any two compartments, one tissue, anisotropic tissue in 2 to "
            "12 directions with pulsation, decays lost in the noise",
            "real": "a prostate and two abdomens, every mask, region and selection of volumes",
            "faults": "in every fifth phantom and in the prostate, with 30 voxels or more; swaps "
            f"and orders where the mean signals differ by {_SHARE:.0%} and {_ERRORS:g} standard "
            "errors, and among repeated b-values by "
            f"{_SCATTERS:g} standard deviations of their volumes",
        },
        checked="good scans are good by construction, or published; faults are introduced.",
        tables=[
            Table(
                "Good scans that are warned of",
                [Column("scans"), Column("number", "{:d}"), Column("warned of", "{:d}")],
                [[family, *count] for family, count in sorted(alarms.items())],
            ),
            Table(
                "Faults that are found",
                [
                    Column("fault"),
                    Column("phantoms", "{:d}"),
                    Column("found", "{:d}"),
                    Column("real scans", "{:d}"),
                    Column("found", "{:d}"),
                ],
                rows,
            ),
        ],
        targets=[
            Target(
                "No false alarm", f"{false} of {sum(c[0] for c in alarms.values())}", false == 0
            ),
            Target(
                "97 % of the faults found, but for swaps among repeated b-values",
                f"{seen} of {tried}",
                seen >= 0.97 * tried,
            ),
        ],
        notes=[
            "Where a b-value has a few volumes, one may be brighter than the others because of "
            "direction and pulsation, and a swap with a smaller effect is not detected.",
        ],
    )


def _pair(found: dict[tuple[str, str], list[int]], name: str, where: str) -> list[Cell]:
    count = found.get((name, where))
    return [None, None] if count is None else [*count]


FIGURE = Figure(
    order=23,
    name="scan_checks",
    title="Checks before a fit: false alarms, and faults found",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
