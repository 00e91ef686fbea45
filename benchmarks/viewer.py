"""Viewer: a whole brain in a real browser, time to the first picture and after a click."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.figure import Column, Figure, Findings, Settings, Table, Target
from benchmarks.image import write_image
from benchmarks.machine import usable_cores
from benchmarks.process import ivimkit_command, run_command
from benchmarks.viewer_page import DRAWN, check_voxel, clicks, page_of, served
from ivimkit.simulate import B13

_SHAPE = (256, 256, 54)
_FIRST, _CLICK = 2.0, 0.1
_STARTS, _CLICKS = 5, 30


@dataclass(frozen=True)
class _Outcome:
    """Times of one start of the browser, s."""

    first: float
    clicks: tuple[float, ...]


def measure(settings: Settings) -> Findings:
    """Fit a volume, serve it with `ivimkit view`, open it and click in it."""
    shape = _SHAPE if settings.voxels is None else _shape_of(settings.voxels)
    print(f"viewer: making a brain of {' x '.join(map(str, shape))} ...", flush=True)
    with TemporaryDirectory(prefix="ivimkit-viewer-") as folder:
        maps = _fit(shape, Path(folder))
        with served(maps) as server:
            outcomes = [_look(server.address, maps) for _ in range(_STARTS)]
    first = [outcome.first for outcome in outcomes]
    clicks = [seconds for outcome in outcomes for seconds in outcome.clicks]
    whole = shape == _SHAPE and len(usable_cores()) <= 2
    size = " × ".join(map(str, shape))
    typical_first, typical_click = float(np.median(first)), float(np.median(clicks))
    return Findings(
        conditions={
            "data": f"simulated brain, {size} × {len(B13)}, SNR 40, method varpro",
            "command": "`ivimkit view`; server and browser on the same cores",
            "browser": "headless Chromium, WebGL in software, 1280 × 800 pixels; a new one for "
            f"each of {_STARTS} starts",
            "state": "warm (files in the system's cache, compiled code cached)",
            "first picture": "from the start of the navigation until base image and overlay have "
            "been drawn in all planes",
            "click": "from the press of the button until curve and estimates of that voxel are on "
            "the page",
        },
        checked="the estimates on the page after the last click of each start are those of the "
        "NIfTI maps at that voxel.",
        tables=[
            Table(
                f"{size}, {len(usable_cores())} cores",
                [
                    Column("what"),
                    Column("n", "{:d}"),
                    Column("median, s", "{:.3f}"),
                    Column("95 %, s", "{:.3f}"),
                    Column("largest, s", "{:.3f}"),
                ],
                [
                    ["first picture", len(first), *_summary(first)],
                    ["click", len(clicks), *_summary(clicks)],
                ],
            )
        ],
        targets=[
            Target(
                f"First picture within {_FIRST:g} s on 2 cores",
                f"{typical_first:.2f} s",
                typical_first <= _FIRST if whole else None,
            ),
            Target(
                f"A click is answered within {1000 * _CLICK:g} ms",
                f"{1000 * typical_click:.0f} ms",
                typical_click <= _CLICK if whole else None,
            ),
        ],
    )


def _summary(seconds: list[float]) -> tuple[float, float, float]:
    return float(np.median(seconds)), float(np.percentile(seconds, 95)), max(seconds)


def _shape_of(voxels: int) -> tuple[int, int, int]:
    side = max(32, math.isqrt(voxels // 4))
    return side, side, 4


def _fit(shape: tuple[int, int, int], folder: Path) -> Path:
    """Fit a scan from the command line, like a user, and return the folder of the maps."""
    dwi = ik.simulate.phantom("brain", shape=shape, bvals=B13, snr=40, seed=0).dwi
    write_image(folder / "brain.nii.gz", dwi.signal.astype(np.float32), dwi.affine)
    np.savetxt(folder / "brain.bval", np.asarray(B13)[None], fmt="%g")
    write_image(folder / "mask.nii.gz", dwi.mask.astype(np.uint8), dwi.affine)
    words = [*ivimkit_command(), "fit", str(folder / "brain.nii.gz"), "--no-figures", "--quiet"]
    run_command([*words, "--mask", str(folder / "mask.nii.gz"), "--out", str(folder / "maps")])
    return folder / "maps"


def _look(address: str, maps: Path) -> _Outcome:
    """Open the page in a new browser, click in it, and check its content."""
    with page_of() as page:
        page.goto(address, wait_until="commit")
        page.wait_for_selector("html[data-ready]", state="attached")
        first = page.evaluate(DRAWN)
        page.wait_for_selector("[data-voxel]")
        waited = clicks(page, _CLICKS)
        check_voxel(page, maps)
    return _Outcome(first, waited)


FIGURE = Figure(
    order=20,
    name="viewer",
    title="Viewer: first picture, answer to a click",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
