import numpy as np
import pytest

from ivimkit.simulate.abdomen import ABDOMEN
from ivimkit.simulate.brain import BRAIN
from ivimkit.simulate.sample_points import Plane, Points


@pytest.mark.parametrize("anatomy", [ABDOMEN, BRAIN], ids=lambda anatomy: anatomy.name)
def test_points_of_a_plane_have_the_tissues_of_the_plane(anatomy):
    grid = anatomy.grid((40, 32, 3))
    u, v = grid.axis(0, 3), grid.axis(1, 3)
    for w in grid.axis(2):
        places = np.meshgrid(u, v, indexing="ij")
        points = Points(*places, np.full_like(places[0], w))
        np.testing.assert_array_equal(
            anatomy.label_at(points), anatomy.label_at(Plane(u, v, float(w)))
        )


@pytest.mark.parametrize("anatomy", [ABDOMEN, BRAIN], ids=lambda anatomy: anatomy.name)
def test_a_tissue_does_not_depend_on_the_points_around_it(anatomy):
    places = np.random.default_rng(0).uniform(-90, 90, (3, 12, 10)).astype(np.float32)
    one_by_one = [
        anatomy.label_at(Points(*point)) for point in places.reshape(3, -1, 1, 1).swapaxes(0, 1)
    ]
    expected = np.array(one_by_one).reshape(12, 10)
    assert len(np.unique(expected)) > 3
    np.testing.assert_array_equal(anatomy.label_at(Points(*places)), expected)
