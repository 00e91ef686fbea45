"""Bland-Altman plots: what is drawn is what the tables say."""

import numpy as np
import pandas as pd
import pytest

from ivimkit import quality, report
from ivimkit.errors import OptionError


def values_of(n, names=("D", "f"), regions=("liver", "lesion")):
    rng = np.random.default_rng(0)
    size = {"D": 1e-3, "f": 0.2, "T2": 40.0}
    unit = {"D": "mm^2/s", "f": "", "T2": "ms"}
    return pd.DataFrame(
        {
            "subject": f"s{subject}",
            "session": session,
            "region": region,
            "map": name,
            "unit": unit[name],
            "value": size[name] * (1 + 0.05 * rng.normal() + 0.2 * subject),
        }
        for subject in range(n)
        for region in regions
        for name in names
        for session in (1, 2)
    )


def draw(values, **options):
    return report.bland_altman(quality.pairs(values), quality.repeatability(values), **options)


def levels(axes):
    """Return the heights of the horizontal lines over the whole width, from below."""
    lines = [line for line in axes.lines if line.get_transform() != axes.transData]
    return sorted(float(line.get_ydata()[0]) for line in lines)


def points(axes):
    (found,) = [line for line in axes.lines if line.get_marker() == "o"]
    return np.array(found.get_xydata())


def test_a_row_per_region_and_a_column_per_map():
    figure = draw(values_of(5), title="repeatability")
    assert [axes.get_title() for axes in figure.axes] == [
        "liver: D",
        "liver: f",
        "lesion: D",
        "lesion: f",
    ]
    assert figure.get_suptitle() == "repeatability"
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[0].y0 > boxes[2].y1
    assert boxes[0].x1 < boxes[1].x0


def test_points_and_lines_are_those_of_the_tables_in_the_shown_unit():
    values = values_of(6)
    table, pairs = quality.repeatability(values), quality.pairs(values)
    axes = draw(values).axes[0]
    row, own = table.loc[("liver", "D")], pairs.xs("liver").xs("D")
    np.testing.assert_allclose(points(axes), 1e3 * own[["mean", "difference"]].to_numpy())
    expected = sorted([0.0, row["bias"], row["lower_limit"], row["upper_limit"]])
    np.testing.assert_allclose(levels(axes), 1e3 * np.array(expected))
    assert axes.get_xlabel() == "mean of both (10⁻³ mm²/s)"
    bands = [patch.get_extents().transformed(axes.transData.inverted()) for patch in axes.patches]
    assert len(bands) == 3
    np.testing.assert_allclose(
        sorted(band.y0 for band in bands),
        sorted(1e3 * row[["lower_limit_lo", "bias_lo", "upper_limit_lo"]].to_numpy(float)),
    )
    words = [text.get_text().split("\n")[0] for text in axes.texts]
    assert words == ["bias", "−1.96 sd", "+1.96 sd"]


def test_everything_is_inside_the_limits_of_the_axes():
    for axes in draw(values_of(4)).axes:
        low, high = axes.get_ylim()
        assert low < min(levels(axes)) <= max(levels(axes)) < high
        left, right = axes.get_xlim()
        assert ((left < points(axes)[:, 0]) & (points(axes)[:, 0] < right)).all()


def test_one_subject_has_the_repeatability_coefficient():
    values = values_of(1)
    axes = draw(values, regions=["lesion"], maps=["f"]).axes[0]
    row = quality.repeatability(values).loc[("lesion", "f")]
    np.testing.assert_allclose(levels(axes), sorted([-row["rc"], 0, row["bias"], row["rc"]]))
    assert [text.get_text().split("\n")[0] for text in axes.texts] == ["bias", "−RC", "+RC"]
    assert axes.get_ylabel() == "second − first"


def test_scans_that_are_equal_can_be_drawn():
    values = values_of(3).assign(value=1.0)
    low, high = draw(values).axes[0].get_ylim()
    assert low < 0 < high


def test_a_map_of_others_has_its_own_unit():
    assert draw(values_of(3, names=["T2"])).axes[0].get_xlabel() == "mean of both (ms)"


def test_a_region_without_one_of_the_maps_leaves_its_place_empty():
    values = values_of(3)
    values = values[~((values["region"] == "lesion") & (values["map"] == "f"))]
    figure = draw(values)
    assert [axes.get_title() for axes in figure.axes] == ["liver: D", "liver: f", "lesion: D", ""]
    assert not figure.axes[3].axison


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": ["ADC"]}, "there is no map 'ADC'; expected some of D, f"),
        ({"regions": ["spleen"]}, "there is no region 'spleen'; expected some of liver, lesion"),
    ],
)
def test_unknown_names(options, message):
    with pytest.raises(OptionError, match=message):
        draw(values_of(3), **options)


def test_too_many_panels():
    values = values_of(2, regions=[f"r{i}" for i in range(13)])
    with pytest.raises(OptionError, match="there are 13 regions and 2 maps; expected up to 24"):
        draw(values)
