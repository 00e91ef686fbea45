"""Pictures show which values can be trusted: faded and hatched, left out, or like all others."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from ivimkit import organs, quality, report
from ivimkit.errors import OptionError
from ivimkit.figures.alt_text import describe
from ivimkit.figures.reliability import UNRELIABLE
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Pictures, Text
from ivimkit.report.sections.histograms_section import histograms
from ivimkit.report.sections.maps_section import maps
from ivimkit.status import FitStatus, at_lower, at_upper
from made_results import biexp_maps, made_result

SHAPE = (12, 10, 3)


@pytest.fixture(scope="module")
def result():
    """D is doubtful in 40 voxels (30 of them at its bound), D* in 60, f in none."""
    status = np.zeros(SHAPE, int)
    status[:3, :, 0] = at_lower(3)
    status[3, :, 1] = FitStatus.TISSUE_NOT_DETECTED
    status[4:6, :, :] = FitStatus.PERFUSION_NOT_DETECTED
    status[7:, 4:, 2] = FitStatus.OUTSIDE_MASK
    return made_result(biexp_maps(SHAPE), status=status)


def expected(result, name):
    return np.isfinite(result.maps[name]) & np.isnan(result.reliable(name))


def other(result):
    """A second result, whose D is doubtful elsewhere."""
    status = np.zeros(SHAPE, int)
    status[8] = at_upper(3)
    return replace(result, status=status, maps={**result.maps, "D": 1.1 * result.maps["D"]})


DRAW = {
    "map_panels": lambda r, **o: report.map_panels(r, maps=["f", "D"], crop=False, **o),
    "mosaic": lambda r, **o: report.mosaic(r, "D", crop=False, **o),
    "lesion_panels": lambda r, **o: report.lesion_panels(
        r, r.maps["D"] > 0, slice=0, maps=["D"], crop=False, **o
    ),
    "compare_methods": lambda r, **o: report.compare_methods(
        {"one": r, "truth": {"D": r.maps["D"]}}, slice=0, maps=["D"], crop=False, **o
    ),
    "difference_panels": lambda r, **o: report.difference_panels(
        quality.difference(r, other(r)), maps=["D"], slice=0, crop=False, **o
    ),
}


@pytest.fixture(scope="module")
def figure_of(result):
    """The figures, each made once: nobody changes them."""
    return cache(lambda name, unreliable: DRAW[name](result, unreliable=unreliable))


def panel(figure, name):
    """The first image of D: one plane, or the sheet of a mosaic."""
    if name == "mosaic":
        return figure.axes[0]
    return next(a for a in figure.axes if a.images and a.get_title() in ("D", "A", "one"))


def faded(axes):
    """Which pixels of an image are faded, and where its hatching is."""
    overlays = [image.get_array() for image in axes.images if image.get_array().ndim == 3]
    strokes = [one for one in axes.collections if isinstance(one, LineCollection)]
    return (overlays[0][..., 3] > 0 if overlays else None), strokes


@pytest.mark.parametrize("name", DRAW)
def test_what_is_faded_is_what_is_not_reliable(result, figure_of, name):
    axes = panel(figure_of(name, "fade"), name)
    pale, strokes = faded(axes)
    doubtful = expected(result, "D")
    plane = pale[:10, :12] if name != "mosaic" else pale[-10:, :12]
    np.testing.assert_array_equal(plane, doubtful[:, :, 0].T)
    # The hatching stays inside: a stroke goes from corner to corner of a faded voxel.
    centres = [np.mean(path.vertices, axis=0) for path in strokes[0].get_paths()]
    assert centres
    assert all(pale[round(y), round(x)] for x, y in centres)


@pytest.mark.parametrize("name", DRAW)
def test_hidden_voxels_have_no_value(result, figure_of, name):
    hidden = panel(figure_of(name, "hide"), name).images[0].get_array()
    shown = panel(figure_of(name, "show"), name).images[0].get_array()
    lost = np.ma.getmaskarray(np.ma.masked_invalid(hidden)) & ~np.ma.getmaskarray(
        np.ma.masked_invalid(shown)
    )
    doubtful = expected(result, "D")
    assert lost.sum() == (doubtful.sum() if name == "mosaic" else doubtful[:, :, 0].sum())


@pytest.mark.parametrize("name", DRAW)
def test_all_voxels_like_each_other(figure_of, name):
    figure = figure_of(name, "show")
    assert faded(panel(figure, name)) == (None, [])
    assert "not reliable" not in describe(figure)


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize("reliable", ["fade", "hide"])
def test_a_line_says_what_it_means_and_how_many_voxels(result, figure_of, name, reliable):
    figure = figure_of(name, reliable)
    (text,) = [one.get_text() for one in figure.texts if "reliable" in one.get_text()]
    text = " ".join(text.split())
    assert text.startswith({"fade": "Hatched", "hide": "Left out (black)"}[reliable])
    total = int(result.mask.sum())
    assert f"D in {expected(result, 'D').sum()} of {total} voxels" in text
    assert text in describe(figure)
    # All of it is on the page.
    for one in figure.texts:
        box = one.get_window_extent().transformed(figure.transFigure.inverted())
        assert box.x0 >= -0.01, box
        assert box.x1 <= 1.01, box


def test_a_difference_needs_both(result):
    # Faded unless asked otherwise.
    figure = DRAW["difference_panels"](result)
    pale = [faded(axes)[0] for axes in figure.axes if axes.get_title()]
    np.testing.assert_array_equal(pale[2], pale[0] | pale[1])
    assert pale[2].sum() > max(pale[0].sum(), pale[1].sum())


def test_reliable_maps_stay_as_they_were():
    """No line, no overlay and the same height: the phantom's truth, and a perfect fit."""
    good = made_result(biexp_maps(SHAPE))
    first, second = (report.map_panels(good, unreliable=one) for one in ("fade", "show"))
    assert first.get_size_inches().tolist() == second.get_size_inches().tolist()
    assert all(len(axes.images) == 1 for axes in first.axes if axes.images)
    assert not first.texts[1:]


@pytest.mark.parametrize("map_name", ["D", "D_star"])
def test_seen_on_colours_and_in_grey(result, map_name, pixels):
    """Faded voxels differ from all colours of their scale, and the hatching from both."""
    shown = organs.get("liver").display
    figure = report.mosaic(result, map_name, limits=shown, crop=False)
    pixels(figure)
    axes = figure.axes[0]
    overlay = next(i.get_array() for i in axes.images if i.get_array().ndim == 3)
    colours = overlay[overlay[..., 3] > 0][:, :3].astype(float)
    table = 255 * axes.images[0].cmap(np.linspace(0, 1, 200))[:, :3]
    nearest = np.abs(colours[:, np.newaxis] - table).max(axis=2).min(axis=1)
    assert nearest.min() > 30
    grey = colours @ [0.299, 0.587, 0.114]
    stroke = 255 * float(axes.collections[0].get_colors()[0][0])
    assert (grey - stroke).min() > 90


def test_histograms_show_them_apart(result):
    """The median is that of reliable voxels; the others are counted in grey."""
    good = result.reliable("D")
    text = {}
    for reliable in UNRELIABLE:
        axes = report.histograms(result, maps=["D"], unreliable=reliable).axes[0]
        text[reliable] = [entry.get_text() for entry in axes.get_legend().get_texts()]
        median = axes.lines[0].get_xdata()[0]
        values = result.maps["D"] if reliable == "show" else good
        np.testing.assert_allclose(median, 1e3 * np.nanmedian(values))
    n, doubtful = int(np.isfinite(good).sum()), int(expected(result, "D").sum())
    assert f"(n = {n})" in text["fade"][0]
    assert text["fade"][1] == f"not reliable (n = {doubtful})"
    assert len(text["hide"]) == len(text["show"]) == 1
    assert axes.get_title(loc="left") == ""
    hidden = report.histograms(result, maps=["D"], unreliable="hide").axes[0]
    assert hidden.get_title(loc="left") == f"{doubtful} not reliable, left out"


def test_histograms_of_regions_count_their_own(result):
    labels = np.zeros(SHAPE, int)
    labels[:3, :5, 0] = 1
    axes = report.histograms(result, labels=labels, maps=["D"]).axes[0]
    entries = [entry.get_text() for entry in axes.get_legend().get_texts()]
    assert entries[-1] == "not reliable (n = 15)"


@pytest.mark.parametrize("name", [*DRAW, "histograms"])
def test_another_choice_is_refused(result, name):
    draw = DRAW.get(name) or report.histograms
    with pytest.raises(
        OptionError, match="unreliable is 'grey'; expected one of fade, hide, show"
    ):
        draw(result, unreliable="grey")


def test_a_report_follows(result):
    """Its sections of maps and histograms, in words and pictures."""
    said, seen = {}, {}
    for one in UNRELIABLE:
        subject = Subject([Side("", result)], unreliable=one)
        blocks = [*maps(subject).blocks, *histograms(subject).blocks]
        said[one] = " ".join(block.text for block in blocks if isinstance(block, Text))
        pictures = [block.pictures for block in blocks if isinstance(block, Pictures)]
        seen[one] = " ".join(picture.alt for group in pictures for picture in group)
    assert "those whose value the data do not determine are hatched" in said["fade"]
    assert "and those whose value the data do not determine." in said["hide"]
    assert "do not determine" not in said["show"]
    assert "Hatched: not reliable" in seen["fade"]
    assert "Left out (black): not reliable" in seen["hide"]
    assert "reliable" not in seen["show"]
    with pytest.raises(OptionError, match="unreliable is 'some'"):
        report.build(result, unreliable="some")
