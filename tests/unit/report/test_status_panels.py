import io

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from ivimkit.errors import ShapeError
from ivimkit.report import status_panels
from ivimkit.status import FitStatus, at_upper
from made_results import biexp_maps, made_result

SHAPE = (8, 8, 2)


@pytest.fixture
def result():
    status = np.zeros(SHAPE, int)
    status[:2] = FitStatus.OUTSIDE_MASK
    status[2, 0] = FitStatus.NON_FINITE
    status[3, 0] = FitStatus.PERFUSION_NOT_DETECTED | at_upper(2)
    status[4, 0] = at_upper(2)
    return made_result(biexp_maps(SHAPE), status=status)


def test_legend_counts_every_flag(result):
    texts = [text.get_text() for text in status_panels(result).legends[0].get_texts()]
    assert texts == [
        "OK: 90",
        "signal not finite: 2",
        "perfusion not detected: 2",
        "D* at its upper bound: 4",
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
    assert tuple(colours[0, 4]) == legend[3]


def test_colours_differ(result):
    legend = status_panels(result).legends[0].get_patches()
    assert len({patch.get_facecolor() for patch in legend}) == 4


def test_titles_and_slices(result):
    figure = status_panels(result)
    assert [axes.get_title() for axes in figure.axes] == ["slice 0", "slice 1"]
    figure.savefig(io.BytesIO(), format="png")


def test_no_image():
    with pytest.raises(ShapeError, match=r"expected \(x, y\) or \(x, y, z\)"):
        status_panels(made_result(biexp_maps((5,))))
