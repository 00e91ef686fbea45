"""Pictures of steps before the fit."""

import numpy as np
import pytest

from ivimkit.errors import OptionError
from ivimkit.figures.drift_panel import drift_panel
from ivimkit.report.sections.step_pictures import step_pictures
from ivimkit.scan.history import StepRecord

DRIFT = {"factors": [1.0, 0.99, 0.97], "images": [0, 2], "levels": [1.0, 0.97]}


def test_a_drift_is_drawn_as_points_and_a_line():
    line, points = drift_panel(DRIFT).axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), [100.0, 99.0, 97.0])
    np.testing.assert_allclose(points.get_xydata(), [[0.0, 100.0], [2.0, 97.0]])
    for wrong in ({}, DRIFT | {"levels": [1.0]}, DRIFT | {"factors": "x"}):
        with pytest.raises(OptionError, match="not those of a drift"):
            drift_panel(wrong)


def test_damaged_numbers_and_other_steps_have_no_picture():
    assert len(step_pictures(StepRecord("drift", "", numbers=DRIFT))) == 1
    assert step_pictures(StepRecord("drift", "")) == []
    assert step_pictures(StepRecord("outliers", "", numbers={"volumes": [1]})) == []
    assert step_pictures(StepRecord("mask", "")) == []
