import numpy as np
import pytest
from matplotlib.colors import to_rgba

from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures import compare_methods, map_panels
from ivimkit.scan.dwi import DWI
from made_results import BVALS, biexp_maps, made_result

SHAPE = (12, 10, 4)
AFFINE = np.diag([-2.0, 2.0, 5.0, 1.0])


@pytest.fixture
def result():
    return made_result(biexp_maps(SHAPE), affine=AFFINE)


@pytest.fixture(scope="module")
def whole_slice(dwi):
    """The page of one slice, which nobody changes."""
    return map_panels(made_result(biexp_maps(SHAPE), affine=AFFINE), dwi, slices=2, crop=False)


@pytest.fixture(scope="module")
def dwi():
    decay = np.exp(-np.array(BVALS) * 1e-3)
    return DWI(1000 * biexp_maps(SHAPE)["S0"][..., None] / 1000 * decay, BVALS, AFFINE)


def images(figure):
    """Axes of images, by title; colour bars have no title."""
    return {axes.get_title(): axes for axes in figure.axes if axes.get_title()}


def drawn(axes):
    return np.ma.filled(axes.images[0].get_array(), np.nan)


def bar_labels(figure):
    return [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]


def test_maps_and_images_of_one_slice(result, whole_slice):
    assert list(images(whole_slice)) == [
        "S0 measured (b = 0)",
        "S0 predicted",
        "b = 800 s/mm²",
        "ADC",
        "D",
        "f",
        "D*",
        "f D*",
    ]
    title = whole_slice.get_suptitle()
    assert title == f"bi-exponential IVIM, {result.method.title}, slice 2"


def test_what_is_drawn_is_the_map_in_the_unit_of_its_colour_bar(result, whole_slice):
    axes = images(whole_slice)["D"]
    np.testing.assert_allclose(drawn(axes), 1e3 * result.maps["D"][:, :, 2].T)
    assert "D (10⁻³ mm²/s)" in bar_labels(whole_slice)
    assert axes.images[0].get_clim() == (0, 2.5)


def test_measured_and_predicted_s0_are_on_one_scale(result, dwi, whole_slice):
    panels = images(whole_slice)
    measured, predicted = panels["S0 measured (b = 0)"], panels["S0 predicted"]
    assert measured.images[0].get_clim() == predicted.images[0].get_clim()
    np.testing.assert_allclose(drawn(measured), dwi.mean_image(0)[:, :, 2].T)
    np.testing.assert_allclose(drawn(predicted), result.maps["S0"][:, :, 2].T)


def test_high_b_image_is_the_one_nearest(result, dwi):
    panels = images(map_panels(result, dwi, slices=2, crop=False, high_b=390))
    np.testing.assert_allclose(drawn(panels["b = 400 s/mm²"]), dwi.mean_image(400)[:, :, 2].T)


def test_a_lowest_b_that_is_not_zero_is_not_called_s0(result, dwi):
    panels = images(map_panels(result, dwi.select(bmin=10), slices=2))
    assert "measured (b = 10)" in panels


def test_several_slices_have_a_row_each(result, dwi):
    figure = map_panels(result, dwi, slices=[0, 3], crop=False)
    rows = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert rows == ["slice 0", "slice 3"]
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 2 * 8
    assert len(bar_labels(figure)) == 8
    np.testing.assert_allclose(drawn(shown[8 + 4]), 1e3 * result.maps["D"][:, :, 3].T)


def test_missing_values_are_background(result):
    result.maps["D"][5, 5, 2] = np.nan
    axes = images(map_panels(result, slices=2, crop=False))["D"]
    assert np.isnan(drawn(axes)[5, 5])
    assert tuple(axes.images[0].get_cmap()(np.ma.masked)) == to_rgba("black")
    assert axes.get_facecolor() == to_rgba("black")


def test_the_page_is_cropped_to_the_voxels_with_a_value():
    maps = {name: np.full((60, 60, 1), np.nan) for name in biexp_maps((1,))}
    for name, value in biexp_maps((10, 10, 1)).items():
        maps[name][20:30, 30:40] = value
    axes = images(map_panels(made_result(maps, affine=AFFINE)))["D"]
    assert drawn(axes).shape == (16, 16)


def test_sides_of_the_patient_are_written(result):
    texts = [text.get_text() for text in images(map_panels(result, slices=1))["D"].texts]
    assert texts == ["R", "L"]


def test_limits_and_maps(result):
    figure = map_panels(result, slices=1, maps=["f", "rmse"], limits={"f": (0.1, 0.2)}, title="x")
    assert list(images(figure)) == ["f", "RMSE"]
    assert images(figure)["f"].images[0].get_clim() == (0.1, 0.2)
    assert bar_labels(figure) == ["f", "RMSE (a.u.)"]
    assert figure.get_suptitle() == "x, slice 1"


def test_colour_bars_say_where_values_lie_beyond(result):
    figure = map_panels(result, slices=1, maps=["f", "D"], limits={"f": (0.1, 0.2)})
    f, D = (axes.images[0].colorbar.extend for axes in images(figure).values())
    assert (f, D) == ("max", "neither")


def test_plain_maps_and_one_slice_without_a_third_axis():
    figure = map_panels({"D": np.ones((6, 5)) * 1e-3})
    assert list(images(figure)) == ["D"]
    assert figure.get_suptitle() == "maps"


def test_monoexponential():
    result = made_result({"S0": np.ones((6, 5)), "ADC": np.ones((6, 5))}, model="monoexp")
    assert list(images(map_panels(result))) == ["ADC"]


def test_maps_without_any_value(result, dwi, pixels):
    empty = made_result({name: np.full(SHAPE, np.nan) for name in result.maps})
    pixels(map_panels(empty, dwi, slices=[0]))


def test_unknown_map(result):
    with pytest.raises(OptionError, match="no map 'T2'; expected some of S0, f"):
        map_panels(result, maps=["D", "T2"])


def test_nothing_to_draw():
    with pytest.raises(OptionError, match="no map to draw; expected some of rmse"):
        map_panels({"rmse": np.ones((3, 3))})


def test_a_scan_of_another_shape(result):
    other = DWI(np.ones((3, 3, 4, 8)), BVALS)
    with pytest.raises(ShapeError, match=r"expected fits of the same scan"):
        map_panels(result, other)


class TestCompare:
    def test_rows_are_fits_and_columns_maps_on_one_scale(self, result):
        maps = biexp_maps(SHAPE)
        other = made_result({**maps, "S0": 2 * maps["S0"]}, affine=AFFINE)
        figure = compare_methods({"segmented": result, "varpro": other}, slice=1, crop=False)
        assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == [
            "segmented",
            "varpro",
        ]
        shown = [axes for axes in figure.axes if axes.images]
        assert [axes.get_title() for axes in shown[:4]] == ["S0", "f", "D*", "D"]
        assert shown[0].images[0].get_clim() == shown[4].images[0].get_clim()
        np.testing.assert_allclose(drawn(shown[4]), 2 * drawn(shown[0]))
        assert figure.get_suptitle() == "comparison, slice 1"

    def test_truth_can_be_a_row(self, result):
        truth = {name: biexp_maps(SHAPE)[name] for name in ("S0", "f", "D_star", "D")}
        figure = compare_methods({"truth": truth, "fit": result}, slice=1, maps=["D"])
        first, second = (axes for axes in figure.axes if axes.images)
        np.testing.assert_allclose(drawn(first), drawn(second))
        assert [text.get_text() for text in first.texts] == ["R", "L"]

    def test_a_map_that_a_fit_does_not_have_stays_empty(self, result):
        mono = made_result({"S0": np.ones(SHAPE), "ADC": np.ones(SHAPE)}, model="monoexp")
        figure = compare_methods({"mono": mono, "biexp": result}, maps=["ADC", "D"])
        shown = [axes for axes in figure.axes if axes.images]
        assert np.isnan(drawn(shown[1])).all()
        assert np.isfinite(drawn(shown[3])).all()

    def test_nothing_to_compare(self):
        with pytest.raises(OptionError, match="no fit to draw"):
            compare_methods({})

    def test_unknown_map(self, result):
        with pytest.raises(OptionError, match="no map 'T2'"):
            compare_methods({"a": result}, maps=["T2"])

    def test_different_shapes(self, result):
        other = made_result(biexp_maps((3, 3, 4)))
        with pytest.raises(ShapeError, match=r"shapes \(3, 3, 4\) and \(12, 10, 4\)"):
            compare_methods({"a": result, "b": other})
