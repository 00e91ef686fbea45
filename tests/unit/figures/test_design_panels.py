"""Design panels: what is drawn is what the design says."""

from __future__ import annotations

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.figures import design_panels


@pytest.fixture(scope="module")
def plan():
    return ik.design("liver", snr=40, n=12)


def test_averages_and_errors(plan):
    figure = design_panels(plan, {"common": ik.simulate.B13})
    averages, *panels = figure.axes
    (points,) = (line for line in averages.lines if line.get_label() == "averages")
    assert points.get_xdata().tolist() == plan.settings.b.tolist()
    assert points.get_ydata().tolist() == plan.counts.tolist()
    for axes, name in zip(panels, plan.names, strict=True):
        (star,) = (line for line in axes.lines if line.get_label() == "_design")
        share = 100 * plan.errors[name] / plan.problem.population.mean[name]
        assert star.get_xdata()[0] == plan.n
        assert star.get_ydata()[0] == pytest.approx(share, rel=0.02)  # Between two points.
        (other,) = (line for line in axes.lines if line.get_label() == "common")
        assert other.get_xdata()[0] == 13
        labels = [text.get_text() for text in axes.get_xticklabels()]
        assert "12" in labels


def test_minutes_on_the_axis(plan):
    figure = design_panels(plan, tr=5.0)
    assert figure.axes[1].get_xlabel() == "volumes (minutes)"
    assert "12\n(1.00)" in [text.get_text() for text in figure.axes[1].get_xticklabels()]
    assert np.isfinite(figure.axes[1].get_ylim()).all()
