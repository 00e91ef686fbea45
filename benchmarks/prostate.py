"""Prostate up to b = 2000: what kurtosis takes for perfusion, and what it is itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import PROSTATE
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target

_REGIONS = {"roi_tumor": "tumour", "roi_pz": "peripheral zone", "roi_bph": "hyperplasia"}
# Model, highest b-value, diffusion coefficient of tissue and shape of its decay.
_FITS = (
    ("biexp", 1000.0, "D", None),
    ("biexp", 2000.0, "D", None),
    ("kurtosis", 2000.0, "D", "K"),
    ("stretched", 2000.0, "DDC", "alpha"),
)
_K_PUBLISHED = {
    "tumour": "1.19 ± 0.24",
    "peripheral zone": "0.63 ± 0.23",
    "hyperplasia": "0.99 ± 0.28 (stromal)",
}


def _statistics(result: ik.FitResult, inside: NDArray[np.bool_], name: str | None) -> list[Cell]:
    """Return median and standard deviation of a map in a region, D in 10^-3 mm^2/s."""
    if name is None:
        return [None, None]
    factor = 1e3 if result.model[name].unit == "mm^2/s" else 1.0
    values = factor * result.maps[name][inside]
    values = values[np.isfinite(values)]
    return [float(np.median(values)), float(values.std(ddof=1))]


def _fitted(dwi: ik.DWI, model: str) -> ik.FitResult:
    """Fit a region, and check that every voxel has an answer inside its bounds."""
    with warnings.catch_warnings():
        # That two decays do not describe the highest b-values is what is shown here.
        warnings.simplefilter("ignore", ik.errors.AcquisitionWarning)
        result = ik.fit(dwi, model=model, threads=1)
    values = result.params[dwi.mask]
    low, high = (
        np.array([getattr(p, side) for p in result.model.parameters])
        for side in ("lower", "upper")
    )
    if not ((values >= low) & (values <= high)).all():
        raise AssertionError(f"a voxel of model {model} has no answer inside its bounds")
    return result


def _rows(folder: Path) -> Iterator[list[Cell]]:
    regions = {
        label: ik.load(folder / "dwi.nii.gz", mask=folder / f"{name}.nii.gz")
        for name, label in _REGIONS.items()
    }
    for label, dwi in regions.items():
        for model, highest, diffusion, shape in _FITS:
            result = _fitted(dwi.select(bmax=highest), model)
            mean = ik.quality.roi_fit(result, np.where(dwi.mask, 1, 0))
            of_mean = [
                None if name is None else float(mean.maps[name][0]) * factor
                for name, factor in ((diffusion, 1e3), ("f", 1.0), (shape, 1.0))
            ]
            yield [
                label,
                model,
                int(highest),
                dwi.n_voxels,
                *_statistics(result, dwi.mask, diffusion),
                *_statistics(result, dwi.mask, "f"),
                *_statistics(result, dwi.mask, shape),
                *of_mean,
                100.0 * float(np.mean((result.status[dwi.mask]) == 0)),
            ]


def measure(settings: Settings) -> Findings:
    """Fit the three regions voxel by voxel, and their mean signals."""
    if not (PROSTATE / "dwi.nii.gz").exists():
        return Findings(
            conditions={},
            checked="nothing.",
            tables=[],
            targets=[],
            notes=("The prostate scan is not available.",),
        )
    rows = list(_rows(PROSTATE))
    k = {str(row[0]): float(str(row[12])) for row in rows if row[1] == "kurtosis"}
    f = {(str(row[0]), str(row[1]), int(str(row[2]))): float(str(row[11])) for row in rows}
    falls = all(
        f[label, "biexp", 2000] > f[label, "kurtosis", 2000] for label in _REGIONS.values()
    )
    return Findings(
        conditions={
            "data": "one prostate at 1.5 T, 13 b-values up to 2000 s/mm², regions of the authors "
            "(Malagi et al. 2021, doi:10.1007/s10334-021-00932-1); varpro, default bounds"
        },
        checked="every voxel of the regions has an answer inside its bounds.",
        tables=[
            Table(
                "Median and SD of voxels, and fits of the mean signal; D in 10⁻³ mm²/s",
                [
                    Column("region"),
                    Column("model"),
                    Column("b up to", "{:d}"),
                    Column("voxels", "{:d}"),
                    Column("D or DDC", "{:.2f}"),
                    Column("SD", "{:.2f}"),
                    Column("f", "{:.3f}"),
                    Column("SD", "{:.3f}"),
                    Column("K or alpha", "{:.2f}"),
                    Column("SD", "{:.2f}"),
                    Column("mean: D", "{:.2f}"),
                    Column("mean: f", "{:.3f}"),
                    Column("mean: K, alpha", "{:.2f}"),
                    Column("status OK, %", "{:.0f}"),
                ],
                rows,
            ),
            Table(
                "K of this patient beside that of 20 others",
                [
                    Column("region"),
                    Column("kurtosis, mean signal", "{:.2f}"),
                    Column("Tamura et al. 2014, mean ± SD"),
                ],
                [[label, k[label], published] for label, published in _K_PUBLISHED.items()],
            ),
        ],
        targets=[
            Target(
                "f of the mean signal is higher by biexp on all b-values than by kurtosis, in all "
                "regions",
                "yes" if falls else "no",
                falls,
            ),
        ],
        notes=(
            "Tamura et al. (doi:10.1002/jmri.24379) fitted kurtosis without perfusion, b up to "
            "1500. The numbers that the authors of this scan found could not be compared: their "
            "abstract does not have them.",
        ),
    )


FIGURE = Figure(
    order=24,
    name="prostate",
    title="Prostate up to b = 2000: perfusion or kurtosis?",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
