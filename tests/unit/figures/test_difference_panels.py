import numpy as np
import pytest

from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures import agreement_panels, difference_panels
from ivimkit.quality import difference
from made_results import biexp_maps, made_result

SHAPE = (16, 14, 3)
AFFINE = np.diag([-2.0, 2.0, 5.0, 1.0])


@pytest.fixture
def found():
    maps = biexp_maps(SHAPE)
    noise = np.random.default_rng(0).normal(1e-5, 1e-4, SHAPE)
    first = made_result(maps, affine=AFFINE)
    return difference(
        first, made_result({**maps, "D": maps["D"] + noise}, affine=AFFINE), ("before", "after")
    )


def panels(figure):
    return [axes for axes in figure.axes if axes.images and not axes.get_xlabel()]


def drawn(axes):
    return np.ma.filled(axes.images[0].get_array(), np.nan)


def test_first_second_and_their_difference(found):
    figure = difference_panels(found, maps=["D"], slice=1, crop=False)
    before, after, change = panels(figure)[:3]
    np.testing.assert_allclose(drawn(before), 1e3 * found.first.maps["D"][:, :, 1].T)
    np.testing.assert_allclose(drawn(after), 1e3 * found.second.maps["D"][:, :, 1].T)
    np.testing.assert_allclose(drawn(change), 1e3 * found.maps["D"][:, :, 1].T, rtol=1e-6)
    titles = [axes.get_title() for axes in (before, after, change)]
    assert titles == ["before", "after", "after − before"]
    assert figure.get_suptitle() == "before and after, slice 1"


def test_maps_share_a_scale_and_differences_are_centred(found):
    before, after, change = panels(difference_panels(found, maps=["D"]))[:3]
    assert before.images[0].get_clim() == after.images[0].get_clim() == (0, 2.5)
    low, high = change.images[0].get_clim()
    assert low == -high
    assert high == pytest.approx(1e3 * np.percentile(np.abs(found.maps["D"]), 98))
    assert change.images[0].get_cmap().name == "RdBu_r"


def test_rows_are_maps_with_bars_of_their_own(found):
    figure = difference_panels(found)
    rows = [axes.get_ylabel() for axes in panels(figure)[::1] if axes.get_ylabel()]
    assert rows[:3] == ["ADC", "D", "f"]
    bars = [
        axes.images[0].colorbar.ax.get_ylabel()
        for axes in figure.axes
        if axes.images and axes.images[0].colorbar is not None
    ]
    assert bars[:4] == [
        "ADC (10⁻³ mm²/s)",
        "difference of ADC (10⁻³ mm²/s)",
        "D (10⁻³ mm²/s)",
        "difference of D (10⁻³ mm²/s)",
    ]


def test_the_first_five_maps_unless_asked(found):
    assert len(panels(difference_panels(found))) == 3 * 5
    assert len(panels(difference_panels(found, maps=list(found.maps)))) == 3 * 6


def test_limits_and_sides(found):
    axes = panels(difference_panels(found, maps=["D"], limits={"D": (0, 1e-3)}, title="x"))[0]
    assert axes.images[0].get_clim() == (0, 1)
    assert [text.get_text() for text in axes.texts] == ["R", "L"]


def test_equal_maps_have_a_scale_all_the_same(found):
    change = panels(difference_panels(found, maps=["f"]))[2]
    assert change.images[0].get_clim() == (-1, 1)


def test_agreement_counts_each_voxel_once(found):
    (axes,) = [one for one in agreement_panels(found, maps=["D"]).axes if one.images]
    assert np.nansum(drawn(axes)) == np.count_nonzero(
        np.abs(found.maps["D"]) * 1e3 <= axes.get_ylim()[1]
    )
    assert axes.get_title() == f"D (n = {np.prod(SHAPE)})"
    assert axes.get_xlabel() == "mean of before and after (10⁻³ mm²/s)"
    assert axes.get_ylabel() == "after − before (10⁻³ mm²/s)"


def test_lines_are_mean_and_limits(found):
    (axes,) = [one for one in agreement_panels(found, maps=["D"]).axes if one.images]
    lines = {line.get_label(): line.get_ydata()[0] for line in axes.lines}
    row = found.rows["D"]
    assert lines == {
        "mean difference": 1e3 * row["difference"],
        "lower limit (95 %)": 1e3 * row["lower"],
        "upper limit": 1e3 * row["upper"],
    }
    low, high = axes.get_ylim()
    assert low < lines["lower limit (95 %)"] < lines["upper limit"] < high


def test_all_maps_on_a_page(found):
    figure = agreement_panels(found, title="x")
    assert len([axes for axes in figure.axes if axes.images]) == 6
    assert figure.get_suptitle() == "x"


def test_no_voxel_in_common(found, pixels):
    maps = {name: np.full(SHAPE, np.nan) for name in biexp_maps(SHAPE)}
    nothing = difference(found.first, made_result(maps, affine=AFFINE))
    for draw in (agreement_panels, difference_panels):
        pixels(draw(nothing, maps=["D"]))


@pytest.mark.parametrize("draw", [agreement_panels, difference_panels])
def test_unknown_map(found, draw):
    with pytest.raises(OptionError, match="no difference of map 'T2'; expected some of ADC"):
        draw(found, maps=["T2"])
    with pytest.raises(OptionError, match="no difference of map to draw"):
        draw(found, maps=[])


def test_no_image():
    maps = biexp_maps((10,))
    with pytest.raises(ShapeError, match="expected"):
        difference_panels(difference(made_result(maps), made_result(maps)))
