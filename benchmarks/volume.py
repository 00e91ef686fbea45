"""A whole brain from the command line: load, fit, save; wall time and peak memory."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import B21
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.image import read_image, write_image
from benchmarks.machine import usable_cores
from benchmarks.process import Run, ivimkit_command, run_command
from ivimkit.simulate import Phantom

_SHAPE = (256, 256, 54)
_TYPES = ("int16", "float32")
_SECONDS, _MEMORY = 15.0, 2.5


@dataclass(frozen=True)
class _Outcome:
    """One run of `ivimkit fit`."""

    dtype: str
    file_bytes: int
    run: Run
    fit_seconds: float
    float32_bytes: int

    @property
    def memory(self) -> float:
        return self.run.peak / self.float32_bytes

    def row(self) -> list[Cell]:
        return [
            f"{self.dtype}, .nii.gz",
            self.file_bytes / 1e6,
            self.run.seconds,
            self.fit_seconds,
            self.run.peak / 1e6,
            self.memory,
        ]


def measure(settings: Settings) -> Findings:
    """Make the volume, fit it in a process of its own, check the maps."""
    shape = _SHAPE if settings.voxels is None else _shape_of(settings.voxels)
    print(f"volume: making a brain of {' x '.join(map(str, shape))} x {B21.size} ...", flush=True)
    phantom = ik.simulate.phantom("brain", shape=shape, bvals=B21, snr=40, seed=0)
    threads = min(2, len(usable_cores()))
    with TemporaryDirectory(prefix="ivimkit-volume-") as folder:
        outcomes = [_fit(phantom, dtype, threads, Path(folder)) for dtype in _TYPES]
    slowest = max(outcome.run.seconds for outcome in outcomes)
    largest = max(outcome.memory for outcome in outcomes)
    whole = shape == _SHAPE and threads == 2
    size = f"{' × '.join(map(str, shape))} × {B21.size}"
    return Findings(
        conditions={
            "data": f"simulated brain, {size}, {phantom.dwi.n_voxels} voxels in the mask, SNR 40",
            "command": f"`ivimkit fit --mask --threads {threads} --no-figures`, method varpro, "
            "start of the interpreter included",
            "state": "warm (compiled code cached, file in the system's cache)",
        },
        checked="S0, f, D* and D of the middle slice against the same fit of the array, to "
        "float32; the median of D in each tissue against the truth, to 5 %.",
        tables=[
            Table(
                f"{size}, {threads} threads",
                [
                    Column("scan"),
                    Column("file, MB", "{:.0f}"),
                    Column("wall time, s", "{:.1f}"),
                    Column("of which the fit, s", "{:.1f}"),
                    Column("peak memory, MB", "{:.0f}"),
                    Column("/ float32 size of the data", "{:.2f}"),
                ],
                [outcome.row() for outcome in outcomes],
            )
        ],
        targets=[
            Target(
                f"Load, fit and save within {_SECONDS:g} s on 2 cores",
                f"{slowest:.1f} s",
                slowest <= _SECONDS if whole else None,
            ),
            Target(
                f"Peak memory ≤ {_MEMORY:g} × the float32 size of the 4-D data",
                f"{largest:.2f} ×",
                largest <= _MEMORY if whole else None,
            ),
        ],
    )


def _shape_of(voxels: int) -> tuple[int, int, int]:
    """Return a small matrix of about so many voxels."""
    side = max(24, math.isqrt(voxels // 3))
    return side, side, 3


def _fit(phantom: Phantom, dtype: str, threads: int, folder: Path) -> _Outcome:
    scan, mask = _write(phantom, dtype, folder)
    words = [*ivimkit_command(), "fit", str(scan), "--mask", str(mask), "--no-figures", "--quiet"]
    words += ["--threads", str(threads), "--overwrite", "--out"]
    run_command([*words, str(folder / "warming")])
    run = run_command([*words, str(folder / "maps")])
    _check(phantom, scan, folder / "maps")
    told = json.loads((folder / "maps" / "fit.json").read_text())
    size = phantom.dwi.signal.size * 4
    return _Outcome(dtype, scan.stat().st_size, run, told["seconds"], size)


def _write(phantom: Phantom, dtype: str, folder: Path) -> tuple[Path, Path]:
    """Write the scan as a scanner would, its b-values beside it, and its mask."""
    dwi = phantom.dwi
    signal = np.rint(dwi.signal) if dtype == "int16" else dwi.signal
    scan = folder / f"{dtype}.nii.gz"
    write_image(scan, signal.astype(dtype, copy=False), dwi.affine)
    np.savetxt(folder / f"{dtype}.bval", B21[None], fmt="%g")
    mask = folder / "mask.nii.gz"
    write_image(mask, dwi.mask.astype(np.uint8), dwi.affine)
    return scan, mask


def _check(phantom: Phantom, scan: Path, maps: Path) -> None:
    middle = phantom.dwi.shape[2] // 2
    signal = read_image(scan)[:, :, middle : middle + 1, :]
    inside = phantom.dwi.mask[:, :, middle : middle + 1]
    expected = ik.fit(signal, B21, mask=inside)
    for name in expected.model.names:
        values = read_image(maps / f"{name}.nii.gz")
        slice_values = expected.maps[name].astype(np.float32)
        if not np.array_equal(values[:, :, middle : middle + 1], slice_values, equal_nan=True):
            raise AssertionError(f"{name} on disk is not that of a fit of the array")
        if name == "D":
            _check_tissues(phantom, values)


def _check_tissues(phantom: Phantom, D: NDArray[Any]) -> None:
    for tissue in phantom.tissues:
        region = phantom.region(tissue.name)
        # Without perfusion any f with D* near D fits as well: no one truth for D.
        if tissue.value("f") == 0 or np.count_nonzero(region) < 1000:
            continue
        found = float(np.nanmedian(D[region]))
        if abs(found / tissue.value("D") - 1.0) > 0.05:
            true = tissue.value("D")
            raise AssertionError(f"D of {tissue.name} is {found:g}; the truth is {true:g}")


FIGURE = Figure(
    order=4,
    name="volume",
    title="A whole volume from the command line",
    measure=measure,
    only_full=True,
    full_takes="a few minutes, 1.5 GB of memory and 0.5 GB of disk",
)

if __name__ == "__main__":
    run_alone(FIGURE)
