"""Geometry: affine checks, voxel size, equality."""

import numpy as np
import pytest

from ivimkit.errors import ShapeError
from ivimkit.scan.geometry import Geometry


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
        ([[10**400] * 4] * 4, "affine is not an array of numbers; expected a finite"),
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


def test_a_position_is_one_that_the_file_names():
    assert Geometry().placed
    assert Geometry(sform_code=0, qform_code=1).placed
    assert not Geometry(sform_code=0).placed


@pytest.mark.parametrize("shape", [(), (5,), (5, 4), (5, 4, 3)])
def test_shifts_are_those_of_the_corners_farther_than_any_voxel(shape):
    rng = np.random.default_rng(0)
    matrices = [np.vstack([rng.normal(size=(3, 4)), [0, 0, 0, 1]]) for _ in range(2)]
    shifts = Geometry(matrices[0]).shifts(Geometry(matrices[1]), shape)
    assert shifts.shape == (8, 3)
    grid = (*shape, 1, 1, 1)[:3]
    voxels = np.vstack([np.indices(grid).reshape(3, -1), np.ones(np.prod(grid))])
    moved = ((matrices[0] - matrices[1]) @ voxels)[:3].T
    np.testing.assert_allclose(np.abs(shifts).max(axis=0), np.abs(moved).max(axis=0))
    np.testing.assert_allclose(
        np.linalg.norm(shifts, axis=1).max(), np.linalg.norm(moved, axis=1).max()
    )


@pytest.mark.parametrize(("share", "same"), [(0.009, True), (-0.009, True), (0.011, False)])
def test_a_hundredth_of_the_smallest_edge_is_the_same_place(share, same):
    affine = np.diag([2.0, 3.0, 5.0, 1.0])
    moved = affine.copy()
    moved[2, 3] += share * 2.0
    assert Geometry(moved).is_at(Geometry(affine), (4, 4, 4)) is same


def test_a_wrong_voxel_size_tells_in_a_large_volume():
    wider = Geometry(np.diag([1.001, 1.0, 1.0, 1.0]))
    assert wider.is_at(Geometry(), (8, 64, 64))
    assert not wider.is_at(Geometry(), (64, 8, 8))


def test_an_affine_without_a_volume_is_no_position():
    for affine in (
        np.diag([2.0, 2, 0, 1]),
        [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
    ):
        assert Geometry(affine).singular
        assert not Geometry(affine).placed
    assert not Geometry(np.diag([1e-3, 2, 900, 1])).singular


def test_what_is_shown_is_written_in_mm():
    affine = np.diag([-2.0, 2, 5, 1])
    other = affine + 1
    given = Geometry(affine, voxel_units="micron", qform_code=1, header=b"x", other_affine=other)
    shown = given.in_mm
    assert (shown.voxel_units, shown.header, shown.voxel_size) == ("mm", b"", (2, 2, 5))
    np.testing.assert_array_equal(shown.other_affine, other)
    assert (shown.sform_code, shown.qform_code, shown.form) == (2, 1, "sform")
    plain = Geometry(affine, header=b"x")
    assert plain.in_mm is plain
    assert Geometry(sform_code=0, qform_code=1).form == "qform"


def test_an_affine_that_is_no_array():
    with pytest.raises(ShapeError, match="affine is not an array of numbers"):
        Geometry([[1, 2], [3]])
