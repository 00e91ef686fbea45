from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from ivimkit import models
from ivimkit.errors import ShapeError
from ivimkit.figures import status_panels
from ivimkit.status import FitStatus, at_lower, at_upper, explain, gravest_first, in_words
from made_results import biexp_maps, made_result

SHAPE = (8, 8, 2)


@pytest.fixture
def result():
    status = np.zeros(SHAPE, int)
    status[:2] = FitStatus.OUTSIDE_MASK
    status[2, 0] = FitStatus.NON_FINITE
    status[3, 0] = FitStatus.PERFUSION_NOT_DETECTED | at_upper(2)
    status[4, 0] = at_upper(2)
    status[5, 0] = FitStatus.PERFUSION_NOT_DETECTED
    return made_result(biexp_maps(SHAPE), status=status)


def test_legend_counts_every_flag(result):
    texts = [text.get_text() for text in status_panels(result).legends[0].get_texts()]
    assert texts == [
        "OK: 88",
        "signal not finite: 2",
        "D* at its upper bound: 4",
        "perfusion not detected: 2 of 4",
    ]


def test_the_gravest_flag_gives_the_colour(result):
    figure = status_panels(result, slices=0, crop=False)
    image = figure.axes[0].images[0]
    colours = image.cmap(image.norm(image.get_array()))
    legend = [patch.get_facecolor() for patch in figure.legends[0].get_patches()]
    # Rows are y, columns x.
    assert tuple(colours[5, 0]) == to_rgba("black")
    assert tuple(colours[5, 5]) == legend[0]
    assert tuple(colours[0, 2]) == legend[1]
    assert tuple(colours[0, 3]) == legend[2]
    assert tuple(colours[0, 4]) == legend[2]
    assert tuple(colours[0, 5]) == legend[3]


def drawn_and_told(result):
    """Return how many voxels have each colour of the legend, and how many it tells of."""
    figure = status_panels(result, slices=range(result.shape[2]), crop=False)
    drawn = []
    for axes in figure.axes:
        image = axes.images[0]
        drawn += [tuple(one) for one in image.cmap(image.norm(image.get_array())).reshape(-1, 4)]
    legend = figure.legends[0]
    told = {}
    for patch, text in zip(legend.get_patches(), legend.get_texts(), strict=True):
        name, _, count = text.get_text().partition(": ")
        told[name] = (drawn.count(patch.get_facecolor()), int(count.split(" of ")[0]))
    return told


def test_of_every_pair_of_flags_the_graver_one_is_seen():
    """And what is only missing beside a value hides nothing; picture and legend agree."""
    biexp = models.get("biexp")
    flags = [flag for flag in explain(biexp) if flag not in (0, FitStatus.OUTSIDE_MASK)]
    order = gravest_first(biexp)
    assert sorted(order) == sorted(flags)
    pairs = list(combinations(flags, 2))
    status = np.array([[[one | other] for one, other in pairs]])
    told = drawn_and_told(made_result(biexp_maps(status.shape), status=status))
    assert all(drawn == count for drawn, count in told.values()), told
    assert sum(count for _, count in told.values()) == len(pairs)
    names = {flag: in_words(name, biexp) for flag, (name, *_) in explain(biexp).items()}
    for flag in flags:
        graver_than = sum(order.index(flag) < order.index(other) for other in flags)
        assert told.get(names[flag], (0, 0))[1] == graver_than, names[flag]
    bounds = [flag for flag in flags if flag >= at_lower(0)]
    missing = (FitStatus.SD_NOT_AVAILABLE, FitStatus.ADC_NOT_AVAILABLE)
    assert max(map(order.index, bounds)) < min(map(order.index, missing))


def test_colours_differ(result):
    legend = status_panels(result).legends[0].get_patches()
    assert len({patch.get_facecolor() for patch in legend}) == 4


def test_titles_and_slices(result):
    figure = status_panels(result)
    assert [axes.get_title() for axes in figure.axes] == ["slice 0", "slice 1"]


def test_no_image():
    with pytest.raises(ShapeError, match=r"expected \(x, y\) or \(x, y, z\)"):
        status_panels(made_result(biexp_maps((5,))))
