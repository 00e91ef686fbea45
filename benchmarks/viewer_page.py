"""Viewer page: the page of `ivimkit view` in a real browser, for benchmarks."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.image import read_image
from benchmarks.process import ivimkit_command

__all__ = ["DRAWN", "Served", "check_voxel", "clicks", "page_of", "served"]

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
DRAWN = """() => {
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
class Served:
    """A viewer that is running: its address, and the number of its process."""

    address: str
    process: int


@contextmanager
def served(maps: Path, prepare: Callable[[], None] | None = None) -> Iterator[Served]:
    """Serve the maps of a folder; `prepare` is called in the new process."""
    words = [*ivimkit_command(), "view", str(maps), "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, preexec_fn=prepare) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)
                if found:
                    yield Served(found[0], process.pid)
                    return
            raise AssertionError("ivimkit view ended without an address")
        finally:
            process.terminate()


@contextmanager
def page_of(*options: str) -> Iterator[Any]:
    """Start a browser, with further options of its command line, and return an empty page."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        raise AssertionError(f"there is no browser; expected one of {', '.join(_BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*_FLAGS, *options])
        yield browser.new_page(viewport={"width": 1280, "height": 800})
        browser.close()


def clicks(
    page: Any,
    most: int,
    across: tuple[float, float] = (0.15, 0.3),
    down: tuple[float, float] = (0.3, 0.7),
) -> tuple[float, ...]:
    """Click that often in the axial slice, on the left of the picture, and return the times, s.

    `across` and `down` are the shares of the picture between which the clicks are.
    """
    page.evaluate(_WATCH)
    box = page.locator("[data-testid=view-0] .slices").bounding_box()
    generator = np.random.default_rng(0)
    for n in range(1, most + 1):
        # Never twice in the same voxel.
        x = generator.uniform(*across) + (across[1] - across[0] + 0.05) * (n % 2)
        y = generator.uniform(*down)
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        for _ in range(200):
            if len(page.evaluate("window.waited")) >= n:
                break
            page.wait_for_timeout(10)
        page.wait_for_timeout(100)
    waited = tuple(page.evaluate("window.waited"))
    if len(waited) != most:
        raise AssertionError(f"{most} clicks had {len(waited)} answers")
    return waited


def check_voxel(page: Any, maps: Path) -> None:
    """Compare the estimates on the page with those of the maps on disk."""
    voxel = tuple(page.evaluate("window.ivimkit.viewer.voxel"))
    for name in ("S0", "f", "D_star", "D", "ADC"):
        row = page.locator(f'[data-testid=estimates] [data-estimate="{name}"] [data-fit="0"]')
        shown = row.get_attribute("data-value")
        expected = float(read_image(maps / f"{name}.nii.gz")[voxel])
        found = math.nan if shown is None else float(shown)
        if not np.array_equal(found, expected, equal_nan=True):
            raise AssertionError(
                f"{name} at {voxel} is {found} on the page and {expected} on disk"
            )
