"""Geometry: affine checks, voxel size, equality."""

import numpy as np
import pytest

from ivimkit.errors import ShapeError
from ivimkit.geometry import Geometry


def test_default_is_the_identity():
    geometry = Geometry()
    assert np.array_equal(geometry.affine, np.eye(4))
    assert geometry.voxel_size == (1, 1, 1)


def test_voxel_size_of_a_rotated_affine():
    turned = np.array([[0, -3, 0, 5], [2, 0, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1.0]])
    assert Geometry(turned).voxel_size == (2, 3, 4)


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.eye(3), r"affine has shape \(3, 3\) and is finite; expected a finite \(4, 4\)"),
        (np.full((4, 4), np.nan), r"affine has shape \(4, 4\) and is not finite; expected"),
    ],
)
def test_affines_that_cannot_be(affine, message):
    with pytest.raises(ShapeError, match=message):
        Geometry(affine)


def test_equality_is_about_positions_not_about_headers():
    assert Geometry(np.eye(4), header=b"a") == Geometry(header=b"b")
    assert Geometry() != Geometry(sform_code=1)
    assert Geometry() != Geometry(np.diag([2, 2, 2, 1]))
    assert Geometry() != "geometry"
