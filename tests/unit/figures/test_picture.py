import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ivimkit.figures import Encoded, Picture, histograms, map_panels, mosaic
from made_results import biexp_maps, made_result

pytestmark = pytest.mark.drawn
PNG = b"\x89PNG\r\n\x1a\n"
SVG = "{http://www.w3.org/2000/svg}svg"


@pytest.fixture(scope="module")
def result():
    return made_result(biexp_maps((24, 20, 4)))


@pytest.fixture(scope="module")
def encoded(result, pictures):
    """A plot and an image, each as PNG and as SVG."""
    made = {"plot": histograms(result, maps=["D"]), "image": mosaic(result, "f")}
    with pictures.drawing():
        return {
            (name, form): Picture(figure).encoded(vector=form == "svg").data
            for name, figure in made.items()
            for form in ("png", "svg")
        }


def opened(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


def plain(figure, dpi):
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=dpi)
    return np.asarray(opened(target.getvalue()).convert("RGB"), dtype=int)


def test_png_has_a_palette_that_keeps_the_colours_of_the_map(result):
    figure = mosaic(result, "D")
    image = opened(Picture(figure).png(dpi=100))
    want = plain(figure, 100)
    assert image.mode == "P"
    off = np.abs(np.asarray(image.convert("RGB"), dtype=int) - want).max(axis=2)
    assert (off == 0).mean() > 0.98
    # What differs are shades at the edges of letters.
    assert off.max() < 64


def test_png_of_several_maps_keeps_their_colours_and_the_size_of_the_page(result):
    figure = map_panels(result, slices=[0, 1], maps=["D", "f", "D_star"])
    image = opened(Picture(figure).png(dpi=100))
    same = (np.asarray(image.convert("RGB"), dtype=int) == plain(figure, 100)).all(axis=2)
    assert same.mean() > 0.98
    assert image.size == tuple(int(100 * inches + 1e-6) for inches in figure.get_size_inches())


def test_colour_bars_keep_their_colours():
    dpi, maps = 80, biexp_maps((40, 30, 2))
    figure = map_panels(made_result(maps), maps=["D", "f", "rmse"])
    want = plain(figure, dpi)
    image = np.asarray(opened(Picture(figure).png(dpi=dpi)).convert("RGB"), dtype=int)
    codes = want @ np.array([1 << 16, 1 << 8, 1])
    _, number, count = np.unique(codes, return_inverse=True, return_counts=True)
    frequent = count[number.ravel()] >= 0.06 * dpi
    off = np.sqrt(((image - want).reshape(-1, 3)[frequent] ** 2).sum(axis=1))
    assert off.max() <= 16


def test_pixels_are_those_of_the_page(result):
    found = Picture(map_panels(result, maps=["D"])).pixels(dpi=60)
    np.testing.assert_array_equal(found, plain(map_panels(result, maps=["D"]), 60))
    assert found.dtype == np.uint8


def test_a_picture_with_too_many_colours_has_no_palette():
    figure = Figure(figsize=(2, 2))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(np.random.default_rng(0).random((100, 100, 3)))
    image = opened(Picture(figure, alt="noise").png(dpi=100))
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image, dtype=int), plain(figure, 100))


def test_png_says_nothing_but_the_picture(encoded):
    data = encoded["plot", "png"]
    assert data.startswith(PNG)
    chunks = set(re.findall(rb"(IHDR|PLTE|IDAT|IEND|tEXt|iTXt|zTXt|tIME|eXIf|pHYs)", data))
    assert chunks == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


def test_svg_says_nothing_but_the_picture(encoded):
    data = encoded["plot", "svg"]
    root = ET.fromstring(data)
    assert root.tag == SVG
    assert not root.findall(".//{http://www.w3.org/2000/svg}metadata")
    text = data.decode()
    assert "Matplotlib" not in text
    assert not re.search(r"20\d\d-\d\d-\d\d", text)


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_figure_gives_the_same_bytes(result, encoded, form):
    assert getattr(Picture(mosaic(result, "f")), form)() == encoded["image", form]


def test_ids_of_an_svg_are_unique_and_what_refers_to_them_is_there(encoded):
    text = encoded["image", "svg"].decode()
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text))
    assert used
    assert {one or other for one, other in used} <= set(ids)


def test_plots_become_svg_and_images_png(result, encoded):
    plot, image = Picture(histograms(result, maps=["D"])), Picture(mosaic(result, "f"))
    assert plot.encoded().media_type == "image/svg+xml"
    assert image.encoded(dpi=30).media_type == "image/png"
    for name in ("plot", "image"):
        assert encoded[name, "png"].startswith(PNG)
        assert ET.fromstring(encoded[name, "svg"]).tag == SVG


def test_a_large_plot_becomes_png():
    figure = Figure()
    rng = np.random.default_rng(0)
    figure.add_subplot().plot(rng.random(4000), rng.random(4000), "o")
    assert Picture(figure).encoded(dpi=30).media_type == "image/png"


def test_a_plot_of_many_panels_becomes_png():
    figure = Figure()
    figure.subplots(3, 3)
    assert Picture(figure).encoded(dpi=30).media_type == "image/png"


def test_size_is_that_of_the_page_whatever_the_resolution(result):
    figure = mosaic(result, "f")
    sizes = {
        (one.width, one.height)
        for one in (Picture(figure).encoded(dpi=60), Picture(figure).encoded(dpi=200))
    }
    assert sizes == {tuple(96 * inches for inches in figure.get_size_inches())}


def test_uri_holds_the_bytes():
    uri = Encoded(b"abc", "image/png", 1.0, 1.0).uri
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body) == b"abc"


def test_alt_text_is_read_from_the_figure_unless_given(result):
    figure = map_panels(result, slices=1, maps=["D"])
    assert Picture(figure).alt.startswith("bi-exponential IVIM")
    assert Picture(figure, "caption", "seen").alt == "seen"
    assert Picture(figure, "caption").caption == "caption"
