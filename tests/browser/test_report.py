"""The report in a real browser, without a network: quiet, zoomed by keys, copied, printed."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import ivimkit as ik
from html_page import Page, untied

CONTRAST = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.offsetParent) continue;
    const pair = [parse(getComputedStyle(element).color), behind(element)].map(light).sort();
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) found.push([element.tagName, element.textContent.slice(0, 30), ratio]);
  }
  return found;
}
"""


def one_of_each_kind(draw):
    """Return a way to save figures that draws a PNG and an SVG, and others white in their size."""
    drawn = set()

    def save(figure, target, *, format, dpi=None, **options):
        if format not in drawn:
            drawn.add(format)
            draw(figure, target, format=format, dpi=dpi, **options)
            return
        width, height = figure.get_size_inches()
        if format == "svg":
            size = f'width="{72 * width}pt" height="{72 * height}pt"'
            target.write(f'<svg xmlns="http://www.w3.org/2000/svg" {size}/>'.encode())
        else:
            pixels = int(dpi * width), int(dpi * height)
            Image.new("RGB", pixels, "white").save(target, format="png")

    return save


@pytest.fixture(scope="module")
def report(pictures, tmp_path_factory):
    """A page with everything on it, as a file."""
    made = ik.simulate.phantom(shape=(32, 24, 1), bvals=[0, 0, 10, 20, 50, 100, 200, 400, 800])
    result = ik.fit(made.dwi.with_mask(made.labels > 0), uncertainty="curvature")
    # Each region has its curves and histograms: a few show what there is.
    few = np.where(made.labels <= 3, made.labels, 0)
    labels = ik.Labels(few, {1: "liver", 2: "lesion", 3: "<script>alert(1)</script>"})
    found = ik.report.build(result, labels=labels, lesion="lesion", reference="liver")
    with pictures.drawing(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", one_of_each_kind(Figure.savefig))
        return found.write(tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def page(visit_of_module, report):
    """The page, open: tests that take it set the window as they need it."""
    return visit_of_module(report, offline=True).page


@pytest.fixture(scope="module")
def untouched(visit_of_module, report):
    """The page as it opens, without a network: tests only look at it."""
    return visit_of_module(report, offline=True, viewport={"width": 1280, "height": 800})


def open_all(page):
    """Open all parts of the page."""
    page.evaluate(
        "for (const one of document.querySelectorAll('.part > details')) one.open = true"
    )


def test_opens_offline_and_quietly(untouched, report):
    seen = untouched
    seen.page.wait_for_load_state("networkidle")
    assert seen.errors == []
    outside = [one for one in seen.requests if not one.startswith("data:")]
    assert outside == [report.as_uri()]
    images = seen.page.evaluate(
        "[...document.images].map((one) => [one.complete, one.naturalWidth > 0])"
    )
    assert len(images) > 10
    assert all(ready and drawn for ready, drawn in images)
    assert seen.page.evaluate("document.title") == "Report: bi-exponential IVIM"


def test_zoom_by_keyboard(visit, report):
    from playwright.sync_api import expect

    seen = visit(report, offline=True)
    page, dialog = seen.page, seen.page.locator("dialog")
    first = page.locator(".zoom").first
    first.focus()
    page.keyboard.press("Enter")
    assert dialog.evaluate("(one) => one.open")
    assert page.locator(".stage img").get_attribute("src") == first.locator("img").get_attribute(
        "src"
    )
    assert page.locator("#large-caption").inner_text()
    box, small = page.locator(".stage img").bounding_box(), first.bounding_box()
    assert box["width"] > small["width"]
    page.keyboard.press("ArrowRight")
    second = page.locator(".zoom").nth(1)
    assert page.locator(".stage img").get_attribute("alt") == second.locator("img").get_attribute(
        "alt"
    )
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    last = page.locator(".zoom").last
    assert page.locator(".stage img").get_attribute("alt") == last.locator("img").get_attribute(
        "alt"
    )
    page.keyboard.press("Escape")
    assert not dialog.evaluate("(one) => one.open")
    # The page hears of the closing a moment after it, and opens the part with the picture.
    expect(last).to_be_focused()
    assert last.is_visible()
    assert seen.errors == []


def test_zoom_by_pointer(page):
    page.locator(".zoom").first.click()
    page.get_by_role("button", name="Full size").click()
    image = page.locator(".stage img")
    natural = image.evaluate("(one) => one.naturalWidth")
    assert image.bounding_box()["width"] == pytest.approx(natural, abs=1)
    page.get_by_role("button", name="Close").click()
    assert not page.locator("dialog").evaluate("(one) => one.open")


@pytest.mark.parametrize("clipboard", [True, False])
def test_bibtex_is_copied(visit, report, clipboard):
    allowed = ["clipboard-read", "clipboard-write"]
    page = visit(report, permissions=allowed).page
    if not clipboard:
        # As in browsers that refuse the clipboard to pages from a file.
        page.evaluate(
            "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }"
        )
    page.locator("summary", has_text="Methods for a paper").click()
    section = page.locator("details.code", has_text="BibTeX")
    section.locator("summary").click()
    section.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith("@article{LeBihan1988,")
    assert "@software{ivimkit," in text
    assert page.locator("#said").text_content() == "Copied"


def test_prints_to_a4(visit, report, tmp_path):
    page = visit(report, offline=True, color_scheme="dark").page
    data = page.pdf(prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox \[([\d. ]+)\]", data)
    assert 5 <= len(boxes) < 30
    pypdf = pytest.importorskip("pypdf", reason="pypdf comes with the extra test")
    pages = pypdf.PdfReader(io.BytesIO(data)).pages
    first, second = (" ".join(pages[k].extract_text().split()) for k in range(2))
    sentence = page.locator(".lead").first.inner_text()
    assert untied(sentence) in untied(first)
    assert "Overall" in first
    # The folded parts follow, open.
    assert second.startswith("Checks judged verdict why")
    for box in boxes:
        _, _, width, height = map(float, box.split())
        assert (width / 72 * 25.4, height / 72 * 25.4) == pytest.approx((210, 297), abs=0.5)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    # Wider tables would be cut off: 182 mm lie between the margins.
    page.set_viewport_size({"width": round(182 / 25.4 * 96), "height": 1000})
    assert page.evaluate("document.documentElement.scrollWidth") <= round(182 / 25.4 * 96)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(page, scheme):
    page.emulate_media(color_scheme=scheme)
    open_all(page)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("width", [400, 1280, 1600])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_everything_important_is_on_the_first_screen(untouched):
    page = untouched.page
    for what in (".facts", ".lead", ".front table", ".overall", ".pictures img >> nth=0"):
        box = page.locator(what).bounding_box()
        assert box["y"] + box["height"] <= 800, what
    assert page.evaluate("document.documentElement.scrollHeight") <= 4 * 800
    assert page.locator(".part > details[open]").count() == 0


def test_text_of_thumbnails_is_large_enough_to_read(page):
    page.set_viewport_size({"width": 1280, "height": 800})
    open_all(page)
    # The smallest letters, those of the sides and slices, have 7 points.
    sizes = page.evaluate(
        "[...document.querySelectorAll('.small img')]"
        ".map((one) => one.clientWidth / Number(one.getAttribute('width')))"
    )
    assert len(sizes) > 5
    assert min(sizes) * 7 / 72 * 96 >= 9


def test_one_button_opens_and_folds_all_parts(visit, report):
    page = visit(report, offline=True).page
    page.get_by_role("button", name="Open all parts").focus()
    page.keyboard.press("Enter")
    assert page.locator(".part > details:not([open])").count() == 0
    page.get_by_role("button", name="Fold all parts").click()
    assert page.locator(".part > details[open]").count() == 0


def test_keys_alone_reach_everything(visit, report):
    page = visit(report, offline=True).page
    open_all(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    wanted = page.evaluate("document.querySelectorAll('main a, main button, main summary').length")
    reached, around = set(), False
    for _ in range(3 * wanted):
        page.keyboard.press("Tab")
        place, around = page.evaluate(
            "[[...document.querySelectorAll('main a, main button, main summary')]"
            ".indexOf(document.activeElement), document.activeElement.className == 'skip']"
        )
        if around:
            break
        reached.add(place)
    assert around, "the keys do not lead back to where they began"
    folded = page.evaluate("document.querySelectorAll('details:not([open]) .copy').length")
    assert len(reached - {-1}) == wanted - folded


def test_without_scripts_it_is_read_all_the_same(visit, report):
    page = visit(report, java_script_enabled=False).page
    # A link opens the part it leads to.
    page.get_by_role("link", name="Why, and what to do").click()
    page.locator("#checks").get_by_text("distinct b-values").wait_for()
    assert page.locator(".part > details[open]").count() == 1
    text = Page(report.read_text(encoding="utf-8")).by_id("summary").text
    assert page.locator("#summary").text_content() == text
    page.locator("summary", has_text="Methods for a paper").click()
    page.locator("summary", has_text="BibTeX").click()
    assert page.locator("pre", has_text="@article{LeBihan1988").is_visible()


def test_a_notebook_frame_works(visit, report, tmp_path):
    from ivimkit.report import Report
    from ivimkit.report.section_blocks import Code, Section

    shown = Report("T", "", [Section("One", "one", [Code("text", "label")])])
    outer = tmp_path / "notebook.html"
    outer.write_text(f"<!doctype html><title>n</title>{shown._repr_html_()}", encoding="utf-8")
    seen = visit(outer, offline=True)
    frame = seen.page.frame_locator("iframe")
    frame.get_by_role("button", name="Copy").click()
    frame.locator("#said").get_by_text("Copied").wait_for(state="attached")
    assert seen.errors == []
