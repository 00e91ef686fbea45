"""Gradient directions: different ones, and those that determine a tensor."""

import numpy as np
import pytest

from ivimkit import Acquisition
from ivimkit.errors import AcquisitionError
from ivimkit.scan.directions import determine_a_tensor, distinct_directions

EDGES = np.array([(1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]) / 2**0.5


def test_directions_differ_by_more_than_sign_and_a_degree():
    near = EDGES[0] + 0.01 * EDGES[4]
    vectors = np.array([np.zeros(3), EDGES[0], -EDGES[0], near / np.linalg.norm(near), EDGES[1]])
    np.testing.assert_array_equal(distinct_directions(vectors), EDGES[:2])


def test_six_directions_determine_a_tensor_unless_they_lie_on_a_cone():
    assert determine_a_tensor(EDGES)
    assert not determine_a_tensor(EDGES[:5])
    turn = np.arange(8) * np.pi / 4
    for height in (0.0, 0.5):
        cone = np.stack([np.cos(turn), np.sin(turn), np.full(8, height)], axis=1)
        assert not determine_a_tensor(cone / np.linalg.norm(cone, axis=1, keepdims=True))


def test_an_acquisition_tells_its_directions():
    acquisition = Acquisition([0, 500, 500], [EDGES[0], 2 * EDGES[1], EDGES[2]])
    assert acquisition.has_directions
    np.testing.assert_allclose(acquisition.direction_vectors(), [np.zeros(3), *EDGES[1:3]])
    plain = Acquisition([0, 500])
    assert not plain.has_directions
    with pytest.raises(AcquisitionError, match="directions of the gradients are not known"):
        plain.direction_vectors()
