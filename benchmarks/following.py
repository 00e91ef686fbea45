"""Following: what smooth displacement to the model's prediction does to D, f and D*."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import PROSTATE
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table
from ivimkit.simulate import B13, Artefacts, Motion, phantom

_SHAPE = (96, 62, 16)
_SNR = 25
_BREATHS_MM = (0.0, 7.0)
_WAYS = {"as acquired": "", "align": "align", "align, follow": "align,follow"}
_ZONES = {"roi_tumor": "tumour", "roi_pz": "peripheral zone", "roi_bph": "hyperplasia"}
_MAX_B = 1000.0
_MAPS = (("D", 1e3), ("f", 1.0), ("D_star", 1e3))

Mask = NDArray[np.bool_]


def measure(settings: Settings) -> Findings:
    """Fit scans as acquired, aligned, and followed."""
    tables = [
        Table(
            "Digital abdomen, liver: medians, and errors (rms)",
            [
                Column("breathing"),
                Column("steps"),
                *_columns(),
                *(Column(f"error of {name}", form) for name, form in _FORMS),
                Column("residuals, % of S0", "{:.2f}"),
            ],
            list(_of_phantoms()),
        )
    ]
    if (PROSTATE / "dwi.nii.gz").exists():
        columns = [Column("region"), Column("voxels", "{:d}"), Column("steps"), *_columns()]
        columns.append(Column("residuals, % of S0", "{:.2f}"))
        tables.append(Table("One prostate: medians", columns, list(_of_prostate())))
    return Findings(
        conditions={
            "data": f"digital abdomen, {' x '.join(map(str, _SHAPE))} voxels, {len(B13)} volumes, "
            f"SNR {_SNR}; one prostate at 1.5 T, b up to {_MAX_B:g} s/mm² (Malagi et al. 2021, "
            "doi:10.1007/s10334-021-00932-1), which hardly moves; varpro, D and D* in 10⁻³ mm²/s"
        },
        checked="all ways are compared in the same voxels: those that all of them could fit.",
        tables=tables,
        targets=[],
    )


_FORMS = (("D", "{:.3f}"), ("f", "{:.3f}"), ("D*", "{:.1f}"))


def _columns() -> list[Column]:
    return [Column(name, form) for name, form in _FORMS]


def _of_phantoms() -> Iterator[list[Cell]]:
    """Return a row for each breathing and way."""
    for mm in _BREATHS_MM:
        moving = Artefacts(motion=Motion("breathing", mm=mm))
        made = phantom(shape=_SHAPE, bvals=B13, snr=_SNR, artefacts=moving)
        liver = made.region("liver")
        results = _results(made.dwi, made.labels > 0)
        inside = _fitted_by_all(results, liver)
        for way, result in results.items():
            errors = [
                factor * float(np.sqrt(np.mean((result.maps[n] - made.truth[n])[inside] ** 2)))
                for n, factor in _MAPS
            ]
            label = f"{mm:g} mm" if mm else "none"
            yield [label, way, *_medians(result, inside), *errors, _residual(result, inside)]


def _of_prostate() -> Iterator[list[Cell]]:
    """Return a row for each region and way."""
    dwi = ik.load(PROSTATE / "dwi.nii.gz").select(bmax=_MAX_B)
    zones = {
        label: np.asarray(ik.io.load_map(PROSTATE / f"{name}.nii.gz", dwi)) > 0
        for name, label in _ZONES.items()
    }
    results = _results(dwi, np.logical_or.reduce(list(zones.values())))
    for label, zone in zones.items():
        inside = _fitted_by_all(results, zone)
        for way, result in results.items():
            n = int(inside.sum())
            yield [label, n, way, *_medians(result, inside), _residual(result, inside)]


def _results(dwi: ik.DWI, mask: Mask) -> dict[str, ik.FitResult]:
    """Return the fits of a scan, whose steps see all of it, by the way it was treated."""
    results = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for way, steps in _WAYS.items():
            made = ik.preprocess(dwi, steps).dwi if steps else dwi
            results[way] = ik.fit(made.with_mask(mask))
    return results


def _fitted_by_all(results: dict[str, ik.FitResult], region: Mask) -> Mask:
    found = region.copy()
    for result in results.values():
        for name, _ in _MAPS:
            found &= np.isfinite(result.maps[name])
    return found


def _medians(result: ik.FitResult, inside: Mask) -> Sequence[float]:
    return [factor * float(np.median(result.maps[name][inside])) for name, factor in _MAPS]


def _residual(result: ik.FitResult, inside: Mask) -> float:
    return 100.0 * float(np.median((result.maps["rmse"] / result.maps["S0"])[inside]))


FIGURE = Figure(
    order=41,
    name="following",
    title="Free breathing: what following the model does to D, f and D*",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
