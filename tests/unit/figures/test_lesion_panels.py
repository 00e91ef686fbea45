from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures import Picture, lesion_panels
from ivimkit.scan.dwi import DWI
from made_results import biexp_maps, made_result

SHAPE = (40, 36, 5)
B = [0, 10, 50, 200, 400, 790]


@pytest.fixture
def lesion():
    inside = np.zeros(SHAPE, bool)
    inside[14:20, 15:20, 2] = inside[15:18, 16:18, 3] = True
    return inside


def panels(figure):
    return [axes for axes in figure.axes if axes.images]


def titles(figure):
    return [axes.get_title() for axes in panels(figure)]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def tips(axes):
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]


def outlines(axes):
    return {one.get_label(): one for one in axes.collections}


def drawn(axes):
    return np.ma.filled(axes.images[0].get_array(), np.nan)


def test_panels_are_the_image_and_the_maps_of_the_slice_with_most_of_the_lesion(
    result, dwi, lesion
):
    figure = lesion_panels(result, lesion, dwi=dwi, crop=False)
    assert titles(figure) == ["b = 790 s/mm²", "ADC", "D", "f"]
    image, _, D, _ = panels(figure)
    np.testing.assert_allclose(drawn(image), dwi.mean_image(790)[:, :, 2].T)
    np.testing.assert_allclose(drawn(D), 1e3 * result.maps["D"][:, :, 2].T)
    assert figure.get_suptitle() == "slice 2"


def test_panels_have_letters_and_sides(result, dwi, lesion):
    found = [texts(axes) for axes in panels(lesion_panels(result, lesion, dwi=dwi))]
    assert found == [["R", "L", letter] for letter in "abcd"]


def test_colour_bars(result, dwi, lesion):
    figure = lesion_panels(result, lesion, dwi=dwi)
    bars = [axes.images[0].colorbar.ax.get_xlabel() for axes in panels(figure)]
    assert bars == ["signal (a.u.)", "ADC (10⁻³ mm²/s)", "D (10⁻³ mm²/s)", "f"]


@pytest.mark.parametrize(
    ("marks", "arrowheads", "contours"),
    [("arrowheads", 3, 0), ("contour", 0, 1), ("both", 3, 1), ("none", 0, 0)],
)
def test_marks_are_on_the_same_lesion_on_every_panel(
    result, dwi, lesion, marks, arrowheads, contours
):
    found = panels(lesion_panels(result, lesion, dwi=dwi, marks=marks))
    assert [len(axes.lines) for axes in found] == [arrowheads] * 4
    assert [len(axes.collections) for axes in found] == [contours] * 4
    assert all(tips(axes) == tips(found[0]) for axes in found)


def test_arrowheads_are_around_the_lesion_in_the_image(result, lesion):
    axes = panels(lesion_panels(result, lesion, crop=False))[0]
    # Columns run to the patient's left, as the affine says: no axis is turned.
    for x, y in tips(axes):
        assert 12 < x < 21
        assert 13 < y < 21
        assert not lesion[round(x), round(y), 2]


def test_the_contour_is_that_of_the_lesion_in_the_turned_image(lesion):
    turned = made_result(biexp_maps(SHAPE), affine=np.diag([2.0, -2.0, 5.0, 1.0]))
    axes = panels(lesion_panels(turned, lesion, crop=False, marks="contour"))[0]
    (path,) = outlines(axes)["lesion (contour)"].get_paths()
    low, high = path.vertices.min(axis=0), path.vertices.max(axis=0)
    # Both axes are mirrored: voxels 14 to 19 of 40 become 20 to 25, 15 to 19 of 36 16 to 20.
    np.testing.assert_allclose([low, high], [[19.5, 15.5], [25.5, 20.5]])


def test_a_reference_is_another_contour(result, lesion):
    reference = np.zeros(SHAPE, bool)
    reference[5:10, 5:10, 2] = True
    axes = panels(lesion_panels(result, lesion, reference=reference, crop=False))[0]
    (path,) = outlines(axes)["reference (contour)"].get_paths()
    assert path.vertices.max() == 9.5
    assert len(axes.lines) == 3


def test_the_page_shows_the_lesion_and_its_surroundings(result, lesion):
    image = drawn(panels(lesion_panels(result, lesion))[0])
    # 6 x 5 voxels, and 2.5 times 12 mm on each side, as far as there is tissue.
    assert image.shape == (35, 35)
    small = np.zeros(SHAPE, bool)
    small[20, 18, 2] = True
    assert drawn(panels(lesion_panels(result, small))[0]).shape == (5, 5)


def test_a_lesion_outside_the_mask_is_shown_all_the_same(result, lesion):
    status = np.ones(SHAPE, int)
    status[30:, 30:] = 0
    outside = replace(result, status=status)
    assert drawn(panels(lesion_panels(outside, lesion))[0]).shape[0] >= 5


def test_without_a_scan_there_are_maps_only(result, lesion):
    figure = lesion_panels(result, lesion)
    assert titles(figure) == ["ADC", "D", "f"]
    assert texts(panels(figure)[0])[-1] == "a"


def test_the_scan_at_hand_is_used(result, dwi, lesion):
    assert len(panels(lesion_panels(replace(result, dwi=dwi), lesion))) == 4


def test_another_b_value_slice_and_maps(result, dwi, lesion):
    figure = lesion_panels(result, lesion, dwi=dwi, b=380, slice=3, maps=["D_star"], title="x")
    assert titles(figure) == ["b = 400 s/mm²", "D*"]
    assert figure.get_suptitle() == "x"
    found = lesion_panels(result, lesion, dwi=dwi, slice=-2, crop=False)
    np.testing.assert_allclose(drawn(panels(found)[2]), 1e3 * result.maps["D"][:, :, 3].T)


def test_adc_and_d_are_shown_on_one_range_around_the_lesion(result, lesion):
    result.maps["ADC"][:] = np.where(lesion, 1.4e-3, 1.5e-3)
    result.maps["D"][:] = np.where(lesion, 0.8e-3, 1.1e-3)
    # A vessel beside it does not widen the range.
    result.maps["ADC"][20:22, 15:20] = 9e-3
    adc, d, f = (axes.images[0].get_clim() for axes in panels(lesion_panels(result, lesion)))
    np.testing.assert_allclose(adc, (0.8 - 0.42, 1.5 + 0.42))
    assert d == adc
    assert f == (0, 0.4)


def test_limits_take_precedence(result, lesion):
    figure = lesion_panels(result, lesion, limits={"D": (0.0, 1e-3)})
    adc, d, _ = (axes.images[0].get_clim() for axes in panels(figure))
    assert d == (0, 1)
    assert adc != d


def test_a_model_without_perfusion(lesion):
    maps = {name: biexp_maps(SHAPE)[name] for name in ("S0", "ADC")}
    assert titles(lesion_panels(made_result(maps, model="monoexp"), lesion)) == ["ADC"]


def test_two_axes(lesion):
    flat = made_result(biexp_maps(SHAPE[:2]))
    figure = lesion_panels(flat, lesion[:, :, 2])
    assert figure.get_suptitle() == ""
    assert len(tips(panels(figure)[0])) == 3


def test_a_lesion_without_any_value(lesion, pixels):
    empty = made_result({name: np.full(SHAPE, np.nan) for name in biexp_maps(SHAPE)})
    pixels(lesion_panels(empty, lesion))


@pytest.mark.drawn
def test_the_phantom_can_be_encoded():
    made = ik.simulate.phantom(shape=(32, 24, 2))
    figure = lesion_panels(ik.fit(made.dwi), made.region("lesion"), marks="both")
    assert "marked: lesion (arrowheads)" in Picture(figure).alt
    assert Picture(figure).encoded(dpi=60).media_type == "image/png"


def test_unknown_marks(result, lesion):
    with pytest.raises(OptionError, match="marks is 'stars'; expected one of arrowheads, contour"):
        lesion_panels(result, lesion, marks="stars")


def test_a_slice_without_the_lesion(result, lesion):
    with pytest.raises(
        OptionError, match=r"slice 0 does not intersect the lesion; expected .* 2, 3"
    ):
        lesion_panels(result, lesion, slice=0)


def test_no_such_slice(result, lesion):
    with pytest.raises(OptionError, match="no slice 7; expected 0 to 4"):
        lesion_panels(result, lesion, slice=7)


def test_unknown_map(result, lesion):
    with pytest.raises(OptionError, match="no map 'T2'; expected some of S0"):
        lesion_panels(result, lesion, maps=["T2"])


def test_an_empty_lesion(result):
    with pytest.raises(ShapeError, match="the lesion is empty"):
        lesion_panels(result, np.zeros(SHAPE))


@pytest.mark.parametrize("what", ["lesion", "reference"])
def test_a_mask_of_another_scan(result, lesion, what):
    masks = {"lesion": lesion, what: np.ones((3, 3, 3))}
    with pytest.raises(ShapeError, match=rf"the {what} has shape \(3, 3, 3\)"):
        lesion_panels(result, **masks)


def test_another_scan(result, lesion):
    with pytest.raises(ShapeError, match=r"the scan has shape \(3, 3, 3\)"):
        lesion_panels(result, lesion, dwi=DWI(np.ones((3, 3, 3, 6)), B))


def test_no_image():
    flat = made_result(biexp_maps((10,)))
    with pytest.raises(ShapeError, match="expected"):
        lesion_panels(flat, np.ones(10))
