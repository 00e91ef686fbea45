"""Report: the report of a whole brain from the command line, its wall time and size."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.image import write_image
from benchmarks.machine import usable_cores
from benchmarks.process import Run, ivimkit_command, run_command
from ivimkit.simulate import B13, Phantom

_SHAPE = (256, 256, 54)
_SECONDS, _MEGABYTES = 20.0, 15.0
_REPEATS = 2

_SECTIONS = (
    *("summary", "acquisition", "maps", "histograms", "curves", "status", "residuals"),
    *("methods", "provenance"),
)


@dataclass(frozen=True)
class _Case:
    """One page."""

    name: str
    run: Run
    size: int
    limited: bool

    def row(self) -> list[Cell]:
        return [self.name, self.run.seconds, self.size / 1e6, self.run.peak / 1e6]


def measure(settings: Settings) -> Findings:
    """Fit a volume, report on it in separate processes, and check the pages."""
    shape = _SHAPE if settings.voxels is None else _shape_of(settings.voxels)
    print(f"report: making a brain of {' x '.join(map(str, shape))} ...", flush=True)
    phantom = ik.simulate.phantom("brain", shape=shape, bvals=B13, snr=40, seed=0)
    with TemporaryDirectory(prefix="ivimkit-report-") as folder:
        cases = _pages(phantom, Path(folder))
    limited = [case for case in cases if case.limited]
    slowest = max(case.run.seconds for case in limited)
    largest = max(case.size for case in limited) / 1e6
    whole = shape == _SHAPE and len(usable_cores()) <= 2
    size = " × ".join(map(str, shape))
    return Findings(
        conditions={
            "data": f"simulated brain, {size} × {len(B13)}, {phantom.dwi.n_voxels} voxels in the "
            "mask, SNR 40",
            "command": "`ivimkit report`, with start of the interpreter and reading of maps and "
            f"the scan; best of {_REPEATS}",
            "state": "warm (files in the system's cache)",
        },
        checked="every page has all its sections and a picture of each map, and loads nothing.",
        tables=[
            Table(
                f"{size}, {len(usable_cores())} cores",
                [
                    Column("page"),
                    Column("wall time, s", "{:.1f}"),
                    Column("size, MB", "{:.1f}"),
                    Column("peak memory, MB", "{:.0f}"),
                ],
                [case.row() for case in cases],
            )
        ],
        targets=[
            Target(
                f"The report of a volume within {_SECONDS:g} s on 2 cores",
                f"{slowest:.1f} s",
                slowest <= _SECONDS if whole else None,
            ),
            Target(
                f"A page of at most {_MEGABYTES:g} MB",
                f"{largest:.1f} MB",
                largest <= _MEGABYTES if whole else None,
            ),
        ],
    )


def _shape_of(voxels: int) -> tuple[int, int, int]:
    """Return a small matrix of about this many voxels."""
    side = max(24, math.isqrt(voxels // 3))
    return side, side, 3


def _pages(phantom: Phantom, folder: Path) -> list[_Case]:
    dwi = phantom.dwi
    scan, mask, labels = (folder / f"{name}.nii.gz" for name in ("dwi", "mask", "labels"))
    write_image(scan, dwi.signal.astype(np.float32, copy=False), dwi.affine)
    np.savetxt(folder / "dwi.bval", np.asarray(B13)[None], fmt="%g")
    write_image(mask, dwi.mask.astype(np.uint8), dwi.affine)
    write_image(labels, phantom.labels.astype(np.int16), dwi.affine)
    results = []
    for method, more in (("varpro", ["--uncertainty", "curvature"]), ("segmented", [])):
        out = folder / method
        words = [*ivimkit_command(), "fit", str(scan), "--mask", str(mask), "--out", str(out)]
        run_command([*words, "--method", method, *more, "--no-figures", "--quiet"])
        results.append(out)
    first = phantom.labels.ravel()[np.flatnonzero(phantom.labels)]
    number = int(np.bincount(first).argsort()[-2])
    return [
        _page("one result", [str(results[0])], folder, limited=True),
        _page(
            "one result, its tissues as regions, one of them as a lesion",
            [str(results[0]), "--labels", str(labels), "--lesion", str(number)],
            folder,
            limited=True,
        ),
        _page("two results", [str(result) for result in results], folder, limited=False),
    ]


def _page(name: str, words: Sequence[str], folder: Path, *, limited: bool) -> _Case:
    page = folder / "page.html"
    command = [*ivimkit_command(), "report", *words, "--out", str(page), "--overwrite", "-q"]
    run = min((run_command(command) for _ in range(_REPEATS)), key=lambda one: one.seconds)
    _check(page.read_text(encoding="utf-8"))
    return _Case(name, run, page.stat().st_size, limited)


def _check(html: str) -> None:
    missing = [name for name in _SECTIONS if f'<h2 id="{name}">' not in html]
    if missing:
        raise AssertionError(f"the page has no section {missing[0]}")
    loads = re.findall(r'(?:src|<link[^>]*href)="(?!data:)([^"]*)"', html)
    if loads:
        raise AssertionError(f"the page loads {loads[0]}")
    shown = re.findall(r'alt="([^",]*), [^"]*slices', html)
    missing = [symbol for symbol in ("ADC", "D", "f", "D*", "f D*") if symbol not in shown]
    if missing:
        raise AssertionError(f"the page has no mosaic of {missing[0]}")


FIGURE = Figure(
    order=19,
    name="report",
    title="The report of a whole volume",
    measure=measure,
    only_full=True,
    full_takes="some minutes, 2 GB of memory and 0.5 GB of disk",
)

if __name__ == "__main__":
    run_alone(FIGURE)
