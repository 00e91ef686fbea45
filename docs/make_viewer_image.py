"""Draw the picture of the viewer: `python docs/make_viewer_image.py`. Needs Chromium."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import ivimkit as ik

IMAGE = Path(__file__).parent / "images" / "viewer.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
LESION = "lesion"


def main() -> None:
    """Open the page on two fits of the abdomen phantom, and draw around its lesion."""
    made = ik.simulate.phantom("abdomen", bvals=sorted(3 * ik.simulate.B13))
    results = [ik.fit(made.dwi, uncertainty="curvature"), ik.fit(made.dwi, method="segmented")]
    labels = ik.Labels(made.region(LESION), {1: LESION})
    path = next(filter(None, map(shutil.which, BROWSERS)))
    with (
        ik.view(*results, labels=labels, open_browser=False) as viewer,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(viewer.url)
        page.wait_for_selector("html[data-ready]", state="attached")
        arrange(page, made.region(LESION))
        shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    shot.save(IMAGE, optimize=True)
    print(f"{IMAGE.name}: {IMAGE.stat().st_size / 1000:.0f} kB")


def arrange(page: Page, lesion: NDArray[np.bool_]) -> None:
    """Go to the middle of the lesion, and show the tissue and blood components."""
    middle = np.argwhere(lesion).mean(axis=0).round().astype(int).tolist()
    page.evaluate("voxel => window.ivimkit.viewer.setVoxel(voxel)", middle)
    page.wait_for_selector(f'[data-voxel="{",".join(map(str, middle))}"]')
    page.get_by_test_id("components").check()
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
