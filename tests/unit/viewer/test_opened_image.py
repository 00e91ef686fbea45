"""Other images of the patient, put on the grid of the study."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import ShapeError
from ivimkit.viewer.opened_image import opened_image
from ivimkit.viewer.study import Study


def test_a_finer_image_is_placed_by_position(client, result):
    # A plane through world coordinates is the same plane on any grid.
    affine = result.geometry.affine @ np.diag([0.5, 0.5, 1, 1])
    affine[:3, 3] -= result.geometry.affine[:3, :3] @ [0.25, 0.25, 0]
    shape = (48, 36, 2)
    voxels = np.moveaxis(np.indices(shape), 0, -1)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    plane = world @ [1.0, 2.0, 0.5]
    answer = client.post("api/image", ik.io.image_bytes(plane, ik.Geometry(affine)))
    array, geometry = answer.image()
    np.testing.assert_array_equal(geometry.affine, np.float32(result.geometry.affine))
    own = np.moveaxis(np.indices(result.shape), 0, -1)
    expected = (own @ result.geometry.affine[:3, :3].T + result.geometry.affine[:3, 3]) @ [
        1,
        2,
        0.5,
    ]
    np.testing.assert_allclose(array, expected, atol=1e-3)
    assert answer.headers["x-note"] == (
        "The image has another grid (48 x 36 x 2 voxels against 24 x 18 x 2): resampled to the "
        "scan, linearly."
    )


def test_several_volumes_are_refused(result):
    several = ik.io.image_bytes(np.ones((24, 18, 2, 3)), result.geometry)
    with pytest.raises(ShapeError, match=r"has shape \(24, 18, 2, 3\); expected one volume"):
        opened_image(Study.of([result]), several)
