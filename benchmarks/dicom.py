"""DICOM: how long reading a folder takes, headers alone and with all pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom

import ivimkit as ik
from benchmarks.clock import best_seconds, on_cores
from benchmarks.command import run_alone
from benchmarks.data import DICOM
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target

_REPEATS = 2
_FILES = 3000
_CORES = 2
# Private sequences of Philips take the longest to read.
_TEMPLATE = "philips_isotropic_in_series"
_LIMITS = {"headers": 3.0, "study": 20.0}


def measure(settings: Settings) -> Findings:
    """Time the collection, and a large study made from real headers of it."""
    seconds = dict.fromkeys(("headers", "list", "study"), math.nan)
    n_files = [0, 0]
    if DICOM.is_dir():
        n_files[0] = sum(path.is_file() for path in DICOM.rglob("*"))
        with on_cores(_CORES), TemporaryDirectory(prefix="ivimkit-dicom-") as folder:
            study = Path(folder)
            n_files[1] = _make_study(study, settings.size(_FILES))
            seconds["headers"] = _best(lambda: ik.io.find_scans(DICOM))
            seconds["list"] = _best(lambda: ik.io.find_scans(study))
            seconds["study"] = _best(lambda: _check(ik.load(study), n_files[1]))
    rows: list[list[Cell]] = [
        ["headers of the collection", n_files[0], seconds["headers"], _LIMITS["headers"]],
        ["headers of a study", n_files[1], seconds["list"], None],
        ["`ivimkit.load` of the study", n_files[1], seconds["study"], _LIMITS["study"]],
    ]
    return Findings(
        conditions={
            "threads": f"{_CORES} cores",
            "state": f"files in the system's cache; best of {_REPEATS} after one warm call",
            "data": "the public scans of five manufacturers that the tests use; the study has the "
            f"headers of Philips images, 80 x 80 pixels, with more slices (`{_TEMPLATE}`)",
        },
        checked="the study is read as 16 volumes with the published b-values, and all its slices.",
        tables=[
            Table(
                "Wall time in one process",
                [
                    Column("what"),
                    Column("files", "{:d}"),
                    Column("seconds", "{:.2f}"),
                    Column("limit, s", "{:g}"),
                ],
                rows,
            )
        ],
        targets=[
            _target("Headers of the collection", seconds["headers"], "headers"),
            _target("A study of 3 000 files on 2 cores", seconds["study"], "study"),
        ],
        notes=() if DICOM.is_dir() else ("The collection is not available: left out.",),
    )


def _best(call: Callable[[], object]) -> float:
    return best_seconds(call, repeats=_REPEATS)


def _target(text: str, seconds: float, limit: str) -> Target:
    measured = "not available" if math.isnan(seconds) else f"{seconds:.2f} s"
    reached = None if math.isnan(seconds) else seconds <= _LIMITS[limit]
    return Target(f"{text} ≤ {_LIMITS[limit]:g} s", measured, reached)


def _make_study(folder: Path, n_files: int) -> int:
    """Write the images of a real scan again and again, as further slices; return their number."""
    images = [pydicom.dcmread(path) for path in sorted((DICOM / _TEMPLATE).rglob("*.dcm"))]
    axes = np.array(images[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(*axes)
    places = np.array([normal @ np.array(d.ImagePositionPatient, dtype=float) for d in images])
    n_slices = len(np.unique(places.round(2)))
    height = (np.ptp(places) / (n_slices - 1)) * n_slices
    count = 0
    for copy in range(round(n_files / len(images))):
        for d in images:
            count += 1
            moved = np.array(d.ImagePositionPatient, dtype=float) + (copy > 0) * height * normal
            d.ImagePositionPatient = [f"{x:.6f}" for x in moved]
            d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{count}"
            d.save_as(folder / f"{count:05d}.dcm")
    return count


def _check(dwi: ik.DWI, n_files: int) -> None:
    b = dwi.acquisition.bvals
    if len(b) != 16 or sorted(set(b.tolist())) != [0.0, 2000.0]:
        raise AssertionError(f"the study has the b-values {b}")
    if dwi.shape[2] * 17 != n_files:
        raise AssertionError(f"the study of {n_files} files has {dwi.shape[2]} slices")


FIGURE = Figure(
    order=25,
    name="dicom",
    title="DICOM: time to read a folder",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
