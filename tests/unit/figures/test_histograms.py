import numpy as np
import pytest

from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures import histograms
from made_results import biexp_maps, made_result


@pytest.fixture
def result():
    return made_result(biexp_maps((10, 10)))


def test_one_histogram_per_map(result):
    figure = histograms(result)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "ADC (10⁻³ mm²/s)",
        "D (10⁻³ mm²/s)",
        "f",
        "D* (10⁻³ mm²/s)",
    ]


def test_heights_are_shares_of_the_voxels(result):
    axes = histograms(result, maps=["D"]).axes[0]
    outline = axes.patches[0].get_xy()
    width = 2.5 / 60
    # The outline of a step histogram; its area is 100 % times the width of a bin.
    x, y = outline[:, 0], outline[:, 1]
    area = 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    np.testing.assert_allclose(area, 100 * width)


def test_median_is_drawn_and_written(result):
    axes = histograms(result, maps=["D"]).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xdata()[0], 0.75)
    assert axes.get_legend().get_texts()[0].get_text() == "all voxels: 0.750 (n = 100)"


def test_regions_apart(result):
    labels = np.zeros((10, 10), int)
    labels[:5], labels[5:8] = 1, 2
    axes = histograms(result, labels=labels, label_names={1: "liver"}, maps=["f"]).axes[0]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [text.split(":")[0] for text in texts] == ["liver", "2"]
    assert [text.split("n = ")[1] for text in texts] == ["50)", "30)"]


def test_values_beyond_the_range_are_counted(result):
    axes = histograms(result, maps=["f"], limits={"f": (0.0, 0.225)}).axes[0]
    assert axes.get_xlim() == (0, 0.225)
    assert axes.get_title(loc="right") == "50.0 % beyond the range"


def test_maps_without_values(pixels):
    figure = histograms(made_result({"D": np.full(4, np.nan)}))
    pixels(figure)
    axes = figure.axes[0]
    assert axes.get_title(loc="right") == "no voxel has a value"


def test_unknown_map(result):
    with pytest.raises(OptionError, match="no map 'T2'; expected some of S0, f"):
        histograms(result, maps=["T2"])


def test_labels_of_another_shape(result):
    with pytest.raises(ShapeError, match=r"shape \(3,\); expected \(10, 10\)"):
        histograms(result, labels=[1, 2, 3])
