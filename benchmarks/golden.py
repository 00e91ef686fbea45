"""Golden maps: results of every method on phantoms and real scans, to compare versions.

`python -m benchmarks golden --out OLD` in one version, then `--compare OLD` in another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import numpy as np

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import ABDOMEN, PROSTATE
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table
from benchmarks.pairs import working_pairs
from ivimkit.fitting.result import FitResult

_SEED = 1
_SHAPE = (40, 32, 2)
_DIFFUSION_TIME_MS = 70.0


def measure(settings: Settings) -> Findings:
    """Fit every scan with every method and model; record means, and a checksum of all bits."""
    rows: list[list[Cell]] = []
    for name, dwi in _scans():
        for model, method in working_pairs():
            result = ik.fit(dwi, model=model, method=method)
            rows.append([f"{name}: {method.name}, {model.name}", *_numbers(result)])
        rician = ik.fit(dwi, method=ik.methods.VarPro(noise="rician"))
        rows.append([f"{name}: varpro with noise rician, biexp", *_numbers(rician)])
    names = ("S0", "f", "D_star", "D", "ADC")
    return Findings(
        conditions={
            "data": f"digital abdomen and brain, {' x '.join(map(str, _SHAPE))} voxels, SNR 20 "
            "and 50; prostate up to b = 1000; both abdomens, bipolar gradients, 70 ms and b = 0; "
            "real scans if available",
        },
        checked="nothing: these numbers are to be compared with those of another version.",
        tables=[
            Table(
                "Voxels with a fit, means over them, and a checksum of all maps and the status",
                [
                    Column("scan: method, model"),
                    Column("voxels", "{:d}"),
                    *(Column(name, "{:.6g}") for name in names),
                    Column("bits", "{:012x}"),
                ],
                rows,
            )
        ],
    )


def _scans() -> Iterator[tuple[str, ik.DWI]]:
    for kind in ("abdomen", "brain"):
        for snr in (20, 50):
            yield (
                f"{kind}, SNR {snr}",
                ik.simulate.phantom(kind, shape=_SHAPE, snr=snr, seed=_SEED).dwi,
            )
    if PROSTATE.is_dir():
        mask = PROSTATE / "roi_pz.nii.gz"
        yield "prostate", ik.load(PROSTATE / "dwi.nii.gz", mask=mask).select(bmax=1000)
    for folder in sorted(ABDOMEN.parent.glob("volunteer*")):
        dwi = ik.load(folder / "dwi.nii.gz", mask=folder / "mask.nii.gz")
        described = json.loads((folder / "dwi.json").read_text())
        bipolar = np.array(described["GradientProfile"]) == "bipolar"
        long = np.array(described["DiffusionTime_ms"]) == _DIFFUSION_TIME_MS
        wanted = (bipolar & long) | (dwi.acquisition.bvals == 0.0)
        yield folder.name, dwi.select(volumes=np.flatnonzero(wanted).tolist())


def _numbers(result: FitResult) -> list[Cell]:
    fitted = np.isfinite(result.maps["ADC"])
    # Sorted names: a map may be added in front of another.
    bits = hashlib.sha256(np.ascontiguousarray(result.status).tobytes())
    for name in sorted(result.maps):
        bits.update(np.ascontiguousarray(result.maps[name]).tobytes())
    means: list[Cell] = [
        float(np.nanmean(result.maps[name])) if name in result.maps else None
        for name in ("S0", "f", "D_star", "D", "ADC")
    ]
    return [int(np.count_nonzero(fitted)), *means, int(bits.hexdigest()[:12], 16)]


FIGURE = Figure(
    order=23,
    name="golden",
    title="Golden maps of phantoms and real scans",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
