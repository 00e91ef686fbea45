import numpy as np
import pytest
from matplotlib.colors import to_rgba

from ivimkit import models, organs
from ivimkit.errors import OptionError
from ivimkit.figures.map_style import BACKGROUND, how_to_show
from ivimkit.parameter import Parameter

BIEXP = models.get("biexp").parameters
NONE = np.full((2, 2), np.nan)


def test_diffusion_is_shown_in_thousandths_and_says_so():
    shown = how_to_show("D", BIEXP, [NONE])
    assert shown.label == "D (10⁻³ mm²/s)"
    assert shown.values(np.array([1.5e-3])).tolist() == [1.5]
    assert shown.limits == tuple(1e3 * end for end in models.get("biexp")["D"].display)


def test_symbol_and_unit_are_the_parameters():
    parameter = Parameter("D", "Dapp", "um^2/ms", 0, 5, 1, (0, 3))
    assert how_to_show("D", [parameter], [NONE]).label == "Dapp (um²/ms)"


def test_a_fraction_has_no_unit():
    assert how_to_show("f", BIEXP, [NONE]).label == "f"


def test_adc_has_the_scale_of_d():
    narrow = models.get("biexp").with_display(D=(0, 1.7e-3)).parameters
    assert how_to_show("ADC", narrow, [NONE]).limits == how_to_show("D", narrow, [NONE]).limits
    liver = organs.get("liver").display
    assert how_to_show("ADC", BIEXP, [NONE], liver).limits == (0, 2.0)


def test_given_limits_come_first():
    assert how_to_show("f", BIEXP, [NONE], {"f": (0.1, 0.3)}).limits == (0.1, 0.3)


def test_signal_leaves_its_range_to_the_data():
    data = np.linspace(0, 1000, 1001)
    low, high = how_to_show("S0", BIEXP, [data, NONE]).limits
    assert low == 0
    assert 990 < high < 1000


@pytest.mark.parametrize("data", [NONE, np.zeros(3), np.full(3, np.inf)])
def test_range_without_data_is_not_empty(data):
    low, high = how_to_show("S0", BIEXP, [data]).limits
    assert low < high


@pytest.mark.parametrize("name", ["f", "D_star", "D", "ADC", "fD_star", "rmse", "r2"])
def test_missing_values_are_background_and_no_value_looks_like_it(name):
    colormap = how_to_show(name, BIEXP, [NONE]).colormap
    assert tuple(colormap(np.ma.masked)) == to_rgba(BACKGROUND)
    colours = colormap(np.linspace(0, 1, 256))[:, :3]
    assert colours.sum(axis=1).min() > 0.3


@pytest.mark.parametrize("name", ["S0", "f", "D", "r2"])
def test_colour_maps_get_lighter_all_the_way(name):
    colours = how_to_show(name, BIEXP, [NONE]).colormap(np.linspace(0, 1, 64))[:, :3]
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -1e-3).all()


def test_infinite_values_are_missing():
    shown = how_to_show("D", BIEXP, [NONE])
    assert np.isnan(shown.values(np.array([np.inf, np.nan]))).all()


@pytest.mark.parametrize(
    ("name", "stored", "text"),
    [
        ("D", 1.0999e-3, "1.10"),
        ("D_star", 0.0565, "56.5"),
        ("S0", 1004.2, "1\u202f004"),
        ("S0", 123456.0, "123\u202f456"),
        ("f", np.nan, "–"),
    ],
)
def test_text(name, stored, text):
    assert how_to_show(name, BIEXP, []).text(stored) == text


def test_unknown_map():
    with pytest.raises(OptionError, match="no map 'T2'"):
        how_to_show("T2", BIEXP, [])


@pytest.mark.parametrize(
    ("numbers", "ends"),
    [
        ([[0.0, 1.0], [0.5]], "neither"),
        ([[0.5], [-0.1]], "min"),
        ([[1.1], [0.5]], "max"),
        ([[1.1], [-0.1]], "both"),
        ([[np.nan]], "neither"),
        ([], "neither"),
    ],
)
def test_the_ends_of_the_bar_point_to_what_lies_beyond(numbers, ends):
    shown = how_to_show("f", BIEXP, [NONE], {"f": (0.0, 1.0)})
    assert shown.extend([np.array(part) for part in numbers]) == ends
