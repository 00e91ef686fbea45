"""The sentence says what the table says, in absolute values, and never more than is known."""

import numpy as np
import pandas as pd
import pytest

from ivimkit import quality
from ivimkit.errors import OptionError
from made_results import made_result


def row(reference, lesion, half, basis="voxels", verdict=None, why=""):
    """Return a row of a comparison, with limits of the difference of +- half."""
    difference = lesion - reference
    usual = "no difference" if abs(difference) <= half else ("lower", "higher")[difference > 0]
    return {
        "unit": "mm^2/s",
        "verdict": verdict or usual,
        "basis": basis,
        "why": why,
        "lesion_value": lesion,
        "reference_value": reference,
        "value_difference": difference,
        "value_difference_lo": difference - half,
        "value_difference_hi": difference + half,
    }


def table(**rows):
    return pd.DataFrame.from_dict(rows, orient="index")


ADC = row(1.64e-3, 1.35e-3, 0.05e-3)
D = row(1.4e-3, 1.1e-3, 0.0004e-3)
F = row(0.2, 0.19, 0.03)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            {"D": D, "ADC": ADC},
            "ADC 1.35 against 1.64 ·10⁻³ mm²/s (18 % lower), D 1.10 against 1.40 ·10⁻³ mm²/s "
            "(21 % lower), compared with liver",
        ),
        (
            {"f": F, "ADC": ADC},
            "ADC 1.35 against 1.64 ·10⁻³ mm²/s (18 % lower), compared with liver; f: no "
            "difference found (95 % limits −20 % to +10 %)",
        ),
        (
            {"D_star": row(3e-2, 6e-2, 1e-2, "mean signal")},
            "D* 60.0 against 30.0 ·10⁻³ mm²/s (100 % higher; fit of the mean signal), compared "
            "with liver",
        ),
        (
            {"f": row(0.0, 0.01, 0.02)},
            "compared with liver, f: no difference found (95 % limits of the difference "
            "−0.010 to 0.030)",
        ),
        (
            {"f": row(0.2, 0.3, 0.01, verdict="unknown", why="voxels and mean signal disagree")},
            "compared with liver, f: unknown, voxels and mean signal disagree",
        ),
        ({"T2": {**row(50.0, 25.0, 9.0), "unit": "ms"}}, "T2 25.0 against 50.0 ms (50 % lower), "
         "compared with liver"),
        ({"f": row(0.0, 0.1, 0.01)}, "f 0.100 against 0.000 (higher), compared with liver"),
    ],
)  # fmt: skip
def test_what_is_said(rows, expected):
    assert quality.sentence(table(**rows), reference="liver") == expected


@pytest.mark.parametrize(
    ("lesion", "words"),
    [
        (0.92, "slightly lower, 8 %"),
        (0.9, "slightly lower, 10 %"),
        (0.89, "lower, 11 %"),
        (1.25, "higher, 25 %"),
        (1.26, "clearly higher, 26 %"),
        (0.999, "slightly lower, < 1 %"),
    ],
)
def test_words_have_thresholds(lesion, words):
    found = quality.sentence(table(ADC=row(1e-3, lesion * 1e-3, 1e-9)), words=True)
    assert f"({words}), compared with the surrounding tissue" in found


def test_maps_in_the_order_asked_for():
    found = quality.sentence(table(ADC=ADC, D=D, f=F), maps=["D", "ADC"])
    assert found.index("D 1.10") < found.index("ADC 1.35")
    assert "f" not in found.replace("·10⁻³ mm²/s", "").split()


@pytest.mark.parametrize("maps", [["D"], []])
def test_a_map_that_was_not_compared(maps):
    with pytest.raises(OptionError, match=r"was not compared; expected some of ADC"):
        quality.sentence(table(ADC=ADC), maps=maps)


def test_numbers_are_those_of_the_comparison():
    values = np.r_[np.full(9, 0.8e-3), np.full(9, 1e-3)] + np.tile(np.linspace(-1, 1, 9), 2) * 1e-5
    lesion = np.arange(18) < 9
    found = quality.compare_regions(made_result({"D": values}), lesion, ~lesion, maps=["D"])
    assert quality.sentence(found) == (
        "D 0.80 against 1.00 ·10⁻³ mm²/s (20 % lower), compared with the surrounding tissue"
    )
