import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ivimkit.figures import compare_methods, histograms, map_panels, status_panels
from ivimkit.figures.figure_page import Page, fitted_size, text_width
from ivimkit.scan.dwi import DWI
from ivimkit.status import FitStatus, at_lower, at_upper
from made_results import BVALS, biexp_maps, made_result

AFFINE = np.diag([-2.0, 2.0, 5.0, 1.0])
LONG = "what somebody thought of in a hurry and never shortened afterwards"
SQUARE, TALL, FLAT = (20, 20, 3), (6, 40, 3), (40, 6, 3)


def of_shape(shape):
    maps = biexp_maps(shape)
    status = np.zeros(shape, int)
    flags = (FitStatus.NON_FINITE, at_upper(2), at_lower(2), at_lower(1), at_upper(1))
    for row, flag in enumerate(flags):
        status[row] = flag
    result = made_result(maps, status=status, affine=AFFINE)
    return result, DWI(maps["S0"][..., None] * np.exp(-1e-3 * np.array(BVALS)), BVALS, AFFINE)


def several_slices(result, dwi):
    return map_panels(result, dwi, maps=["D", "D_star"], crop=False)


def one_slice(result, dwi):
    return map_panels(result, dwi, slices=1, crop=False)


def one_map(result, dwi):
    return map_panels(result, slices=1, crop=False, maps=["D_star"], title=LONG)


def large_numbers(result, dwi):
    maps = {"S0": 1e9 * result.maps["S0"], "rmse": 1e-9 * result.maps["rmse"]}
    return map_panels(maps, slices=1, maps=["S0", "rmse"], crop=False)


def comparison(result, dwi):
    return compare_methods({"segmented in two steps": result, "b": result}, crop=False)


def status(result, dwi):
    return status_panels(result, crop=False)


def status_of_one_slice(result, dwi):
    return status_panels(result, slices=0, crop=False)


def regions(result, dwi):
    labels = np.ones(result.shape, int)
    labels[3:] = 2
    return histograms(result, labels=labels, label_names={1: LONG, 2: "b"})


def one_histogram(result, dwi):
    return histograms(result, maps=["D"])


PAGES = (
    several_slices,
    one_slice,
    one_map,
    large_numbers,
    comparison,
    status,
    status_of_one_slice,
    regions,
    one_histogram,
)


# Narrow pages have the least room. What has no image does not depend on the shape.
OF_SHAPES = [
    pytest.param(draw, shape, id=f"{draw.__name__}-{name}")
    for name, shape, pages in (
        ("square", SQUARE, (one_slice, one_map, large_numbers, regions, one_histogram)),
        ("tall", TALL, [draw for draw in PAGES if draw not in (regions, one_histogram)]),
        ("flat", FLAT, (several_slices, one_map, comparison, status)),
    )
    for draw in pages
]


@pytest.mark.parametrize(("draw", "shape"), OF_SHAPES)
def test_nothing_overlaps_or_leaves_the_page_and_no_layout_is_solved(draw, shape):
    figure = draw(*of_shape(shape))
    assert figure.get_layout_engine() is None
    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    parts = [*figure.axes, *figure.legends, *(text for text in figure.texts if text.get_text())]
    boxes = [part.get_tightbbox(renderer) for part in parts]
    width, height = figure.get_size_inches() * figure.dpi
    for part, box in zip(parts, boxes, strict=True):
        inside = box.x0 > 0 and box.y0 > 0 and box.x1 < width and box.y1 < height
        assert inside, (part, box, width, height)
    for (one, a), (other, b) in itertools.combinations(zip(parts, boxes, strict=True), 2):
        # Two pixels: boxes are rounded up to whole ones.
        apart = min(a.x1, b.x1) - max(a.x0, b.x0) < 2 or min(a.y1, b.y1) - max(a.y0, b.y0) < 2
        assert apart, (one, a, other, b)


def test_places_are_inches_below_the_title():
    page = Page(4.0, 2.0, "title")
    axes = page.place(1.0, 0.5, 2.0, 1.0)
    width, height = page.figure.get_size_inches()
    assert (width, height > 2.0) == (4.0, True)
    box = axes.get_position()
    np.testing.assert_allclose([box.x0 * width, box.width * width], [1.0, 2.0])
    np.testing.assert_allclose([box.y0 * height, box.height * height], [0.5, 1.0])
    assert page.up(0.5) == pytest.approx(box.y1)


def test_a_long_title_has_several_lines():
    page = Page(3.0, 1.0, LONG)
    lines = page.figure.get_suptitle().split("\n")
    assert len(lines) > 1
    assert " ".join(lines) == LONG
    assert all(text_width(line, 12) < 3.0 for line in lines)


def test_size_of_text_fits_but_can_be_read():
    assert fitted_size("D*", 11, 2.0) == 11
    middle = fitted_size("segmented in two steps", 11, 1.2)
    assert 5 < middle < 11
    assert text_width("segmented in two steps", middle) == pytest.approx(1.2, rel=0.02)
    assert fitted_size(5 * LONG, 11, 1.0) == 5
    assert text_width("", 11) == 0
