"""The box around something: less to look at, the same numbers."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.fitting.result import VoxelMaps
from ivimkit.viewer.voxel_box import box_around, inside_box


def test_the_box_is_the_smallest_one():
    marked = np.zeros((5, 6, 7), bool)
    marked[1, 2, 3] = marked[3, 2, 6] = True
    assert box_around(marked) == (slice(1, 4), slice(2, 3), slice(3, 7))
    assert box_around(marked & False) == (slice(None),) * 3


@pytest.mark.parametrize("loaded", [False, True])
def test_everything_in_the_box_is_as_it_was(made, loaded, tmp_path):
    d_star = np.where(made.labels == 1, 0.03, 0.05)
    result = ik.fit(made.dwi, model=ik.models.get("biexp").with_fixed(D_star=d_star))
    assert isinstance(result.maps, VoxelMaps)
    if loaded:
        ik.save(result, tmp_path / "out")
        result = ik.load_result(tmp_path / "out")
    box = (slice(3, 17), slice(2, 11), slice(1, 2))
    part = inside_box(result, box)
    assert list(part.maps) == list(result.maps)
    for name in result.maps:
        np.testing.assert_array_equal(part.maps[name], result.maps[name][box])
    np.testing.assert_array_equal(part.status, result.status[box])
    fixed = result.model.fixed_maps["D_star"]
    np.testing.assert_array_equal(part.model.fixed_maps["D_star"], fixed[box])
    corner = result.geometry.affine @ [3, 2, 1, 1]
    np.testing.assert_allclose(part.geometry.affine @ [0, 0, 0, 1], corner, rtol=1e-14)
    if not loaded:
        np.testing.assert_array_equal(part.dwi.signal, made.dwi.signal[box])
        assert part.dwi.fit_bvals.tolist() == made.dwi.fit_bvals.tolist()


def test_a_box_outside_the_mask_has_no_values(made, result):
    x, y, z = np.argwhere(~result.mask)[0]
    part = inside_box(result, (slice(x, x + 1), slice(y, y + 1), slice(z, z + 1)))
    assert np.isnan(part.maps["D"]).all()
