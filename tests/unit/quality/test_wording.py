"""The sentence says what the table says."""

import numpy as np
import pandas as pd
import pytest

from ivimkit import quality
from ivimkit.errors import OptionError
from made_results import made_result


def table(**ratios):
    """Return a comparison with these ratios; p is 0.001, or what follows a ratio."""
    rows = {}
    for name, value in ratios.items():
        ratio, p = value if isinstance(value, tuple) else (value, 0.001)
        rows[name] = {"ratio": ratio, "p": p}
    return pd.DataFrame.from_dict(rows, orient="index")


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ({"D": 0.65, "ADC": 0.92}, "ADC 8 % lower, D 35 % lower than liver"),
        ({"D_star": 1.2, "D": 0.9}, "D 10 % lower, D* 20 % higher than liver"),
        ({"fD_star": 2.5}, "f D* 150 % higher than liver"),
        ({"ADC": (0.97, 0.4), "D": 0.8}, "D 20 % lower than liver; ADC not different from liver"),
        ({"ADC": (0.9, 0.05), "D": np.nan}, "ADC, D not different from liver"),
        ({"T2": 0.5, "D": 0.8}, "D 20 % lower, T2 50 % lower than liver"),
    ],
)
def test_percentages(ratios, expected):
    assert quality.sentence(table(**ratios), reference="liver") == expected


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (0.92, "slightly lower (8 %)"),
        (0.9, "slightly lower (10 %)"),
        (0.89, "lower (11 %)"),
        (1.25, "higher (25 %)"),
        (1.26, "clearly higher (26 %)"),
    ],
)
def test_words_have_thresholds(ratio, words):
    found = quality.sentence(table(ADC=ratio), words=True)
    assert found == f"ADC {words} than the surrounding tissue"


def test_maps_in_the_order_asked_for():
    found = quality.sentence(table(ADC=0.9, D=0.5, f=1.1), maps=["D", "ADC"])
    assert found == "D 50 % lower, ADC 10 % lower than the surrounding tissue"


@pytest.mark.parametrize("maps", [["D"], []])
def test_a_map_that_was_not_compared(maps):
    with pytest.raises(OptionError, match=r"was not compared; expected some of ADC"):
        quality.sentence(table(ADC=0.9), maps=maps)


def test_numbers_are_those_of_the_comparison():
    values = np.r_[np.full(9, 0.8e-3), np.full(9, 1e-3)] + np.tile(np.linspace(-1, 1, 9), 2) * 1e-5
    result = made_result({"D": values})
    lesion = np.arange(18) < 9
    found = quality.compare_regions(result, lesion, ~lesion, maps=["D"])
    assert quality.sentence(found) == "D 20 % lower than the surrounding tissue"
