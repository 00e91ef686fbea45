"""Volume and largest diameter of a region."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from ivimkit.quality.region_extent import diameter_mm, volume_ml
from tolerances import CLOSED_FORM

AFFINE = np.diag([2.0, 3.0, 5.0, 1.0])


def test_a_single_voxel_is_a_box():
    inside = np.zeros((4, 4, 4), bool)
    inside[1, 2, 3] = True
    assert volume_ml(inside, AFFINE) == pytest.approx(0.030)
    assert diameter_mm(inside, AFFINE) == pytest.approx(np.sqrt(4 + 9 + 25))


@pytest.mark.parametrize(
    ("shape", "expected"), [((3,), 6.0), ((3, 4), np.hypot(6, 12)), ((3, 4, 1), 14.3178)]
)
def test_fewer_axes(shape, expected):
    inside = np.ones(shape, bool)
    assert diameter_mm(inside, AFFINE) == pytest.approx(expected, rel=1e-5)
    assert volume_ml(inside, AFFINE) == pytest.approx(0.03 * inside.size)


def test_no_axis_and_too_many():
    assert diameter_mm(np.array(True), AFFINE) == pytest.approx(2.0)
    assert np.isnan(diameter_mm(np.ones((2, 2, 2, 2), bool), AFFINE))


def test_an_oblique_affine_counts():
    """Rotated and sheared: volume by the determinant, distances by the affine."""
    affine = np.eye(4)
    affine[:3, :3] = [[0, -2, 0.5], [1.5, 0, 0], [0, 0, 4]]
    inside = np.ones((2, 1, 3), bool)
    assert volume_ml(inside, affine) == pytest.approx(6 * 12.0 / 1000)
    ends = np.array([[i, j, k] for i in (0, 2) for j in (0, 1) for k in (0, 3)])
    assert diameter_mm(inside, affine) == pytest.approx(pdist(ends @ affine[:3, :3].T).max())


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 1.0))
def test_diameter_is_that_of_all_corners(seed, share):
    """Against all pairs of all corners of all voxels, which is too much for a real region."""
    rng = np.random.default_rng(seed)
    inside = rng.random((5, 4, 3)) < share
    inside[tuple(rng.integers(0, inside.shape))] = True
    signs = np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T
    corners = (np.argwhere(inside)[:, None] + signs).reshape(-1, 3) @ AFFINE[:3, :3]
    np.testing.assert_allclose(diameter_mm(inside, AFFINE), pdist(corners).max(), rtol=CLOSED_FORM)


def test_voxels_that_a_header_has_flattened():
    inside = np.ones((6, 5, 4), bool)
    assert diameter_mm(inside, np.diag([0.0, 3.0, 4.0, 1.0])) == pytest.approx(np.hypot(15, 16))
