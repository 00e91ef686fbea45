"""Coverage: grades of the ranges and the perfusion signal left."""

import numpy as np
import pytest

from ivimkit.scan.coverage import coverage_of, perfusion_left_at


@pytest.mark.parametrize(
    ("bvals", "grades"),
    [
        ([0, 10, 20, 30, 40, 50, 100, 150, 200, 400, 600, 800], ["good"] * 4),
        ([0, 50, 400, 800], ["good", "thin", "missing", "thin"]),
        ([5, 1000], ["missing", "missing", "missing", "thin"]),
        ([0, 900, 1000, 1500], ["good", "missing", "missing", "good"]),
        ([5, 1600], ["missing"] * 4),
    ],
)
def test_grades(bvals, grades):
    assert [part.grade for part in coverage_of(bvals)] == grades


def test_ranges_say_what_is_there_and_what_is_recommended():
    tissue = coverage_of([0, 300, 500, 1000])[3]
    assert tissue.present == (300.0, 500.0, 1000.0)
    assert tissue.recommended == (400.0, 600.0, 800.0)


def test_perfusion_left_is_the_decay():
    table = perfusion_left_at([0, 50, 200], [0.01, 0.05])
    assert table.fraction.shape == (3, 2)
    np.testing.assert_allclose(table.fraction[1], [np.exp(-0.5), np.exp(-2.5)], rtol=1e-15)
