"""The page of a scan of which it has every few voxels, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import PageMissingError
from ivimkit.viewer import shown_grid
from ivimkit.viewer.page_files import page_files

READY = "html[data-ready]"
# The first axis runs to the back, the second to the right, the third to the feet.
AFFINE = np.array([[0, 2.0, 0, 0], [-2.0, 0, 0, 0], [0, 0, -5.0, 0], [0, 0, 0, 1]])
STRIDE = (3, 3, 1)
LEGEND = "[data-testid=legend-overlay] output[data-value]"

_FEW_KEPT = """async () => {
  const { viewer } = window.ivimkit;
  const { volumes } = viewer;
  volumes.most = 4 * volumes.largest;
  for (const key of [...viewer.images.keys()].slice(0, 8)) await viewer.setBase(key);
  const kept = [...volumes.kept.values()];
  return [kept.reduce((sum, { bytes }) => sum + bytes, 0), [...volumes.kept.keys()]];
}"""


@pytest.fixture(scope="module")
def result() -> ik.FitResult:
    try:
        page_files()
    except PageMissingError as error:
        pytest.skip(str(error))
    made = ik.simulate.phantom(shape=(32, 23, 4))
    turned = (np.swapaxes(one, 0, 1) for one in (made.dwi.signal, made.labels > 0))
    signal, mask = turned
    dwi = ik.DWI(signal, made.dwi.acquisition, affine=AFFINE, mask=mask)
    return ik.fit(dwi, method="segmented")


@pytest.fixture
def page(visit: Callable[..., Any], result: ik.FitResult) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shown_grid, "MAX_WHOLE_VOXELS", 400)
        patch.setattr(shown_grid, "MAX_THINNED_VOXELS", 400)
        with ik.view(result, open_browser=False) as viewer:
            seen = visit(viewer.url, viewport={"width": 1000, "height": 640})
            seen.page.wait_for_selector(READY, state="attached")
            yield seen.page
            # The driver in software speaks of its speed.
            assert [error for error in seen.errors if "GL Driver Message" not in error] == []


def crosshair(page: Any) -> tuple[int, ...]:
    return tuple(page.evaluate("window.ivimkit.viewer.voxel"))


def check_table(page: Any, result: ik.FitResult, labels: ik.Labels, n: int) -> None:
    table = ik.quality.roi_table(result, labels)
    page.wait_for_selector(f'[data-testid=regions] .size:has-text("{n} voxels")')
    for region in labels:
        for name in ("D", "f"):
            row = f'[data-testid=region-table] tr[data-map="{name}"][data-region="{region}"]'
            shown = page.locator(f"{row} [data-value]").get_attribute("data-value")
            assert float(shown) == table.loc[(region, name), "mean"]


def test_every_voxel_can_be_looked_at_and_measured(
    page: Any, result: ik.FitResult, tmp_path: Path
) -> None:
    assert page.evaluate("window.ivimkit.viewer.scene.stride") == list(STRIDE)
    assert (
        "one voxel of each block of 3 × 3 × 1 voxels"
        in page.get_by_test_id("thinned").inner_text()
    )
    # A click finds the voxel that is shown; the keys find those between.
    box = page.locator("[data-testid=view-0] .slices").bounding_box()
    page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    clicked = crosshair(page)
    assert all(i % step == 0 for i, step in zip(clicked, STRIDE, strict=True))
    for key in ("ArrowLeft", "ArrowUp", "PageUp"):
        page.keyboard.press(key)
    # To the patient's right, to the front, and to the head, by one voxel each.
    voxel = crosshair(page)
    moved = np.subtract(voxel, clicked)
    np.testing.assert_array_equal(AFFINE[:3, :3] @ moved, [2, 2, 5])
    page.wait_for_selector(f'[data-voxel="{",".join(map(str, voxel))}"]')
    page.wait_for_selector(LEGEND)
    factor = page.evaluate("window.ivimkit.viewer.image('0/D').factor")
    shown = float(page.locator(LEGEND).get_attribute("data-value"))
    assert shown == pytest.approx(float(np.float32(result.maps["D"][voxel])) * factor, nan_ok=True)

    # Images have an upper limit of memory, and those that are shown stay.
    bytes_kept, urls = page.evaluate(_FEW_KEPT)
    assert bytes_kept <= 4 * (352 + 4 * 8 * 11 * 4)
    assert {"volumes/0/D.nii", "volumes/scan/7.nii"} <= set(urls)

    # A region of blocks is measured voxel by voxel, also where the last ones are cut off.
    page.get_by_test_id("tab-regions").click()
    page.evaluate("window.ivimkit.viewer.setVoxel([12, 31, 1])")
    page.get_by_test_id("around").click()
    drawn = np.zeros(result.shape, np.uint8)
    drawn[6:21, 24:32, 1] = 1
    check_table(page, result, ik.Labels(drawn, {1: "region 1"}), 15 * 8)

    # A mask is measured and saved as it was loaded, whatever the blocks.
    mask = np.zeros(result.shape, np.uint8)
    mask[4:11, 9:17, 1:3], mask[13, 14, 2] = 1, 3
    nib.save(nib.Nifti1Image(mask, AFFINE), tmp_path / "mask.nii.gz")
    page.get_by_test_id("load-mask").set_input_files(tmp_path / "mask.nii.gz")
    check_table(page, result, ik.Labels(mask, {1: "region 1", 3: "region 3"}), 112)
    with page.expect_download() as download:
        page.get_by_test_id("save-mask").click()
    assert download.value.suggested_filename == "regions.nii.gz"
    download.value.save_as(tmp_path / "saved.nii.gz")
    saved = nib.load(tmp_path / "saved.nii.gz")
    np.testing.assert_array_equal(np.asarray(saved.dataobj), mask)
    np.testing.assert_array_equal(saved.affine, AFFINE)
