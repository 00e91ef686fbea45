import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures import image_mosaic, mosaic, mosaic_names
from ivimkit.scan.dwi import DWI
from made_results import biexp_maps, made_result

SHAPE = (9, 6, 7)
B = [0, 0, 10, 50, 200, 400, 780]
GAP = 2


def sheet(figure):
    return np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)


def numbers(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text().isdigit()]


def tiles(figure, rows, columns):
    """Cut the sheet into slices, from the upper left."""
    whole = sheet(figure)[::-1]
    found = []
    for top in range(0, whole.shape[0], rows + GAP):
        for left in range(0, whole.shape[1], columns + GAP):
            found.append(whole[top : top + rows, left : left + columns][::-1])
    return found


def test_every_slice_is_drawn_in_the_unit_of_the_bar(result):
    figure = mosaic(result, "D", crop=False)
    drawn = tiles(figure, 6, 9)
    for k in range(7):
        np.testing.assert_allclose(drawn[k], 1e3 * result.maps["D"][:, :, k].T, rtol=1e-6)
    assert all(np.isnan(rest).all() for rest in drawn[7:])
    assert numbers(figure) == [str(k) for k in range(7)]
    assert figure.axes[1].get_xlabel() == "D (10⁻³ mm²/s)"
    assert figure.axes[0].images[0].get_clim() == (0, 2.5)
    assert figure.get_suptitle() == "D, slices 0 to 6"


def test_slices_are_separated_by_background(result):
    whole = sheet(mosaic(result, "D", crop=False))
    assert np.isnan(whole[:, 9:11]).all()
    assert whole.shape[1] % (9 + GAP) == 9


def test_numbers_stand_in_their_slices(result):
    axes = mosaic(result, "D", crop=False).axes[0]
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert places["0"][0] < 9 < places["1"][0]
    assert places["6"][1] < places["0"][1]


def test_sides_of_the_patient_are_in_the_first_slice(result):
    axes = mosaic(result, "D", crop=False).axes[0]
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert places["R"][0] < places["L"][0] < 9
    assert places["R"][1] == max(y for _, y in places.values())


def test_of_many_slices_evenly_spread_ones(result):
    figure = mosaic(result, "f", most=3)
    assert numbers(figure) == ["1", "3", "5"]
    assert figure.get_suptitle() == "f, 3 of 7 slices, 1 to 5"


def test_slices_without_a_value_are_left_out(result):
    for values in result.maps.values():
        values[:, :, :5] = np.nan
    assert numbers(mosaic(result, "D")) == ["5", "6"]


def test_limits_of_the_organ(result):
    figure = mosaic(result, "D", limits=ik.organs.get("prostate").display, title="mine")
    low, high = ik.organs.get("prostate").display["D"]
    assert figure.axes[0].images[0].get_clim() == (1e3 * low, 1e3 * high)
    assert figure.get_suptitle() == "mine"


def test_the_bar_says_where_values_lie_beyond(result):
    result.maps["D"][0, 0, 0] = 4e-3
    assert mosaic(result, "D").axes[0].images[0].colorbar.extend == "max"


@pytest.mark.parametrize(("name", "title"), [("D_sd", "sd of D"), ("D_bits", "information on D")])
def test_maps_of_trust(result, name, title):
    result.maps[name] = 0.1 * result.maps["D"]
    assert mosaic(result, name).get_suptitle() == f"{title}, slices 0 to 6"


def test_which_maps_are_worth_it(result):
    result.maps["D_sd"] = result.maps["D_lo"] = result.maps["f_bits"] = result.maps["D"]
    assert mosaic_names(result) == ("ADC", "D", "f", "D_star", "fD_star", "D_sd", "f_bits")


def test_one_slice_and_no_slice(result):
    single = made_result({"D": np.ones((5, 4))})
    assert mosaic(single, "D").get_suptitle() == "D"
    assert numbers(mosaic(single, "D")) == []
    flat = made_result(biexp_maps((5, 4, 1)))
    assert mosaic(flat, "D").get_suptitle() == "D, slice 0"


@pytest.mark.parametrize("shape", [(6, 4, 54), (40, 4, 9), (4, 40, 9), (5, 5, 2)])
def test_pages_fit_a_screen(shape, affine, pixels):
    result = made_result(biexp_maps(shape), affine=affine)
    figure = mosaic(result, "D", most=54)
    width, height = figure.get_size_inches()
    assert width <= 9.5
    assert height <= 8.2
    pixels(figure)


def test_voxels_keep_their_shape():
    result = made_result(biexp_maps(SHAPE), affine=np.diag([-1.0, 3.0, 5.0, 1.0]))
    figure = mosaic(result, "D", crop=False)
    box = figure.axes[0].get_position()
    inches = figure.get_size_inches() * (box.width, box.height)
    columns, rows = sheet(figure).shape[::-1]
    assert inches[1] / rows == pytest.approx(3 * inches[0] / columns)


def test_images_are_averages_of_the_nearest_b_value(dwi):
    figure = image_mosaic(dwi, 800, crop=False)
    np.testing.assert_allclose(tiles(figure, 6, 9)[3], dwi.mean_image(780)[:, :, 3].T, rtol=1e-6)
    assert figure.get_suptitle() == "b = 780 s/mm², slices 0 to 6"
    assert figure.axes[1].get_xlabel() == "signal (a.u.)"
    assert figure.axes[0].images[0].get_cmap().name == "gray"


def test_grey_is_ranged_by_the_tissue(dwi, affine):
    signal = dwi.signal.copy()
    inside = np.zeros(SHAPE, bool)
    inside[2:7, 1:5] = True
    signal[~inside] = 1e6
    clean = image_mosaic(dwi, 0, within=inside).axes[0].images[0].get_clim()
    bright = image_mosaic(DWI(signal, B, affine), 0, within=inside).axes[0].images[0].get_clim()
    assert clean == bright
    masked = DWI(signal, B, affine, mask=inside)
    assert image_mosaic(masked, 0).axes[0].images[0].get_clim() == clean


def test_mask_of_another_scan(dwi):
    with pytest.raises(ShapeError, match=r"the mask has shape \(3, 3, 3\); expected \(9, 6, 7\)"):
        image_mosaic(dwi, 0, within=np.ones((3, 3, 3)))


def test_unknown_map():
    made = ik.simulate.phantom(shape=(12, 10, 1))
    with pytest.raises(OptionError, match="no map 'T2'"):
        mosaic(ik.fit(made.dwi), "T2")


def test_no_image():
    with pytest.raises(ShapeError, match="expected"):
        mosaic(made_result(biexp_maps((10,))), "D")
