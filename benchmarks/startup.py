"""Startup: import, help, first fit with its compilation, and a small scan."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import PROSTATE
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.image import read_image, write_image
from benchmarks.process import Run, ivimkit_command, run_command

_REPEATS = 5
_VOXELS = 3072
_LIMITS = {"import": 0.3, "help": 0.6, "first": 20.0, "prostate": 4.0}
_IMPORT = "import time; t = time.perf_counter(); import ivimkit; print(time.perf_counter() - t)"


def measure(settings: Settings) -> Findings:
    """Time each in a separate process."""
    imported = min(_import_seconds() for _ in range(_REPEATS))
    shown = _best([*ivimkit_command(), "--help"])
    with TemporaryDirectory(prefix="ivimkit-startup-") as folder:
        first, second = _first_and_second(Path(folder), settings.size(_VOXELS))
        prostate = _prostate(Path(folder))
    bare = _best([sys.executable, "-c", "pass"])
    rows: list[list[Cell]] = [
        ["bare interpreter", bare.seconds, None, bare.peak / 1e6],
        ["`import ivimkit`, without the interpreter", imported, _LIMITS["import"], None],
        ["`ivimkit --help`", shown.seconds, _LIMITS["help"], shown.peak / 1e6],
        [
            "first fit ever, compilation included",
            first.seconds,
            _LIMITS["first"],
            first.peak / 1e6,
        ],
        ["the same fit again", second.seconds, None, second.peak / 1e6],
    ]
    if prostate is not None:
        label = "prostate scan, 5 slices, warm, with figures"
        rows.append([label, prostate.seconds, _LIMITS["prostate"], prostate.peak / 1e6])
    return Findings(
        conditions={
            "threads": "all cores",
            "state": f"files in the system's cache; best of {_REPEATS}; the first fit once, "
            "with an empty NUMBA_CACHE_DIR",
            "fits": "`ivimkit fit`, method varpro; the first fit without figures",
        },
        checked="every command ends with exit code 0; the first and the second fit write the same "
        "maps, D of more than 99 % of the voxels of the prostate's regions is finite.",
        tables=[
            Table(
                "Wall time of a process, from start to end",
                [
                    Column("what"),
                    Column("seconds", "{:.2f}"),
                    Column("limit, s", "{:g}"),
                    Column("peak memory, MB", "{:.0f}"),
                ],
                rows,
            )
        ],
        targets=[
            _target("`import ivimkit`", imported, "import"),
            _target("`ivimkit --help`", shown.seconds, "help"),
            _target("First-ever fit, compilation included", first.seconds, "first"),
            _target("The prostate scan, warm, with figures", _seconds(prostate), "prostate"),
        ],
        notes=() if prostate is not None else ("The prostate scan is not available: left out.",),
    )


def _target(text: str, seconds: float, limit: str) -> Target:
    measured = "not available" if math.isnan(seconds) else f"{seconds:.2f} s"
    reached = None if math.isnan(seconds) else seconds <= _LIMITS[limit]
    return Target(f"{text} ≤ {_LIMITS[limit]:g} s", measured, reached)


def _seconds(run: Run | None) -> float:
    return math.nan if run is None else run.seconds


def _import_seconds() -> float:
    return float(run_command([sys.executable, "-c", _IMPORT]).output)


def _best(words: Sequence[str]) -> Run:
    return min((run_command(words) for _ in range(_REPEATS)), key=lambda run: run.seconds)


def _fit_words(scan: Path, out: Path) -> list[str]:
    return [*ivimkit_command(), "fit", str(scan), "--out", str(out), "--overwrite", "--quiet"]


def _first_and_second(folder: Path, voxels: int) -> tuple[Run, Run]:
    """Fit a small phantom with an empty cache of compiled code, and again."""
    side = max(16, math.isqrt(voxels // 3))
    phantom = ik.simulate.phantom("abdomen", shape=(side, side, 3))
    scan = folder / "phantom.nii.gz"
    write_image(scan, phantom.dwi.signal, phantom.dwi.affine)
    np.savetxt(folder / "phantom.bval", phantom.dwi.acquisition.bvals[None], fmt="%g")
    cache = folder / "cache"
    runs = []
    for name in ("first", "second"):
        words = [*_fit_words(scan, folder / name), "--no-figures"]
        runs.append(run_command(words, environment={"NUMBA_CACHE_DIR": str(cache)}))
    if not any(cache.rglob("*.nbi")):
        raise AssertionError("no compiled code in NUMBA_CACHE_DIR: the first fit was not cold")
    first, second = (read_image(folder / name / "D.nii.gz") for name in ("first", "second"))
    if not np.array_equal(first, second, equal_nan=True):
        raise AssertionError("the first and the second fit differ")
    return runs[0], runs[1]


def _prostate(folder: Path) -> Run | None:
    if not (PROSTATE / "dwi.nii.gz").exists():
        return None
    out = folder / "prostate"
    words = [*_fit_words(PROSTATE / "dwi.nii.gz", out), "--bmax", "1000", "--organ", "prostate"]
    run = _best(words)
    finite = np.isfinite(read_image(out / "D.nii.gz"))
    for path in sorted(PROSTATE.glob("roi_*.nii.gz")):
        region = read_image(path) > 0
        if finite[region].mean() <= 0.99:
            raise AssertionError(f"D is not finite in 99 % of {path.name}")
    if not any((out / "figures").glob("*.png")):
        raise AssertionError("the prostate scan was fitted without figures")
    return run


FIGURE = Figure(
    order=5,
    name="startup",
    title="Start: import, help, first fit, a small scan",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
