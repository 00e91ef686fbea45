import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from ivimkit.figures.marks import draw_arrowheads, draw_contour, place_arrowheads

ASPECT = 1.0
INCHES = 3.0


def disc(shape=(60, 60), centre=(30, 30), radius=8.0, aspect=ASPECT):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (columns - centre[0]) ** 2 + (aspect * (rows - centre[1])) ** 2 <= radius**2


@pytest.mark.parametrize("aspect", [1.0, 2.0, 0.5])
def test_tips_are_just_outside_the_lesion_and_point_at_its_middle(aspect):
    lesion = disc(aspect=aspect)
    heads = place_arrowheads(lesion, aspect=aspect, inches=INCHES)
    assert len(heads) == 3
    for head in heads:
        across, up = head.x - 30, aspect * (head.y - 30)
        # 2 points are 0.6 voxels of 5 points, and the edge is known to half a voxel.
        assert 8 <= math.hypot(across, up) <= 8 + 0.6 + max(1.0, aspect)
        assert math.atan2(up, across) % (2 * math.pi) == pytest.approx(
            head.angle % (2 * math.pi), abs=1e-6
        )


def test_they_are_evenly_around():
    angles = [head.angle for head in place_arrowheads(disc(), aspect=1.0, inches=INCHES)]
    np.testing.assert_allclose(np.diff(angles), 2 * math.pi / 3)
    four = place_arrowheads(disc(), aspect=1.0, inches=INCHES, number=4)
    np.testing.assert_allclose(np.diff([head.angle for head in four]), math.pi / 2)


def test_near_the_edge_they_are_turned_to_where_there_is_room():
    lesion = disc(centre=(56, 30), radius=4)
    heads = place_arrowheads(lesion, aspect=1.0, inches=INCHES)
    assert all(0 <= head.x <= 59 and 0 <= head.y <= 59 for head in heads)
    # None comes from the right, where the image ends.
    assert all(abs(math.remainder(head.angle, 2 * math.pi)) > math.pi / 6 for head in heads)


def test_in_a_corner_there_are_fewer():
    heads = place_arrowheads(disc(centre=(59, 59), radius=6), aspect=1.0, inches=INCHES)
    assert len(heads) == 2


def test_of_several_parts_the_largest_is_meant():
    lesion = disc(centre=(15, 15), radius=7) | disc(centre=(50, 50), radius=3)
    for head in place_arrowheads(lesion, aspect=1.0, inches=INCHES):
        assert math.hypot(head.x - 15, head.y - 15) < 12


def test_a_bent_lesion_is_pointed_at_from_outside():
    lesion = disc(radius=15) & ~disc(centre=(36, 30), radius=14)
    for head in place_arrowheads(lesion, aspect=1.0, inches=INCHES):
        assert not lesion[round(head.y), round(head.x)]


def test_nothing_to_point_at():
    assert place_arrowheads(np.zeros((5, 5), bool), aspect=1.0, inches=INCHES) == []


def test_a_lesion_that_fills_the_image():
    assert place_arrowheads(np.ones((20, 20), bool), aspect=1.0, inches=INCHES) == []


def test_arrowheads_are_drawn_at_their_tips_with_one_label():
    heads = place_arrowheads(disc(), aspect=1.0, inches=INCHES)
    axes = Figure().add_subplot()
    draw_arrowheads(axes, heads, "lesion")
    tips = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]
    assert tips == [(head.x, head.y) for head in heads]
    assert [line.get_label() for line in axes.lines] == ["lesion", "_lesion", "_lesion"]


def test_the_drawn_arrowhead_begins_at_its_tip_and_leads_away():
    heads = place_arrowheads(disc(), aspect=1.0, inches=INCHES)
    figure = Figure(figsize=(INCHES, INCHES), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(-0.5, 59.5), ylim=(-0.5, 59.5))
    draw_arrowheads(axes, heads[:1], "lesion")
    marker = axes.lines[0]._marker
    shape = marker.get_transform().transform_path(marker.get_path()).vertices
    np.testing.assert_allclose(shape[0], 0, atol=1e-12)
    middle = shape[:-1].mean(axis=0)
    assert math.atan2(middle[1], middle[0]) % (2 * math.pi) == pytest.approx(heads[0].angle)


def test_a_contour_runs_half_a_voxel_around():
    inside = np.zeros((6, 8), bool)
    inside[2:4, 3:6] = True
    axes = Figure().add_subplot()
    draw_contour(axes, inside, "lesion", colour="white", linestyle="solid")
    (drawn,) = axes.collections
    points = np.concatenate([path.vertices for path in drawn.get_paths()])
    assert (points.min(axis=0).tolist(), points.max(axis=0).tolist()) == ([2.5, 1.5], [5.5, 3.5])
    assert drawn.get_label() == "lesion"


def test_a_contour_at_the_edge_of_the_image_is_closed():
    inside = np.zeros((6, 8), bool)
    inside[:2, :3] = True
    axes = Figure().add_subplot()
    draw_contour(axes, inside, "lesion", colour="white", linestyle="solid")
    points = axes.collections[0].get_paths()[0].vertices
    assert points.min() == -0.5


def test_no_contour_of_nothing():
    axes = Figure().add_subplot()
    draw_contour(axes, np.zeros((3, 3), bool), "lesion", colour="white", linestyle="solid")
    assert not axes.collections
