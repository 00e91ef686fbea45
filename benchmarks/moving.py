"""Moving organs: what is noise in a real scan, what its floor does to D, and who agrees."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import ABDOMEN, PROSTATE
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.image import read_image
from ivimkit.extend.fit_method import FitMethod
from ivimkit.status import FAILED

_MAX_B = 1000.0
_MIN_SNR = 20.0
_MAX_DIFFERENCE = 0.05
_MIN_VOXELS = 50
_NAMES = {1: "pancreas", 2: "liver", 3: "kidney", 4: "spleen"}
_ZONES = ("tumor", "pz", "bph")


@dataclass(frozen=True)
class _Region:
    """One organ of one scan: its volumes, and the spread of its repeats."""

    scan: str
    name: str
    dwi: ik.DWI

    @property
    def label(self) -> str:
        return f"{self.scan}, {self.name}"


@dataclass(frozen=True)
class _Outcome:
    """What the methods find in a region."""

    region: _Region
    floor: float
    source: str
    repeats: float
    snr: float
    medians: tuple[float, ...]
    lost: int

    @property
    def difference(self) -> float:
        """Median D of bayes over that of least squares, minus 1."""
        return self.medians[2] / self.medians[0] - 1.0

    def noise_row(self) -> list[Cell]:
        ratio = self.repeats / self.floor if np.isfinite(self.repeats) else None
        repeats = self.repeats if np.isfinite(self.repeats) else None
        return [
            self.region.label, self.region.dwi.n_voxels, self.snr, repeats, self.floor,
            self.source, ratio,
        ]  # fmt: skip

    def row(self) -> list[Cell]:
        return [self.region.label, *self.medians, 100.0 * self.difference, self.lost]


def measure(settings: Settings) -> Findings:
    """Fit the organs of the real scans with and without a floor."""
    outcomes = [_outcome(region) for region in _regions()]
    clear = [one for one in outcomes if one.region.name == "liver" and one.snr >= _MIN_SNR]
    checked = sum(one.region.dwi.n_voxels for one in outcomes)
    return Findings(
        conditions={
            "data": "upper abdomen of two volunteers (Wetscherek et al. 2015, "
            "doi:10.1002/mrm.25410), all bipolar images and b = 0: 60 images at b = 0, 18 or 12 "
            "per other b-value; prostate (Malagi et al. 2021, doi:10.1007/s10334-021-00932-1), "
            "b ≤ 1000, one image per b-value; every region fitted alone",
            "bounds": "defaults",
            "told": "nothing about the noise",
        },
        checked=f"{checked} voxels, all of them with a fit by every method.",
        tables=[
            Table(
                "What is noise; sigma of one image, a.u.",
                [
                    Column("region"),
                    Column("voxels", "{:d}"),
                    Column("SNR, averaged", "{:.0f}"),
                    Column("repeats", "{:.2f}"),
                    Column("floor", "{:.2f}"),
                    Column("from"),
                    Column("repeats / floor", "{:.1f}"),
                ],
                [one.noise_row() for one in outcomes],
            ),
            Table(
                "Median of D, 10⁻³ mm²/s",
                [
                    Column("region"),
                    Column("varpro", "{:.3f}"),
                    Column("varpro, rician", "{:.3f}"),
                    Column("bayes", "{:.3f}"),
                    Column("bayes, gaussian", "{:.3f}"),
                    Column("bayes, floor of the repeats or residuals", "{:.3f}"),
                    Column("bayes - varpro, %", "{:+.1f}"),
                    Column("rician: voxels with f = 1", "{:d}"),
                ],
                [one.row() for one in outcomes],
            ),
        ],
        targets=[
            Target(
                f"Livers of SNR ≥ {_MIN_SNR:g}: D of bayes within {100 * _MAX_DIFFERENCE:g} % of "
                "least squares",
                ", ".join(f"{100 * one.difference:+.1f} %" for one in clear),
                all(abs(one.difference) <= _MAX_DIFFERENCE for one in clear),
            )
        ]
        if clear
        else [],
        notes=[
            "SNR: median S0 by the spread of the repeats (without repeats by the residuals), "
            "times the root of the median number of images per b-value. Last but two: the same "
            "method with the spread of repeats, or of residuals, taken for noise that raises a "
            "floor, as before. Bayes and least squares still differ where the data leave D open: "
            "there the prior speaks.",
        ],
    )


def _regions() -> Iterator[_Region]:
    for folder in (ABDOMEN, ABDOMEN.parent / "volunteer2"):
        if (folder / "dwi.nii.gz").exists():
            yield from _of_abdomen(folder)
    if (PROSTATE / "dwi.nii.gz").exists():
        volumes = read_image(PROSTATE / "dwi.nii.gz").astype(np.float64)
        bvals = np.loadtxt(PROSTATE / "dwi.bval")
        low = bvals <= _MAX_B
        for zone in _ZONES:
            mask = read_image(PROSTATE / f"roi_{zone}.nii.gz") > 0
            yield _Region("prostate", zone, ik.DWI(volumes[..., low], bvals[low], mask=mask))


def _of_abdomen(folder: Path) -> Iterator[_Region]:
    bvals = np.loadtxt(folder / "dwi.bval")
    profile = np.array(json.loads((folder / "dwi.json").read_text())["GradientProfile"])
    used = (bvals == 0.0) | (profile == "bipolar")
    volumes = read_image(folder / "dwi.nii.gz").astype(np.float64)
    labels = read_image(folder / "rois.nii.gz").reshape(volumes.shape[:3])
    for number, name in _NAMES.items():
        mask = labels == number
        if mask.sum() >= _MIN_VOXELS:
            yield _Region(folder.name, name, ik.DWI(volumes[..., used], bvals[used], mask=mask))


def _outcome(region: _Region) -> _Outcome:
    print(f"moving: {region.label} ...", flush=True)
    least = _fit(region, ik.methods.VarPro())
    residual = ik.noise.from_residuals(least).sigma
    scatter = ik.noise.repeat_scatter(region.dwi)
    spread = residual if scatter is None else scatter.repeats.sigma
    found = ik.noise.for_floor(region.dwi)
    if found is None:
        raise AssertionError(f"{region.label}: no source of the noise")
    rician = _fit(region, ik.methods.VarPro(noise="rician"))
    fits = [
        least,
        rician,
        _fit(region, ik.methods.Bayes()),
        _fit(region, ik.methods.Bayes(noise="gaussian")),
        _fit(region, ik.methods.Bayes(floor=spread)),
    ]
    inside = region.dwi.mask
    images = float(np.median(region.dwi.fit_averages))
    return _Outcome(
        region,
        found.sigma,
        found.source,
        np.nan if scatter is None else spread,
        float(np.median(least.maps["S0"][inside])) / spread * images**0.5,
        tuple(1e3 * float(np.median(one.maps["D"][inside])) for one in fits),
        int(np.count_nonzero(rician.maps["f"][inside] > 0.999)),
    )


def _fit(region: _Region, method: FitMethod) -> ik.FitResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = ik.fit(region.dwi, method=method)
    lost: NDArray[np.bool_] = (result.status[region.dwi.mask] & int(FAILED)) != 0
    if lost.any():
        raise AssertionError(f"{region.label}: {lost.sum()} voxels without a fit by {method.name}")
    return result


FIGURE = Figure(
    order=24,
    name="moving",
    title="Moving organs: what is noise, and what its floor does to D",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
