"""The voxels of a large scan that the page has."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.viewer import shown_grid
from ivimkit.viewer.lazy_box import LazyBox
from ivimkit.viewer.shown_grid import ShownGrid

ODD = ShownGrid((7, 4, 3), (3, 2, 1))


@pytest.mark.parametrize(
    ("whole", "sides", "stride"),
    [
        ((256, 256, 256), (1.0, 1.0, 1.0), (1, 1, 1)),
        ((512, 512, 200), (1.0, 1.0, 1.0), (2, 2, 2)),
        ((512, 512, 200), (1.0, 1.0, 3.0), (3, 3, 1)),
        ((1, 8192, 8192), (5.0, 0.5, 0.5), (1, 3, 3)),
    ],
)
def test_blocks_are_as_cubic_as_can_be(whole, sides, stride):
    grid = ShownGrid.of(whole, sides)
    assert grid.stride == stride
    assert np.prod(grid.shape) <= shown_grid.MAX_WHOLE_VOXELS
    assert grid.is_whole == (stride == (1, 1, 1))


def test_numbers_of_blocks_are_those_of_their_voxels():
    shown = np.arange(18).reshape(ODD.shape)
    whole = ODD.filled(shown)
    assert whole.shape == ODD.whole
    for voxel in np.ndindex(ODD.whole):
        assert whole[voxel] == shown[tuple(np.array(voxel) // ODD.stride)]
    np.testing.assert_array_equal(ODD.highest(whole), shown)
    np.testing.assert_array_equal(whole[ODD.box(3)], shown)
    # The highest of a block, wherever it is.
    whole[2, 1, 0] = 99
    assert ODD.highest(whole)[0, 0, 0] == 99


def test_blocks_lie_where_their_voxels_are():
    affine = np.array([[0, 2.0, 0, 5], [-3, 0, 0, 7], [0, 0, 4, 0], [0, 0, 0, 1]])
    placed = ODD.geometry(ik.Geometry(affine))
    first, last = (np.array(corner) for corner in ([0, 0, 0, 1], [2, 1, 0, 1]))
    middle = (affine @ first + affine @ last) / 2
    np.testing.assert_allclose(placed.affine @ [0, 0, 0, 1], middle)
    assert placed.voxel_size == pytest.approx((9.0, 4.0, 4.0))


@pytest.mark.parametrize("most", [1, 1 << 26])
def test_a_part_of_a_scan_is_read_as_it_is_stored(monkeypatch, most):
    monkeypatch.setattr("ivimkit.viewer.lazy_box._MAX_BYTES_BETWEEN", most)
    stored = np.arange(7 * 4 * 5 * 3).reshape(7, 4, 5, 3)
    box = (slice(1, None, 3), slice(None), slice(0, 5, 2))
    part = LazyBox(stored, box)
    assert part.shape == (2, 4, 3, 3)
    whole = part[(slice(None),) * 4]
    np.testing.assert_array_equal(whole, stored[box])
    inner = (slice(1, 2), slice(0, 3), slice(1, 3), slice(1, 2))
    np.testing.assert_array_equal(part[inner], stored[box][inner])
