"""Motion panels: what is drawn of the records of the steps."""

import numpy as np
import pytest

from ivimkit.errors import OptionError
from ivimkit.figures.alt_text import describe
from ivimkit.figures.motion_panels import has_motion, motion_panels
from ivimkit.scan.history import History, StepRecord


def record(name, **numbers):
    return StepRecord(name, "moved", numbers=numbers)


def test_what_is_drawn():
    align = record(
        "align",
        bvals=[0, 50, 800],
        shift_mm=[0.0, 4.0, 0.0],
        rotation_deg=[0.0, 2.0, 0.0],
        flagged=[{"volume": 2, "why": "no movement could be found"}],
    )
    follow = record("follow", bvals=[0, 50, 800], shift_mm=[0.5, 0.5, 1.0])
    figure = motion_panels(History((record("mask"), align, follow)))
    shift, turn = figure.axes
    assert [line.get_label() for line in shift.lines] == ["align", "follow", "left alone"]
    assert shift.lines[2].get_xdata() == [2]
    assert [label.get_text() for label in turn.get_xticklabels()] == ["0", "50", "800"]
    assert turn.get_ylim() == (0.0, pytest.approx(2.3))
    text = describe(figure)
    assert "align 0 to 4.00" in text
    assert "left alone" in text


def test_before_and_after():
    align = record(
        "align",
        shift_mm=[0.0, 4.0],
        shift_after_mm=[0.0, 0.2],
        rotation_deg=[0.0, 2.0],
        rotation_after_deg=[0.0, 0.1],
    )
    shift, turn = motion_panels(History((align,))).axes
    assert [line.get_label() for line in shift.lines] == ["align: before", "align: after"]
    np.testing.assert_array_equal(shift.lines[1].get_ydata(), [0.0, 0.2])
    np.testing.assert_array_equal(turn.lines[1].get_ydata(), [0.0, 0.1])
    assert shift.lines[1].get_markerfacecolor() == "white"


def test_without_turns_or_b_values():
    figure = motion_panels(History((record("follow", shift_mm=[0.1] * 300),)), title="mine")
    (axes,) = figure.axes
    assert axes.get_ylim()[1] >= 1.0
    assert len(axes.get_xticks()) < 60
    assert figure.get_suptitle() == "mine"


def test_a_scan_that_was_not_moved():
    assert not has_motion(History((record("mask"),)))
    with pytest.raises(OptionError, match=r"no step has moved the volumes \(steps: mask\)"):
        motion_panels(History((record("mask"),)))
