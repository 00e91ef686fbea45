import numpy as np
import pytest

from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures.orientation import choose_cut, view_of
from ivimkit.scan.geometry import Geometry

# Where the patient's right front corner is, in an array of (x, y).
PLANE = np.zeros((4, 6))


def affine(*columns):
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(columns, float).T
    return Geometry(matrix)


@pytest.mark.parametrize("x", [1, -1])
@pytest.mark.parametrize("y", [1, -1])
def test_axial_slices_have_right_on_the_left_and_front_up(x, y):
    view = view_of(affine((2 * x, 0, 0), (0, 3 * y, 0), (0, 0, 4)))
    plane = PLANE.copy()
    plane[3 if x > 0 else 0, 5 if y > 0 else 0] = 1
    image = view.image(plane)
    assert image.shape == (6, 4)
    # origin="lower": the last row is up.
    assert image[-1, 0] == 1
    assert view.sides == ("R", "L")
    assert view.aspect == 1.5


def test_swapped_axes_are_put_right():
    view = view_of(affine((0, 2, 0), (-3, 0, 0), (0, 0, 4)))
    plane = PLANE.copy()
    plane[3, 0] = 1
    image = view.image(plane)
    assert image.shape == (4, 6)
    assert image[-1, 0] == 1
    assert view.sides == ("R", "L")
    assert view.aspect == pytest.approx(2 / 3)


def test_coronal_slices_have_the_head_up():
    view = view_of(affine((-1, 0, 0), (0, 0, -2), (0, 1, 0)))
    plane = PLANE.copy()
    plane[0, 0] = 1
    assert view.image(plane)[-1, 0] == 1
    assert view.sides == ("R", "L")


def test_sagittal_slices_have_the_front_on_the_left():
    view = view_of(affine((0, 1, 0), (0, 0, 2), (1, 0, 0)))
    plane = PLANE.copy()
    plane[3, 5] = 1
    assert view.image(plane)[-1, 0] == 1
    assert view.sides == ("A", "P")


@pytest.mark.parametrize("geometry", [None, Geometry()])
def test_without_a_position_arrays_are_shown_as_they_are(geometry):
    view = view_of(geometry)
    plane = np.arange(24.0).reshape(4, 6)
    np.testing.assert_array_equal(view.image(plane), plane.T)
    assert view.sides == ("", "")


INSIDE = np.zeros((40, 30, 9), bool)
INSIDE[10:20, 15:20, 3:9] = True


def test_slices_are_spread_over_those_with_data():
    assert choose_cut(INSIDE, None, most=3, crop=True).slices == (4, 6, 8)
    assert choose_cut(INSIDE, None, most=1, crop=True).slices == (6,)
    assert choose_cut(np.zeros((4, 4, 2), bool), None, most=3, crop=True).slices == (0, 1)


def test_slices_asked_for():
    assert choose_cut(INSIDE, 2, most=3, crop=True).slices == (2,)
    assert choose_cut(INSIDE, [1, -1], most=3, crop=True).slices == (1, 8)


def test_crop_leaves_a_margin():
    cut = choose_cut(INSIDE, 5, most=1, crop=True)
    assert cut.window == (slice(7, 23), slice(12, 23))
    assert cut.planes(np.zeros(INSIDE.shape))[0].shape == (16, 11)
    whole = choose_cut(INSIDE, 5, most=1, crop=False)
    assert whole.planes(np.zeros(INSIDE.shape))[0].shape == (40, 30)


def test_one_slice_needs_no_third_axis():
    cut = choose_cut(INSIDE[:, :, 5], None, most=3, crop=False)
    assert cut.slices == (0,)
    assert cut.planes(np.zeros((40, 30)))[0].shape == (40, 30)


@pytest.mark.parametrize("k", [9, -10])
def test_no_such_slice(k):
    with pytest.raises(OptionError, match=rf"no slice {k}; expected 0 to 8"):
        choose_cut(INSIDE, k, most=3, crop=True)


@pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2)])
def test_no_images(shape):
    with pytest.raises(ShapeError, match=r"expected \(x, y\) or \(x, y, z\)"):
        choose_cut(np.ones(shape, bool), None, most=3, crop=True)
