"""Viewer: a whole brain in a real browser, time to the first picture and after a click."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.figure import Column, Figure, Findings, Settings, Table, Target
from benchmarks.image import read_image, write_image
from benchmarks.machine import usable_cores
from benchmarks.process import ivimkit_command, run_command
from ivimkit.simulate import B13

_SHAPE = (256, 256, 54)
_FIRST, _CLICK = 2.0, 0.1
_STARTS, _CLICKS = 5, 30
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # WebGL in software, on the same cores as the server: a machine without a graphics card.
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)

# Reading a pixel waits until everything before it has been drawn.
_DRAWN = """() => {
  const { gl } = window.ivimkit.viewer.views[0].picture.niivue;
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  return performance.now() / 1000;
}"""

# From the press of the button to the numbers and the curve of that voxel on the page.
_WATCH = """() => {
  window.waited = [];
  let pressed = 0;
  document.addEventListener("pointerdown", () => (pressed = performance.now()), true);
  const panel = document.querySelector("[data-voxel]");
  new MutationObserver(() => window.waited.push((performance.now() - pressed) / 1000))
    .observe(panel, { attributeFilter: ["data-voxel"] });
}"""


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
        with _served(maps) as address:
            outcomes = [_look(address, maps) for _ in range(_STARTS)]
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


@contextmanager
def _served(maps: Path) -> Iterator[str]:
    """Serve the maps, and return the address."""
    words = [*ivimkit_command(), "view", str(maps), "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)
                if found:
                    yield found[0]
                    return
            raise AssertionError("ivimkit view ended without an address")
        finally:
            process.terminate()


def _look(address: str, maps: Path) -> _Outcome:
    """Open the page in a new browser, click in it, and check its content."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        raise AssertionError(f"there is no browser; expected one of {', '.join(_BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address, wait_until="commit")
        page.wait_for_selector("html[data-ready]", state="attached")
        first = page.evaluate(_DRAWN)
        page.wait_for_selector("[data-voxel]")
        clicks = _click(page)
        _check(page, maps)
        browser.close()
    return _Outcome(first, clicks)


def _click(page: Any) -> tuple[float, ...]:
    page.evaluate(_WATCH)
    box = page.locator("[data-testid=view-0] .slices").bounding_box()
    generator = np.random.default_rng(0)
    for n in range(1, _CLICKS + 1):
        # In the axial slice, which is on the left; never twice in the same voxel.
        across = generator.uniform(0.15, 0.3) + 0.2 * (n % 2)
        down = generator.uniform(0.3, 0.7)
        page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])
        for _ in range(200):
            if len(page.evaluate("window.waited")) >= n:
                break
            page.wait_for_timeout(10)
        page.wait_for_timeout(100)
    waited = tuple(page.evaluate("window.waited"))
    if len(waited) != _CLICKS:
        raise AssertionError(f"{_CLICKS} clicks had {len(waited)} answers")
    return waited


def _check(page: Any, maps: Path) -> None:
    voxel = tuple(page.evaluate("window.ivimkit.viewer.voxel_answer"))
    for name in ("S0", "f", "D_star", "D", "ADC"):
        row = page.locator(f'[data-testid=estimates] [data-estimate="{name}"] [data-fit="0"]')
        shown = row.get_attribute("data-value")
        expected = float(read_image(maps / f"{name}.nii.gz")[voxel])
        found = math.nan if shown is None else float(shown)
        if not np.array_equal(found, expected, equal_nan=True):
            raise AssertionError(
                f"{name} at {voxel} is {found} on the page and {expected} on disk"
            )


FIGURE = Figure(
    order=20,
    name="viewer",
    title="Viewer: first picture, answer to a click",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
