"""The page of the viewer in a real browser, with its real server."""

from __future__ import annotations

import itertools
import logging
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

import ivimkit as ik
import page_tools
from ivimkit.errors import InputError, PageMissingError
from ivimkit.figures.status_panels import grades
from ivimkit.status import gravest
from ivimkit.viewer.page_files import page_files
from ivimkit.viewer.routes import Routes

# The first axis runs to the back, the second to the right, the third to the feet: nothing is
# where a page would have it that takes indices for positions.
AFFINE = np.array(
    [[0.0, 2.5, 0.0, -38.0], [-3.0, 0.0, 0.0, 31.0], [0.0, 0.0, -5.0, 12.0], [0.0, 0.0, 0.0, 1.0]]
)
SHAPE = (24, 32, 4)
INSIDE, EMPTY = (9, 8, 2), (1, 1, 2)
READY = "html[data-ready]"
# Of 255: one step of the colour table, and rounding of two blends.
ONE_COLOUR = 4
OUTLINE_OF_3 = (0, 179, 134)
MESSAGES = "[data-testid=messages] .message.error span"
ENDED = (
    "The viewer does not answer: ivimkit view has ended. Start it again and open its new address."
)
# The statistics of the regions as they are drawn, not as they were.
MEASURED = '[data-testid=region-results][aria-busy="false"] [data-testid=region-table]'
LAPTOP, PHONE = {"width": 1000, "height": 640}, {"width": 390, "height": 844}
Voxel = tuple[int, int, int]


@pytest.fixture(scope="module")
def dwi() -> ik.DWI:
    try:
        page_files()
    except PageMissingError as error:
        pytest.skip(str(error))
    made = ik.simulate.phantom("abdomen", shape=(32, 24, 4), bvals=sorted(2 * ik.simulate.B13))
    signal_of = np.swapaxes(made.dwi.signal, 0, 1)
    mask = np.swapaxes(made.labels > 0, 0, 1)
    return ik.DWI(signal_of, made.dwi.acquisition, affine=AFFINE, mask=mask)


@pytest.fixture(scope="module")
def varpro(dwi: ik.DWI) -> ik.FitResult:
    return ik.fit(dwi, method="varpro", uncertainty="curvature")


@pytest.fixture(scope="module")
def segmented(dwi: ik.DWI) -> ik.FitResult:
    return ik.fit(dwi, method="segmented")


@pytest.fixture(scope="module")
def labels(varpro: ik.FitResult) -> ik.Labels:
    array = np.zeros(SHAPE, np.int32)
    array[6:10, 6:11, 1:3] = 3
    array[12:15, 20:24, 2] = 5
    return ik.Labels(array, {3: "liver", 5: "spleen"})


@pytest.fixture(scope="module")
def address(varpro: ik.FitResult, segmented: ik.FitResult, labels: ik.Labels) -> Iterator[str]:
    with ik.view(varpro, segmented, labels=labels, open_browser=False) as viewer:
        yield viewer.url


# The page as it was when it opened, by its own controls: opening it again takes ten times longer.
_AS_OPENED = """async () => {
  const { viewer } = window.ivimkit;
  const one = (name) => document.querySelector(`[data-testid="${name}"]`);
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  document.querySelectorAll(".refit details, .as-table").forEach((one) => (one.open = false));
  document.querySelectorAll(".message button").forEach((close) => close.click());
  if (one("flip").ariaPressed === "true") one("flip").click();
  one("flip-rate").value = "4";
  await window.ivimkit.page.arrange("one");
  while (!one("undo").disabled) one("undo").click();
  document.querySelector("input[type=radio][value=navigate]").click();
  window.ivimkit.page.regionsPanel.sketches.cancel();
  one("refit-result").dispatchEvent(new Event("input"));
  for (const name of ["components", "log-axis"]) if (one(name).checked) one(name).click();
  if (!one("fading").checked) one("fading").click();
  for (const [key, { limits, colormap }] of viewer.images) {
    const own = { colormap, limits, shown: [-Infinity, Infinity] };
    const look = viewer.look(key);
    const changed = Object.keys(own).some((part) => String(look[part]) !== String(own[part]));
    if (changed) await viewer.resetLook(key);
  }
  viewer.setOpacity(0.75);
  viewer.setLayout("planes");
  viewer.setVoxel(viewer.scene.shape.map((n) => Math.floor(n / 2)));
  const [view] = viewer.views;
  view.picture.zoom(0);
  await viewer.setBase("scan/0");
  await viewer.setOverlay(view, viewer.favourite(viewer.scene.results[0]));
  one("tab-voxel").click();
  view.picture.canvas.focus();
}"""


@pytest.fixture(scope="module")
def shared(visit_of_module: Callable[..., Any], address: str) -> Any:
    seen = visit_of_module(address, viewport=LAPTOP)
    seen.page.wait_for_selector(READY, state="attached")
    return seen


@pytest.fixture
def opened(shared: Any, address: str) -> Iterator[Any]:
    """The page, as after opening; at the end it must not have complained or asked anyone else."""
    shared.page.evaluate(_AS_OPENED)
    shared.errors.clear()
    shared.requests.clear()
    yield shared
    assert shared.errors == []
    own = urlsplit(address).netloc
    others = [url for url in shared.requests if urlsplit(url).netloc not in (own, "")]
    assert [url for url in others if not url.startswith(("data:", "blob:"))] == []


@pytest.fixture
def page(opened: Any) -> Any:
    return opened.page


@dataclass(frozen=True)
class Slices:
    """Where voxels are on the screen, from the affine alone and radiological custom."""

    left: float
    top: float
    width: float
    height: float

    def place(self, voxel: Voxel) -> tuple[float, float]:
        corners = np.array(list(itertools.product(*[(-0.5, n - 0.5) for n in SHAPE])))
        ends = corners @ AFFINE[:3, :3].T + AFFINE[:3, 3]
        low, high = ends.min(axis=0), ends.max(axis=0)
        at = (AFFINE @ [*voxel, 1.0])[:3] - (low + high) / 2
        scale = min(self.width / (high - low)[0], self.height / (high - low)[1])
        x, y = (
            self.left + self.width / 2 - at[0] * scale,
            self.top + self.height / 2 - at[1] * scale,
        )
        return float(x), float(y)


def drawn(page: Any) -> None:
    """Wait until what was asked for is on the screen."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def slices(page: Any, view: int = 0) -> Slices:
    """Show axial slices, and say where they are."""
    page.get_by_label("Axial").check()
    drawn(page)
    box = page.locator(f"[data-testid=view-{view}] .slices").bounding_box()
    return Slices(box["x"], box["y"], box["width"], box["height"])


def go(page: Any, voxel: Voxel) -> None:
    """Bring the crosshair to a voxel with a click, in its slice."""
    start = crosshair(page)
    page.locator("[data-testid=view-0] canvas[tabindex]").focus()
    # Its third axis runs to the feet, Page Up goes to the head.
    for _ in range(abs(voxel[2] - start[2])):
        page.keyboard.press("PageUp" if voxel[2] < start[2] else "PageDown")
    page.mouse.click(*slices(page).place(voxel))
    page.wait_for_selector(f'[data-voxel="{",".join(map(str, voxel))}"]')


def crosshair(page: Any) -> Voxel:
    x, y, z = page.evaluate("window.ivimkit.viewer.voxel")
    return x, y, z


def drag(page: Any, start: Voxel, end: Voxel) -> None:
    where = slices(page)
    page.mouse.move(*where.place(start))
    page.mouse.down()
    page.mouse.move(*where.place(end), steps=4)
    page.mouse.up()


def estimate(page: Any, name: str, fit: str) -> float:
    cell = page.locator(f'[data-testid=estimates] [data-estimate="{name}"] [data-fit="{fit}"]')
    return float(cell.first.get_attribute("data-value"))


def region_value(page: Any, name: str, region: str) -> float:
    row = f'[data-testid=region-table] tr[data-map="{name}"][data-region="{region}"]'
    return float(page.locator(f"{row} [data-value]").get_attribute("data-value"))


def check_table(page: Any, result: ik.FitResult, drawn: ik.Labels) -> pd.DataFrame:
    """Compare the page's statistics with the table of `roi_table`, digit by digit."""
    table = ik.quality.roi_table(result, drawn)
    compare_table(page, table, drawn)
    return table


def compare_table(page: Any, table: pd.DataFrame, drawn: ik.Labels) -> None:
    page.wait_for_selector(MEASURED)
    for region, name in itertools.product(drawn, ("S0", "f", "D_star", "D", "ADC")):
        assert region_value(page, name, region) == table.loc[(region, name), "mean"]


def pixels(page: Any, view: int = 0) -> NDArray[np.uint8]:
    from PIL import Image

    drawn(page)
    shot = page.locator(f"[data-testid=view-{view}] .slices").screenshot()
    return np.asarray(Image.open(BytesIO(shot)).convert("RGB"))


def test_every_map_is_shown_where_its_voxels_are(page: Any, varpro: ik.FitResult) -> None:
    """At full opacity the colour of a pixel is that of the map's value, and NaN has none."""
    go(page, (9, 8, 1))
    scene = page.evaluate("window.ivimkit.viewer.scene")
    where = slices(page)
    page.get_by_test_id("tab-display").click()
    page.get_by_test_id("opacity").fill("1")
    inside = [(9, 8, 1), (5, 12, 1), (12, 22, 1), (15, 10, 1)]
    outside = [(1, 1, 1), (22, 30, 1)]
    page.get_by_test_id("overlay").select_option("")
    base = pixels(page)
    for about in scene["results"][0]["maps"]:
        page.get_by_test_id("overlay").select_option(f"0/{about['name']}")
        legend = f'[data-testid=legend-overlay]:has-text("{about["label"]}") output[data-value]'
        page.wait_for_selector(legend)
        shown = page.locator("[data-testid=legend-overlay] output").get_attribute("data-value")
        assert float(shown) == pytest.approx(
            float(np.float32(varpro.maps[about["name"]][9, 8, 1])) * about["factor"], nan_ok=True
        )
        if about["name"] not in ("S0", "f", "D", "D_sd"):
            continue
        drawn, table = pixels(page), scene["colormaps"][about["colormap"]]
        low, high = about["limits"]
        colours = np.stack([table["R"], table["G"], table["B"]], axis=-1)
        for voxel in inside:
            x, y = where.place(voxel)
            # Off the middle, where the crosshair may be.
            found = drawn[round(y - where.top) + 5, round(x - where.left) + 5].astype(int)
            value = varpro.maps[about["name"]][voxel]
            if math.isnan(value):
                assert (
                    abs(found - base[round(y - where.top) + 5, round(x - where.left) + 5]).max()
                    == 0
                )
                continue
            step = 1 + 254 * min(max((value - low) / (high - low), 0.0), 1.0)
            near = colours[max(0, round(step) - 3) : round(step) + 4]
            assert abs(near - found).max(axis=1).min() <= ONE_COLOUR, (about["name"], voxel)
        for voxel in outside:
            x, y = (round(part) for part in where.place(voxel))
            spot = (y - round(where.top), x - round(where.left))
            assert (drawn[spot] == base[spot]).all()


def colour_at(page: Any, where: Slices, voxel: Voxel) -> NDArray[np.int_]:
    x, y = where.place(voxel)
    # Off the middle, where the crosshair may be.
    return pixels(page)[round(y - where.top) + 5, round(x - where.left) + 5].astype(int)


def test_the_status_is_shown_in_colours_with_words(page: Any, varpro: ik.FitResult) -> None:
    """Each voxel has the colour of its most serious flag; the legend tells and counts them."""
    go(page, (9, 8, 1))
    page.get_by_test_id("tab-display").click()
    page.get_by_test_id("opacity").fill("1")
    page.get_by_test_id("overlay").select_option("0/status")
    page.wait_for_selector("[data-testid=legend-overlay] li")
    legend = page.get_by_test_id("legend-overlay").locator("li")
    told = [
        (li.get_attribute("data-grade"), int(li.get_attribute("data-shown")))
        for li in legend.all()
    ]
    expected = grades(varpro)
    assert told == [(grade.name, grade.shown) for grade in expected]
    assert sum(n for _, n in told) == varpro.mask.sum()
    words = page.get_by_test_id("legend-overlay").inner_text()
    assert "D* at its upper bound" in words
    assert "perfusion not detected" in words
    assert "_" not in words
    worst = gravest(varpro.status, varpro.model)
    where = slices(page)
    for grade in expected:
        there = np.argwhere(worst[:, :, 1] == grade.flag)
        if len(there):
            voxel = (int(there[0][0]), int(there[0][1]), 1)
            wanted = [int(grade.colour[k : k + 2], 16) for k in (1, 3, 5)]
            assert abs(colour_at(page, where, voxel) - wanted).max() <= ONE_COLOUR, grade
    here = page.get_by_test_id("legend-overlay").locator("li[aria-current]")
    flag = int(worst[9, 8, 1])
    assert here.get_attribute("data-grade") == next(g.name for g in expected if g.flag == flag)
    assert page.get_by_test_id("overlay-low").count() == 0, "a status has no range"


def test_what_is_not_reliable_is_faded_and_the_switch_shows_it(
    page: Any, varpro: ik.FitResult
) -> None:
    doubtful = np.isfinite(varpro.maps["D_star"]) & np.isnan(varpro.reliable("D_star"))
    good = np.isfinite(varpro.reliable("D_star"))
    pale, sure = ((*map(int, np.argwhere(one[:, :, 1])[0]), 1) for one in (doubtful, good))
    go(page, pale)
    page.get_by_test_id("tab-display").click()
    page.get_by_test_id("opacity").fill("1")
    page.get_by_test_id("overlay").select_option("0/D_star")
    note = page.get_by_test_id("doubtful-overlay")
    note.wait_for()
    text = note.inner_text().replace("\u202f", "")
    assert text.startswith("faded: not reliable")
    # The value of the voxel comes from the server.
    page.locator("[data-testid=legend-overlay] output:has-text('not reliable')").wait_for()
    assert f"{doubtful.sum()} of {varpro.mask.sum()}" in text
    where, scene = slices(page), page.evaluate("window.ivimkit.viewer.scene")
    about = next(one for one in scene["results"][0]["maps"] if one["name"] == "D_star")
    table = scene["colormaps"][about["colormap"]]
    colours = np.stack([table["R"], table["G"], table["B"]], axis=-1)

    def distance(voxel: Voxel) -> int:
        low, high = about["limits"]
        share = min(max((varpro.maps["D_star"][voxel] - low) / (high - low), 0.0), 1.0)
        near = colours[max(0, round(1 + 254 * share) - 3) :][:7]
        return int(abs(near - colour_at(page, where, voxel)).max(axis=1).min())

    assert distance(sure) <= ONE_COLOUR
    assert distance(pale) > 10 * ONE_COLOUR
    page.get_by_test_id("fading").uncheck()
    page.wait_for_selector("[data-testid=doubtful-overlay]:has-text('not faded')")
    assert distance(sure) <= ONE_COLOUR
    assert distance(pale) <= ONE_COLOUR


def test_range_colours_threshold_and_opacity_change_the_picture(
    page: Any, varpro: ik.FitResult
) -> None:
    go(page, (9, 8, 1))
    page.get_by_test_id("tab-display").click()
    where, voxel = slices(page), (5, 12, 1)
    x, y = where.place(voxel)
    spot = (round(y - where.top), round(x - where.left))
    shown = 1e3 * float(varpro.maps["D"][voxel])

    def colour() -> list[int]:
        return pixels(page)[spot].astype(int).tolist()

    page.get_by_test_id("opacity").fill("0")
    bare = colour()
    page.get_by_test_id("opacity").fill("1")
    assert colour() != bare
    # At its upper end every map has the last of its colours.
    page.get_by_test_id("overlay-high").fill(f"{shown / 2:.4f}")
    page.get_by_test_id("overlay-colours").select_option("plasma")
    last = page.evaluate("window.ivimkit.viewer.scene.colormaps.plasma")
    assert colour() == pytest.approx([last[part][-1] for part in "RGB"], abs=ONE_COLOUR)
    page.get_by_test_id("overlay-least").fill(f"{1.01 * shown:.4f}")
    page.keyboard.press("Tab")
    assert colour() == bare
    assert "hidden: below" in page.get_by_test_id("legend-overlay").inner_text()


def test_a_click_gives_the_numbers_of_the_maps_at_that_voxel(
    page: Any, varpro: ik.FitResult, segmented: ik.FitResult, dwi: ik.DWI
) -> None:
    go(page, INSIDE)
    for fit, result in (("0", varpro), ("1", segmented)):
        for name in ("S0", "f", "D_star", "D", "ADC"):
            assert estimate(page, name, fit) == result.maps[name][INSIDE]
    world = AFFINE @ [*INSIDE, 1.0]
    text = page.get_by_test_id("place").inner_text().replace("−", "-")
    assert [float(part) for part in re.findall(r"-?[\d.]+", text)] == pytest.approx(
        [*INSIDE, *world[:3]]
    )
    plot = page.get_by_test_id("voxel-plot")
    assert plot.locator('circle[data-points="measured volumes"]').count() == dwi.signal.shape[-1]
    assert plot.locator('circle[data-points="average"]').count() == len(dwi.fit_bvals)
    assert plot.locator("path[data-curve]").count() == 2
    # On the plot, the average at the highest b stands at its value on the axis.
    page.get_by_text("Signal and residuals as a table").click()
    row = page.locator(".as-table tbody tr").last.inner_text().split()
    fitted = varpro.predict([dwi.fit_bvals[-1]])[INSIDE][0]
    mean = dwi.signal[INSIDE][-2:].mean()
    assert float(row[1]) == pytest.approx(mean, rel=1e-3)
    assert float(row[2].replace("−", "-")) == pytest.approx(mean - fitted, rel=0.02, abs=0.02)


def test_zoom_keeps_the_crosshair_and_the_wheel_goes_through_slices(page: Any) -> None:
    go(page, INSIDE)
    x, y = slices(page).place(INSIDE)
    beside = slices(page).place((INSIDE[0], INSIDE[1] + 1, INSIDE[2]))
    for _ in range(6):  # 1.25 each: almost fourfold
        page.keyboard.press("+")
    page.mouse.click(*beside)
    page.wait_for_timeout(100)
    assert crosshair(page) == INSIDE  # a voxel is larger than that now
    # With the right button the picture moves, and what is at the old place is another voxel.
    page.mouse.move(x, y)
    page.mouse.down(button="right")
    page.mouse.move(x + 60, y, steps=3)
    page.mouse.up(button="right")
    page.wait_for_timeout(100)
    page.mouse.click(x + 60, y)
    page.wait_for_timeout(100)
    assert crosshair(page) == INSIDE
    page.keyboard.press("0")
    page.mouse.click(*beside)
    page.wait_for_selector(f'[data-voxel="{INSIDE[0]},{INSIDE[1] + 1},{INSIDE[2]}"]')
    page.mouse.wheel(0, -100)
    page.wait_for_selector(f'[data-voxel="{INSIDE[0]},{INSIDE[1] + 1},{INSIDE[2] - 1}"]')


def test_the_flip_book_shows_the_volumes_one_after_the_other(page: Any, dwi: ik.DWI) -> None:
    go(page, (9, 8, 1))
    page.get_by_test_id("flip-rate").select_option("16")
    page.get_by_test_id("base").select_option("volume/24")
    page.wait_for_selector('[data-testid=legend-base]:has-text("volume 24,")')
    page.evaluate(
        "() => { const { viewer } = window.ivimkit; window.flipped = [];"
        "viewer.on(['images'], () => window.flipped.push(viewer.base)); }"
    )
    page.locator("[data-testid=view-0] canvas[tabindex]").focus()
    page.keyboard.press("v")
    flip = page.get_by_test_id("flip")
    assert flip.get_attribute("aria-pressed") == "true"
    page.wait_for_function("() => window.flipped.includes('volume/1')")
    flipped = page.evaluate("window.flipped")
    # After the last one comes the first.
    order = [name for name, _ in itertools.groupby(flipped) if name != "volume/24"]
    assert order[:3] == ["volume/25", "volume/0", "volume/1"]
    page.keyboard.press("v")
    assert flip.get_attribute("aria-pressed") == "false"
    page.get_by_test_id("base").select_option("volume/4")
    for key, volume in (("n", 5), ("N", 4), ("N", 3)):
        page.locator("[data-testid=view-0] canvas[tabindex]").focus()
        page.keyboard.press(key)
        page.wait_for_selector(
            f'[data-testid=legend-base]:has-text("volume {volume},") output[data-value]'
        )
        shown = page.locator("[data-testid=legend-base] output").get_attribute("data-value")
        assert float(shown) == float(dwi.signal[9, 8, 1, volume])
    # No map hides what moves.
    assert page.get_by_test_id("legend-overlay").count() == 0
    page.keyboard.press("f")
    assert page.get_by_test_id("flip-rate").input_value() == "16"
    page.keyboard.press("F")
    assert page.get_by_test_id("flip-rate").input_value() == "8"
    # The means of the b-values, instead of the volumes.
    page.get_by_test_id("flip-what").select_option("means")
    page.get_by_test_id("base").select_option("scan/11")
    for key, mean in (("n", 12), ("n", 0), ("N", 12)):
        page.locator("[data-testid=view-0] canvas[tabindex]").focus()
        page.keyboard.press(key)
        page.wait_for_function(f"() => window.ivimkit.viewer.base === 'scan/{mean}'")
    page.get_by_test_id("flip-what").select_option("volumes")
    # Whoever chooses something else has seen enough.
    page.keyboard.press("v")
    page.keyboard.press("b")
    page.wait_for_selector("[data-testid=flip][aria-pressed=false]")
    assert page.evaluate("window.ivimkit.viewer.base") == "scan/0"


_HOLD = r"""() => {
  const fetched = window.fetch;
  const held = (window.held = {});
  window.letGo = () => { window.fetch = fetched; };
  window.fetch = (url, how) => {
    const found = /single\/(1[1-5])\.nii/.exec(url);
    if (!found) return fetched(url, how);
    return new Promise((done) => { held[found[1]] = () => done(fetched(url, how)); });
  };
}"""

_RELEASE = """async (number) => {
  const { viewer } = window.ivimkit;
  window.held[number]();
  await viewer.volume(`volume/${number}`);
  return viewer.base;
}"""


def test_the_volume_asked_for_last_is_shown(page: Any) -> None:
    # Volumes that come late: each press of a key counts, and what is chosen meanwhile stands.
    def press(key: str) -> None:
        page.locator("[data-testid=view-0] canvas[tabindex]").focus()
        page.keyboard.press(key)

    def ask(number: int, key: str) -> None:
        press(key)
        page.wait_for_function("(number) => number in window.held", arg=number)

    def release(number: int) -> str:
        return str(page.evaluate(_RELEASE, number))

    base = page.get_by_test_id("base")
    page.get_by_test_id("flip-rate").select_option("16")
    base.select_option("volume/10")
    page.wait_for_selector('[data-testid=legend-base]:has-text("volume 10,") output[data-value]')
    page.evaluate(_HOLD)
    ask(11, "n")
    ask(12, "n")
    assert (release(12), release(11)) == ("volume/12", "volume/12")
    ask(13, "n")
    base.select_option("volume/3")
    assert release(13) == "volume/3"
    base.select_option("volume/13")
    ask(14, "v")
    press("v")
    base.select_option("volume/4")
    assert release(14) == "volume/4"
    # Stopped and started again while a volume is on its way: one run goes on, not two.
    base.select_option("volume/14")
    ask(15, "v")
    press("v")
    press("v")
    assert release(15) == "volume/15"
    press("v")
    page.evaluate("window.letGo()")


def test_volumes_as_fitted_and_as_acquired(
    visit: Callable[..., Any], dwi: ik.DWI, tmp_path: Path
) -> None:
    path = tmp_path / "dwi.nii.gz"
    ik.io.save_scan(dwi, path)
    done = ik.preprocess(ik.load(path), "mask:kind=body").dwi
    result = ik.fit(done.with_mask(dwi.mask), model="monoexp")
    with ik.view(result, open_browser=False) as viewer:
        page = visit(viewer.url, viewport=LAPTOP).page
        page.wait_for_selector(READY, state="attached")
        page.get_by_test_id("base").select_option("volume/3")
        scan, base = page.get_by_test_id("flip-scan"), "[data-testid=legend-base]"
        acquired = f'{base}:has-text("volume %d,"):has-text("as acquired")'
        fitted = f'{base}:has-text("volume %d,"):not(:has-text("as acquired"))'
        for key, shown, which in (
            ("a", acquired % 3, "acquired"),
            ("n", acquired % 4, "acquired"),
            ("a", fitted % 4, "fitted"),
        ):
            page.locator("[data-testid=view-0] canvas[tabindex]").focus()
            page.keyboard.press(key)
            page.wait_for_selector(shown)
            assert scan.input_value() == which
        scan.select_option("acquired")
        page.wait_for_selector(acquired % 4)
    # Without the file, the fitted volumes alone, and a sentence.
    path.unlink()
    with ik.view(result, open_browser=False) as viewer:
        page = visit(viewer.url, viewport=LAPTOP).page
        page.wait_for_selector(READY, state="attached")
        assert page.get_by_test_id("flip-scan").count() == 0
        page.get_by_test_id("flip").click()
        note = page.locator("[data-testid=messages] .message.note span")
        assert "The volumes as acquired, before mask, cannot be shown: " in note.inner_text()
        assert "no longer exists" in note.inner_text()


def test_components_are_drawn_and_the_axis_becomes_logarithmic(page: Any) -> None:
    go(page, INSIDE)
    plot = page.get_by_test_id("voxel-plot")
    before = plot.locator('path[data-curve="varpro"]').get_attribute("d")
    page.get_by_test_id("components").check()
    assert plot.locator('path[data-curve="varpro: tissue"]').count() == 1
    assert plot.locator('path[data-curve="varpro: blood"]').count() == 1
    page.get_by_test_id("log-axis").check()
    assert plot.locator('path[data-curve="varpro"]').get_attribute("d") != before


def test_a_voxel_without_a_value_says_why(page: Any, varpro: ik.FitResult) -> None:
    go(page, EMPTY)
    cell = page.locator('[data-testid=estimates] [data-estimate="D"] [data-fit="0"]')
    assert cell.inner_text() == "no value"
    assert "no value" in page.get_by_test_id("legend-overlay").inner_text()
    assert cell.get_attribute("title") == f"no value: {varpro.sentence(EMPTY)}"
    assert varpro.sentence(EMPTY) in page.get_by_test_id("status").inner_text()


def test_a_refit_shows_what_the_threshold_does(page: Any, dwi: ik.DWI) -> None:
    go(page, INSIDE)
    page.get_by_test_id("refit-method").select_option("segmented")
    curves = []
    for b_split in (300, 100):
        page.get_by_test_id("option-b_split").fill(str(b_split))
        page.wait_for_selector(f'th:has-text("segmented (b_split={b_split})")')
        method = ik.methods.Segmented(b_split=b_split)
        expected = ik.fit(dwi.signal[INSIDE][np.newaxis], dwi.acquisition, method=method)
        for name in ("f", "D_star", "D"):
            assert estimate(page, name, "refit") == expected.maps[name][0]
        curve = page.locator(f'path[data-curve="segmented (b_split={b_split})"]')
        curves.append(curve.get_attribute("d"))
    assert curves[0] != curves[1]
    assert page.locator("text.mark").text_content() == "b_split = 100"
    # The crosshair moves, the refit comes along.
    page.locator("[data-testid=view-0] canvas[tabindex]").focus()
    page.keyboard.press("ArrowUp")
    moved = crosshair(page)
    alone = dwi.signal[moved][np.newaxis]
    expected = ik.fit(alone, dwi.acquisition, method=ik.methods.Segmented(b_split=100))
    page.wait_for_selector(f'[data-voxel="{",".join(map(str, moved))}"] [data-fit="refit"]')
    assert estimate(page, "D", "refit") == expected.maps["D"][0]
    page.get_by_test_id("refit-remove").click()
    assert page.locator('[data-fit="refit"]').count() == 0
    # A prior that is learned from a whole scan is not there for one voxel.
    # The event does not reach the form, which would ask for a fit that takes long to compile.
    page.get_by_test_id("refit-method").evaluate(
        "(one) => { one.value = 'bayes'; one.dispatchEvent(new Event('input')); }"
    )
    prior = page.get_by_test_id("option-prior")
    assert prior.evaluate("(one) => one.selectedOptions[0].text") == "flat"


def test_bounds_and_fixed_values_are_those_of_the_form(page: Any, dwi: ik.DWI) -> None:
    go(page, INSIDE)
    page.get_by_text("Model and bounds").click()
    page.get_by_test_id("bound-D_star-fixed at").fill("30")
    page.get_by_test_id("bound-D-to").fill("0.9")
    model = ik.models.get("biexp").with_bounds(D=(0.0, 0.9e-3)).with_fixed(D_star=0.03)
    expected = ik.fit(dwi.signal[INSIDE][np.newaxis], dwi.acquisition, model=model)
    cell = '[data-testid=estimates] [data-estimate="f"] [data-fit="refit"]'
    page.wait_for_selector(cell)
    wanted = pytest.approx(expected.maps["f"][0], rel=1e-9)
    # The first answer is to the first of the two options.
    for _ in range(100):
        if estimate(page, "f", "refit") == wanted:
            break
        page.wait_for_timeout(50)
    assert estimate(page, "f", "refit") == wanted
    assert estimate(page, "D_star", "refit") == pytest.approx(0.03)


def forget_refusal(seen: Any) -> None:
    """The browser notes an answer with 400 as an error."""
    drawn(seen.page)
    assert seen.errors
    assert all("status of 400" in error for error in seen.errors), seen.errors
    seen.errors.clear()


def test_an_impossible_refit_says_what_to_do(opened: Any, dwi: ik.DWI) -> None:
    page = opened.page
    go(page, INSIDE)
    page.get_by_test_id("refit-method").select_option("segmented")
    page.get_by_test_id("option-b_split").fill("790")
    problem = page.locator("form [role=alert]:not([hidden])")
    problem.wait_for()
    with pytest.raises(InputError) as raised:
        ik.fit(dwi, method=ik.methods.Segmented(b_split=790))
    assert problem.inner_text() == str(raised.value)
    forget_refusal(opened)


def test_what_is_drawn_is_measured(page: Any, varpro: ik.FitResult) -> None:
    """The statistics are those of `roi_table` for exactly the voxels under the pointer."""
    go(page, INSIDE)
    page.get_by_test_id("tab-regions").click()

    def freehand() -> None:
        where = slices(page)
        page.mouse.move(*where.place((6, 6, 2)))
        page.mouse.down()
        for corner in ((6, 12, 2), (11, 12, 2), (11, 6, 2), (6, 6, 2)):
            page.mouse.move(*where.place(corner), steps=5)
        page.mouse.up()

    square, three_wide = np.s_[6:12, 6:13, 2], np.s_[5:8, 5:14, 2]
    tools: dict[str, tuple[Callable[[], None], Any]] = {
        "Rectangle": (lambda: drag(page, (6, 6, 2), (11, 12, 2)), square),
        "Freehand": (freehand, square),
        "Brush": (lambda: drag(page, (6, 6, 2), (6, 12, 2)), three_wide),
    }
    for tool, (draw, voxels) in tools.items():
        page.get_by_role("radio", name=tool).check()
        draw()
        array = np.zeros(SHAPE, np.int32)
        array[voxels] = 1
        page.wait_for_selector(MEASURED)
        size = f"{int(array.sum())} voxels"
        page.wait_for_selector(f'[data-testid=regions]:has-text("{size}")')
        check_table(page, varpro, ik.Labels(array, {1: "region 1"}))
        page.get_by_test_id("clear").click()
        page.wait_for_selector("[data-testid=region-table]", state="detached")


def test_an_ellipse_is_drawn_and_a_part_of_it_erased(
    page: Any, varpro: ik.FitResult, tmp_path: Path
) -> None:
    def saved() -> NDArray[np.int32]:
        with page.expect_download() as download:
            page.get_by_test_id("save-mask").click()
        download.value.save_as(tmp_path / "mask.nii.gz")
        return np.asarray(nib.load(tmp_path / "mask.nii.gz").dataobj).astype(np.int32)

    go(page, INSIDE)
    page.get_by_test_id("tab-regions").click()
    page.get_by_role("radio", name="Ellipse").check()
    drag(page, (4, 5, 2), (14, 15, 2))
    page.wait_for_selector(MEASURED)
    whole = saved()
    x, y = np.nonzero(whole[:, :, 2])
    assert whole.sum() == len(x) == pytest.approx(math.pi / 4 * 11 * 11, rel=0.1)
    assert (x.min(), x.max(), y.min(), y.max()) == (4, 14, 5, 15)
    page.get_by_role("radio", name="Eraser").check()
    drag(page, (9, 8, 2), (9, 12, 2))
    page.wait_for_selector(f'[data-testid=regions]:has-text("{len(x) - 3 * 7} voxels")')
    left = saved()
    assert left[8:11, 7:14, 2].sum() == 0
    check_table(page, varpro, ik.Labels(left, {1: "region 1"}))


def test_two_regions_are_named_compared_saved_and_loaded(
    page: Any, varpro: ik.FitResult, tmp_path: Path
) -> None:
    go(page, INSIDE)
    page.get_by_test_id("tab-regions").click()
    page.get_by_label("Rectangle").check()
    drag(page, (6, 6, 2), (9, 10, 2))
    page.get_by_test_id("add-region").click()
    drag(page, (12, 18, 2), (15, 22, 2))
    page.get_by_test_id("name-1").fill("lesion")
    page.get_by_test_id("name-1").press("Enter")
    array = np.zeros(SHAPE, np.int32)
    array[6:10, 6:11, 2] = 1
    array[12:16, 18:23, 2] = 2
    drawn = ik.Labels(array, {1: "lesion", 2: "region 2"})
    page.wait_for_selector('[data-testid=region-table] tr[data-region="lesion"]')
    table = check_table(page, varpro, drawn)

    compared = ik.quality.compare_regions(varpro, drawn["lesion"], drawn["region 2"])
    rows = page.locator("[data-testid=comparison] tbody tr")
    order = [rows.nth(k).get_attribute("data-map") for k in range(rows.count())]
    assert order == [name for name in compared.index if name in order]

    with page.expect_download() as download:
        page.get_by_test_id("save-mask").click()
    download.value.save_as(tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert (np.asarray(mask.dataobj) == array).all()
    np.testing.assert_allclose(mask.affine, AFFINE)

    with page.expect_download() as download:
        page.get_by_test_id("save-table").click()
    download.value.save_as(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == table.to_csv()

    page.get_by_test_id("clear").click()
    page.wait_for_selector("[data-testid=region-table]", state="detached")
    page.get_by_test_id("undo").click()
    page.wait_for_selector('[data-testid=region-table] tr[data-region="lesion"]')
    page.get_by_test_id("clear").click()
    page.wait_for_selector("[data-testid=region-table]", state="detached")
    page.get_by_test_id("load-mask").set_input_files(tmp_path / "mask.nii.gz")
    page.wait_for_selector(MEASURED)
    # With its names, which other programs find, too.
    compare_table(page, table, drawn)
    assert ik.load_labels(tmp_path / "mask.nii.gz", varpro).names == drawn.names


def test_a_region_is_drawn_through_slices_and_by_value(
    page: Any, varpro: ik.FitResult, tmp_path: Path
) -> None:
    def saved() -> NDArray[np.int32]:
        with page.expect_download() as download:
            page.get_by_test_id("save-mask").click()
        assert download.value.suggested_filename == "regions.nii.gz"
        download.value.save_as(tmp_path / "regions.nii.gz")
        return np.asarray(nib.load(tmp_path / "regions.nii.gz").dataobj).astype(np.int32)

    page.get_by_test_id("tab-regions").click()
    page.evaluate(
        "document.querySelectorAll('.forms details').forEach((one) => (one.open = true))"
    )
    page.evaluate("window.ivimkit.viewer.setVoxel([12, 16, 0])")
    page.get_by_role("radio", name="Polygon").check()
    for corner in ((6, 6), (6, 12), (11, 12), (12, 6), (11, 6), (6, 6)):
        page.mouse.click(*slices(page).place((*corner, 0)))
        if corner == (12, 6):
            page.keyboard.press("Backspace")
    page.get_by_test_id("copy-previous").click()  # to the feet
    assert crosshair(page) == (12, 16, 1)
    page.get_by_role("radio", name="Move").check()
    page.evaluate("window.ivimkit.viewer.setVoxel([12, 16, 3])")
    page.get_by_role("radio", name="Rectangle").check()
    drag(page, (8, 8, 3), (9, 10, 3))
    page.get_by_test_id("interpolate").click()
    array = saved()
    assert (array[6:12, 6:13, :2] == 1).all()
    assert array[:, :, :2].sum() == 2 * 6 * 7
    middle = array[:, :, 2]
    assert 6 < middle.sum() < 42
    assert not (middle & ~array[:, :, 1]).any()
    # Area and sides of what is in the slice of the crosshair: voxels of 3 x 2.5 mm.
    size = page.locator("[data-testid=regions] .size")
    page.wait_for_selector('[data-testid=regions] .size:has-text("in this slice")')
    assert "45.0 mm², 7.50 × 6.00 mm" in size.inner_text()
    page.keyboard.press("u")
    assert saved()[:, :, 2].sum() == 0
    page.keyboard.press("U")
    assert (saved() == array).all()
    # Only what has a low D stays.
    page.get_by_test_id("value-high").fill("1.1")
    page.get_by_test_id("value-where").select_option("region")
    page.get_by_test_id("value-fill").click()
    low = array * (np.float32(varpro.maps["D"]) <= np.float32(1.1e-3))
    assert 0 < low.sum() < array.sum()
    assert (saved() == low).all()
    check_table(page, varpro, ik.Labels(low, {1: "region 1"}))
    row = '[data-testid=region-table] tr[data-map="D"][data-region="region 1"]'
    spread = page.locator(f"{row} [data-max]")
    inside = varpro.maps["D"][low == 1]
    assert float(spread.get_attribute("data-min")) == np.nanmin(inside)
    assert float(spread.get_attribute("data-max")) == np.nanmax(inside)
    page.get_by_role("radio", name="Ruler").check()
    drag(page, (4, 16, 3), (16, 16, 3))
    assert page.get_by_test_id("ruler").inner_text() == "Ruler: 36.0 mm"
    for _ in range(2):
        page.keyboard.press("Escape")
    assert page.get_by_role("radio", name="Move").is_checked()


_SEEN = """() => {
  const { viewer, page } = window.ivimkit;
  const { regions } = page.regionsPanel;
  return JSON.stringify([viewer.saved(), page.arrangement, regions.saved()]);
}"""


def test_nothing_is_lost_on_reload_and_a_session_is_a_file(
    visit: Callable[..., Any], address: str, tmp_path: Path
) -> None:
    page = visit(address, viewport=LAPTOP).page
    page.wait_for_selector(READY, state="attached")
    go(page, INSIDE)
    page.get_by_test_id("tab-regions").click()
    page.get_by_test_id("around").click()
    page.get_by_test_id("name-1").fill("lesion")
    page.get_by_test_id("name-1").press("Enter")
    page.get_by_test_id("colour-1").fill("#123456")
    page.get_by_test_id("compare").click()
    page.wait_for_selector("[data-testid=view-1] [data-testid=legend-overlay] output[data-value]")
    for key in ("+", "b", "x", "]"):
        page.keyboard.press(key)
    page.locator("[data-testid=view-1] [data-testid=overlay]").select_option("1/f")
    page.wait_for_selector('[data-testid=view-1] [data-testid=legend-overlay]:has-text("f")')
    page.wait_for_selector(MEASURED)
    before = page.evaluate(_SEEN)
    page.reload()
    page.wait_for_selector(READY, state="attached")
    assert page.evaluate(_SEEN) == before
    assert page.locator("[data-testid=region-table]").count() or page.wait_for_selector(
        "[data-testid=region-table]", state="attached"
    )
    page.get_by_test_id("tab-display").click()
    with page.expect_download() as download:
        page.get_by_test_id("save-session").click()
    download.value.save_as(tmp_path / "session.json")
    (tmp_path / "wrong.json").write_text("[]")
    page.get_by_test_id("session-file").set_input_files(tmp_path / "wrong.json")
    page.wait_for_selector(f'{MESSAGES}:has-text("This is not a session")')
    page.get_by_test_id("tab-regions").click()
    page.get_by_test_id("clear").click()
    page.evaluate("delete document.documentElement.dataset.ready")
    page.get_by_test_id("session-file").set_input_files(tmp_path / "session.json")
    page.wait_for_selector(READY, state="attached")
    assert page.evaluate(_SEEN) == before


def test_a_mask_of_something_else_is_refused_with_a_sentence(opened: Any, tmp_path: Path) -> None:
    page = opened.page
    page.get_by_test_id("tab-regions").click()
    far = np.diag([1.0, 1.0, 1.0, 1.0])
    far[:3, 3] = 9000.0
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), far), tmp_path / "far.nii.gz")
    page.get_by_test_id("load-mask").set_input_files(tmp_path / "far.nii.gz")
    message = page.locator("[data-testid=messages] .message")
    message.wait_for()
    assert "overlap" in message.inner_text()
    forget_refusal(opened)


def test_labels_of_the_study_are_outlined_and_measured(
    page: Any, varpro: ik.FitResult, labels: ik.Labels
) -> None:
    go(page, (20, 16, 2))
    where = slices(page)
    outlined = pixels(page)
    # Half a voxel before the first one of the liver label is its edge.
    (x0, y), (x1, _) = where.place((8, 5, 2)), where.place((8, 6, 2))
    column = round((x0 + x1) / 2 - where.left)
    edge = outlined[round(y - where.top), column - 2 : column + 3].astype(int)
    assert abs(edge - OUTLINE_OF_3).max(axis=1).min() < 30
    page.get_by_test_id("tab-regions").click()
    page.get_by_test_id("take-labels").click()
    check_table(page, varpro, labels)


def test_two_results_stand_side_by_side_with_one_crosshair_and_are_saved(
    page: Any, varpro: ik.FitResult, segmented: ik.FitResult
) -> None:
    go(page, INSIDE)
    page.get_by_test_id("compare").click()
    page.wait_for_selector("[data-testid=view-1] [data-testid=legend-overlay]")
    second = (12, 21, 2)
    page.mouse.click(*slices(page, view=1).place(second))
    page.wait_for_selector(f'[data-voxel="{",".join(map(str, second))}"]')
    for view, result in ((0, varpro), (1, segmented)):
        value = page.locator(f"[data-testid=view-{view}] [data-testid=legend-overlay] output")
        shown = float(value.get_attribute("data-value"))
        assert shown == pytest.approx(1e3 * float(np.float32(result.maps["D"][second])))
        # Both have their lines through that voxel.
        where = slices(page, view=view)
        x, y = where.place(second)
        line = pixels(page, view)[
            round(y - where.top) - 30 : round(y - where.top) - 20,
            round(x - where.left) - 2 : round(x - where.left) + 3,
        ]
        assert (line.max(axis=1)[:, 2] > 180).all()
    check_saved_picture(page)
    page.get_by_test_id("compare").click()
    assert page.locator("[data-testid=view-1]").count() == 0


def check_saved_picture(page: Any) -> None:
    """Save two views as a PNG, and look at it."""
    from PIL import Image

    with page.expect_download() as download:
        page.get_by_test_id("save-png").click()
    with Image.open(download.value.path()) as saved:
        picture = np.asarray(saved.convert("RGB")).astype(int)
    stage = page.get_by_test_id("stage").bounding_box()
    assert abs(picture.shape[1] - stage["width"]) <= 4
    halves = np.array_split(picture, 2, axis=1)
    for half in halves:
        # Colours, not only grey: the overlay is on it, and the legend at the bottom.
        assert (np.ptp(half[:-80], axis=-1) > 40).mean() > 0.05
        assert (np.ptp(half[-40:], axis=-1) > 40).any()


_AXE = """async (part) => {
  const { violations } = await window.axe.run(part, { resultTypes: ["violations"] });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0].html}: ${nodes[0].failureSummary}`);
}"""


@pytest.fixture(scope="module")
def axe() -> Callable[..., None] | None:
    """Function that lets axe look at a part of a page, if the packages of the page are there."""
    hook = page_tools.build_hook()
    try:
        home = page_tools.page_packages(hook)
    except hook.PackagesMissingError:
        return None
    # The page's own policy does not let it load the script.
    script = (home / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")

    def look(page: Any, part: str = "html") -> None:
        if not page.evaluate("Boolean(window.axe)"):
            page.evaluate(script)
        assert page.evaluate(_AXE, part) == []

    return look


def test_four_maps_share_crosshair_zoom_and_keys(
    page: Any, varpro: ik.FitResult, axe: Callable[..., None] | None
) -> None:
    page.get_by_test_id("four-maps").click()
    page.wait_for_selector("[data-testid=view-3] [data-testid=legend-overlay] output[data-value]")
    # The click has not taken the keys away.
    page.keyboard.press("ArrowUp")
    voxel = crosshair(page)
    page.wait_for_selector(f'[data-voxel="{",".join(map(str, voxel))}"]')
    for view, (name, factor) in enumerate((("ADC", 1e3), ("D", 1e3), ("f", 1.0), ("D_star", 1e3))):
        value = page.locator(f"[data-testid=view-{view}] [data-testid=legend-overlay] output")
        shown = float(value.get_attribute("data-value"))
        assert shown == pytest.approx(factor * float(np.float32(varpro.maps[name][voxel])))
    # The wheel over the last picture zooms, and a drag there moves, all of them.
    box = page.locator("[data-testid=view-3] .slices").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(x + 20, y)
    page.mouse.up()
    page.keyboard.up("Shift")
    fields = page.evaluate("window.ivimkit.viewer.views.map(({ picture }) => picture.field)")
    assert fields[0][3] > 1
    assert fields[0][:3] != [0, 0, 0]
    assert fields[1:] == 3 * fields[:1]
    if axe is not None:
        axe(page)
    page.keyboard.press("g")
    assert page.locator("[data-testid=view-1]").count() == 0
    page.wait_for_selector('[data-testid=legend-overlay]:has-text("D (")')
    assert page.get_by_test_id("overlay").input_value() == "0/D"


def test_a_drag_sets_the_range_of_what_is_seen(page: Any) -> None:
    def limits(key: str) -> Any:
        return page.evaluate(f"window.ivimkit.viewer.look('{key}').limits")

    def dragged(right: int, up: int, button: Any = "middle") -> None:
        drawn(page)
        box = page.locator("[data-testid=view-0] .slices").bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 200)
        page.mouse.down(button=button)
        page.mouse.move(box["x"] + 200 + right, box["y"] + 200 - up, steps=2)
        page.mouse.up(button=button)
        drawn(page)

    (low, high), voxel = limits("0/D"), crosshair(page)
    dragged(150, 0)
    assert np.diff(limits("0/D")) == pytest.approx(2 * (high - low))
    page.keyboard.press("r")
    drawn(page)
    assert limits("0/D") == limits("1/D") == [low, high]
    # By the left button, of the base, as no overlay is seen.
    page.keyboard.press("o")
    page.keyboard.press("w")
    base = limits("scan/0")
    dragged(0, 30, "left")
    assert limits("0/D") == [low, high]
    assert np.subtract(limits("scan/0"), base) == pytest.approx(0.1 * np.diff(base)[0])
    assert crosshair(page) == voxel
    page.keyboard.press("w")
    page.keyboard.press("o")


def test_everything_works_without_a_mouse(
    page: Any, varpro: ik.FitResult, repository: Path
) -> None:
    start = np.array(crosshair(page))
    turned = {"ArrowLeft": (0, 1, 0), "ArrowUp": (-1, 0, 0), "PageUp": (0, 0, -1)}
    for key, step in turned.items():  # right of the patient, front, head
        page.keyboard.press(key)
        start = start + step
        assert crosshair(page) == tuple(start)
    page.keyboard.press("2")
    assert page.get_by_label("Axial").is_checked()
    page.keyboard.press("m")
    assert page.get_by_test_id("overlay").input_value() != "0/D"
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    assert dialog.is_visible()
    # The documentation lists the same keys.
    rows = re.findall(r"<kbd>(.+)</kbd> \| (.+) \|", (repository / "docs/viewer.md").read_text())
    assert dialog.locator("tr").all_inner_texts() == [f"{key}\t{does}" for key, does in rows]
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    # The tabs by arrow keys, then Tab to the button that draws around the crosshair.
    page.get_by_test_id("tab-voxel").focus()
    page.keyboard.press("ArrowRight")
    for _ in range(20):
        if page.evaluate("document.activeElement.dataset.testid") == "around":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    x, y, z = crosshair(page)
    array = np.zeros(SHAPE, np.int32)
    array[x - 2 : x + 3, y - 2 : y + 3, z] = 1
    page.wait_for_selector('[data-testid=regions]:has-text("25 voxels")')
    check_table(page, varpro, ik.Labels(array, {1: "region 1"}))


def test_it_fits_a_phone_and_follows_a_finger(visit: Callable[..., Any], address: str) -> None:
    seen = visit(address, viewport=PHONE, has_touch=True, is_mobile=True)
    page = seen.page
    page.wait_for_selector(READY, state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    where = slices(page)
    page.touchscreen.tap(*where.place((9, 8, crosshair(page)[2])))
    page.wait_for_selector(f'[data-voxel="9,8,{crosshair(page)[2]}"]')
    for tab in ("regions", "display"):
        page.get_by_test_id(f"tab-{tab}").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert seen.errors == []


_NAMELESS = """() => [...document.querySelectorAll('button, input, select, canvas[tabindex], a')]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.labels?.length || one.ariaLabel || one.textContent.trim()))
  .map((one) => one.outerHTML)"""

# Contrast as WCAG 2 defines it, of every text with the background it stands on.
_FAINT = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor);
      if (a > 0) return [r, g, b];
    }
    return [0, 0, 0];
  };
  const texts = [...document.querySelectorAll('body *')].filter((one) =>
    one.checkVisibility() && !one.matches(':disabled, option') &&
    [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((one) => {
    const style = getComputedStyle(one);
    const ink = one instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(parse(ink)), light(behind(one))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.outerHTML.slice(0, 120)];
  }).filter(([ratio]) => ratio < 4.5);
}"""


_DROP = """async ([where, files]) => {
  const data = new DataTransfer();
  for (const [name, bytes] of files) data.items.add(new File([Uint8Array.from(bytes)], name));
  const how = { dataTransfer: data, bubbles: true, cancelable: true };
  const send = (kind, target) => target.dispatchEvent(new DragEvent(kind, how));
  send("dragenter", document.body);
  const zone = document.querySelector(`[data-testid="drop-${where}"]`);
  const seen = zone.checkVisibility();
  send("drop", zone);
  return [seen, zone.checkVisibility()];
}"""


def test_a_file_is_dropped_and_curves_and_large_pictures_are_saved(
    page: Any, varpro: ik.FitResult, dwi: ik.DWI, tmp_path: Path
) -> None:
    from PIL import Image

    go(page, INSIDE)
    with page.expect_download() as download:
        page.get_by_test_id("curve-csv").first.click()
    assert download.value.suggested_filename == "voxel-9-8-2.csv"
    rows = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert rows[0] == "kind,name,b (s/mm^2),value"
    signal = [float(row.split(",")[3]) for row in rows if row.startswith("volume,")]
    np.testing.assert_allclose(signal, dwi.signal[INSIDE], rtol=1e-12)
    assert sum(row.startswith("residual,varpro,") for row in rows) == len(dwi.fit_bvals)
    with page.expect_download() as download:
        page.get_by_test_id("curve-svg").first.click()
    drawing = Path(download.value.path()).read_text(encoding="utf-8")
    assert drawing.startswith("<svg")
    assert "segmented</text>" in drawing
    assert "#f2f5f9" not in drawing, "white points on white paper"

    # An image, then a mask, from files on the grid of the scan.
    values = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    for where, name, array in (("image", "t2.nii.gz", values), ("regions", "m.nii", values < 30)):
        nib.save(nib.Nifti1Image(array.astype(np.float32), AFFINE), tmp_path / name)
        content = list((tmp_path / name).read_bytes())
        assert page.evaluate(_DROP, [where, [[name, content]]]) == [True, False]
        if where == "image":
            page.wait_for_selector('[data-testid=legend-base]:has-text("t2") output[data-value]')
            value = page.locator("[data-testid=legend-base] output").get_attribute("data-value")
            assert float(value) == values[INSIDE]
            assert page.locator('[data-testid=base] optgroup[label="Opened"] option').count() == 1
    page.wait_for_selector("[data-testid=region-table]", state="attached")
    assert page.evaluate(
        "window.ivimkit.page.regionsPanel.regions.bitmap.reduce((a, b) => a + b)"
    ) == np.count_nonzero(values < 30)

    page.get_by_test_id("tab-display").click()
    page.get_by_test_id("finely").check()
    with page.expect_download() as download:
        page.get_by_test_id("save-png").click()
    page.get_by_test_id("finely").uncheck()
    with Image.open(download.value.path()) as picture:
        width, height = picture.size
    box = page.locator("[data-testid=view-0] .slices").bounding_box()
    assert width == pytest.approx(2 * box["width"], abs=4)
    assert height == pytest.approx(2 * (box["height"] + 86), abs=4)


def test_a_result_that_is_dropped_is_compared_with_the_others(
    visit: Callable[..., Any], varpro: ik.FitResult, segmented: ik.FitResult, tmp_path: Path
) -> None:
    ik.save(segmented, tmp_path / "out")
    files = [[path.name, list(path.read_bytes())] for path in (tmp_path / "out").iterdir()]
    with ik.view(varpro, open_browser=False) as viewer:
        page = visit(viewer.url, viewport=LAPTOP).page
        page.wait_for_selector(READY, state="attached")
        go(page, INSIDE)
        assert page.get_by_test_id("compare").count() == 0
        page.evaluate(_DROP, ["image", files])
        page.wait_for_selector("[data-testid=compare]")
        page.wait_for_selector(READY, state="attached")
        assert page.evaluate("window.ivimkit.viewer.voxel") == list(INSIDE)
        reports = page.get_by_test_id("report")
        assert [one.strip() for one in reports.all_text_contents()] == ["varpro", "dropped"]
        assert page.locator(MESSAGES).count() == 0


def test_axe_finds_nothing_serious(page: Any, axe: Callable[..., None] | None) -> None:
    if axe is None:
        pytest.skip("there is no axe: the packages of the page cannot be had")
    go(page, INSIDE)
    axe(page)
    page.get_by_test_id("tab-regions").click()
    page.evaluate(
        "document.querySelectorAll('.forms details').forEach((one) => (one.open = true))"
    )
    for _ in range(2):
        page.get_by_test_id("around").click()
        page.get_by_test_id("add-region").click()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Shift+ArrowLeft")
    page.get_by_test_id("overlay").select_option("0/status")
    page.wait_for_selector("[data-testid=comparison]")
    axe(page, "#panel-regions, [data-testid=legend-overlay]")
    page.get_by_test_id("tab-display").click()
    page.keyboard.press("?")
    axe(page, "dialog[open], #panel-display")


def test_every_control_has_a_name_and_every_text_contrast(page: Any) -> None:
    go(page, INSIDE)
    page.get_by_test_id("compare").click()
    page.get_by_test_id("refit-method").select_option("segmented")
    page.wait_for_selector('[data-fit="refit"]')
    for tab in ("voxel", "regions", "display"):
        page.get_by_test_id(f"tab-{tab}").click()
        if tab == "regions":
            page.get_by_test_id("around").click()
            page.wait_for_selector(MEASURED)
        assert page.evaluate(_NAMELESS) == []
        assert page.evaluate(_FAINT) == []
    plot = page.get_by_test_id("plot").first
    assert "D " in plot.locator("title").first.text_content()
    assert page.evaluate("document.documentElement.lang") == "en"


def test_one_slice_without_a_position_is_shown_as_it_is(visit: Callable[..., Any]) -> None:
    """The first axis runs to the right and the second up, and no letter says otherwise."""
    made = ik.simulate.phantom("abdomen", shape=(20, 16, 1))
    plain = ik.fit(made.dwi.signal[:, :, 0], made.dwi.acquisition)
    with ik.view(plain, open_browser=False) as viewer:
        seen = visit(viewer.url, viewport=LAPTOP)
        page = seen.page
        page.wait_for_selector(READY, state="attached")
        page.get_by_label("Axial").check()
        box = page.locator("[data-testid=view-0] .slices").bounding_box()
        scale = min(box["width"] / 20, box["height"] / 16)
        x = box["x"] + box["width"] / 2 + (4 + 0.5 - 10) * scale
        y = box["y"] + box["height"] / 2 - (11 + 0.5 - 8) * scale
        page.mouse.click(x, y)
        page.wait_for_selector('[data-voxel="4,11,0"]')
        assert estimate(page, "D", "0") == plain.maps["D"][4, 11]
        # The crosshair goes the way of the arrow.
        page.keyboard.press("ArrowRight")
        assert crosshair(page) == (5, 11, 0)
        assert seen.errors == []


@contextmanager
def command(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    words = [sys.executable, "-m", "ivimkit", "view", str(folder), "--no-browser"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = None
            while found is None:
                line = process.stdout.readline()
                assert line, "the command ended without an address"
                found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)
            yield process, found[0]
        finally:
            process.kill()


def test_it_shows_maps_without_a_scan_until_the_command_has_ended(
    visit: Callable[..., Any], varpro: ik.FitResult, tmp_path: Path
) -> None:
    ik.save(varpro, tmp_path / "out")
    with command(tmp_path / "out") as (process, url):
        seen = visit(url, viewport=LAPTOP)
        page = seen.page
        page.wait_for_selector(READY, state="attached")
        assert page.get_by_test_id("base").input_value() == "0/S0"
        assert "No measured signal" in page.locator("#panel-voxel").inner_text()
        page.wait_for_selector("path[data-curve]")
        assert seen.errors == []
        assert page.request.get(url.rstrip("/")[:-4] + "/").status == 403
        # Not SIGINT: a process that was started in the background may be told to ignore it.
        process.terminate()
        assert process.wait(timeout=60) in (0, 130)
        page.keyboard.press("ArrowUp")
        page.wait_for_selector(MESSAGES)
        assert page.locator(MESSAGES).all_inner_texts() == [ENDED]


class Cut(Response):
    """An answer of which half arrives, as of a server that ends meanwhile."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        half = bytes(self.body)[: len(self.body) // 2]
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        await send({"type": "http.response.body", "body": half, "more_body": True})


def test_that_the_command_has_ended_is_said_once(
    visit: Callable[..., Any], varpro: ik.FitResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an image that is on its way, by a voxel and by a refit: with one sentence."""
    whole = Routes.map_volume

    async def map_volume(self: Routes, request: Request) -> Response:
        answer = await whole(self, request)
        return Cut(answer.body) if request.path_params["name"] == "f" else answer

    monkeypatch.setattr(Routes, "map_volume", map_volume)
    with ik.view(varpro, open_browser=False) as viewer:
        page = visit(viewer.url, viewport=LAPTOP).page
        page.wait_for_selector(READY, state="attached")
        page.get_by_test_id("refit-method").select_option("segmented")
        page.wait_for_selector('[data-fit="refit"]')
        # It would complain of the half that is missing.
        monkeypatch.setattr(logging.getLogger("uvicorn.error"), "disabled", True)
        page.get_by_test_id("overlay").select_option("0/f")
        page.wait_for_selector(MESSAGES)
        assert page.locator(MESSAGES).all_inner_texts() == [ENDED]
        page.get_by_role("button", name="Close").click()
        viewer.close()
        with page.expect_event("requestfailed", lambda request: "api/refit" in request.url):
            page.locator("[data-testid=view-0] canvas[tabindex]").focus()
            page.keyboard.press("ArrowUp")
        page.wait_for_selector('[data-fit="refit"]', state="detached")
        page.wait_for_selector(MESSAGES)
        assert page.locator(MESSAGES).all_inner_texts() == [ENDED]
        assert page.get_by_text("ivimkit view has ended").count() == 1


def test_a_region_whose_mean_signal_has_no_fit_says_why(
    visit: Callable[..., Any], dwi: ik.DWI
) -> None:
    halves = np.full(SHAPE, 3)
    halves[12:] = 5
    # In the slice of the crosshair.
    one = dwi.mask & (np.arange(SHAPE[2]) == SHAPE[2] // 2)
    fitted = ik.fit(dwi.with_mask(one), method="bayes", labels=halves)
    with ik.view(fitted, open_browser=False) as viewer:
        page = visit(viewer.url, viewport=LAPTOP).page
        page.wait_for_selector(READY, state="attached")
        page.get_by_test_id("tab-regions").click()
        page.get_by_test_id("around").click()
        page.wait_for_selector(MEASURED)
        results = page.get_by_test_id("region-results").inner_text()
        assert "No mean signal was fitted." in results
        assert "region 1: No fit of the mean signal: the fit has priors of regions" in results
        assert page.locator(MESSAGES).count() == 0


def test_the_mean_signal_of_a_region_has_points_for_each_echo_time(
    visit: Callable[..., Any], dwi: ik.DWI
) -> None:
    n = len(dwi.fit_bvals)
    signal = np.stack([dwi.shell_image(k) for k in range(n)], axis=-1)
    both = np.concatenate([signal, signal / 2], axis=-1)
    times = {"echo_time": [60] * n + [90] * n}
    scan = ik.DWI(both, np.tile(dwi.fit_bvals, 2), dwi.affine, dwi.mask, variables=times)
    with pytest.warns(UserWarning, match="differ in echo_time"):
        result = ik.fit(scan)
    with ik.view(result, open_browser=False) as viewer:
        page = visit(viewer.url, viewport=LAPTOP).page
        page.wait_for_selector(READY, state="attached")
        page.get_by_test_id("tab-regions").click()
        page.get_by_test_id("around").click()
        page.wait_for_selector(MEASURED)
        plot = page.get_by_test_id("region-results").get_by_test_id("plot")
        colours = set()
        for time in (60, 90):
            points = plot.locator(f'circle[data-points="mean of region 1, TE {time} ms"]')
            assert points.count() == n
            colours.add(points.first.get_attribute("fill"))
        assert len(colours) == 2
        assert plot.locator("path[data-curve]").count() == 1
        assert page.locator(MESSAGES).count() == 0
