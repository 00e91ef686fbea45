"""Lean axes: what they draw is what matplotlib's own draw, without ticks that nobody sees."""

import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import XTick, YTick

from ivimkit.figures.plain_text import PlainFigure
from lean_axes import CAN_BE_LEAN, LeanAxes

pytestmark = pytest.mark.skipif(not CAN_BE_LEAN, reason="matplotlib needs a first tick")


def image(axes):
    axes.set(xticks=[], yticks=[])
    axes.imshow(np.arange(12).reshape(3, 4))


def plot(axes):
    axes.plot([1, 20, 300], [3, 1, 2])
    axes.set(xscale="log", title="title", ylabel="y")
    axes.minorticks_on()
    axes.grid(True, which="both", color="r")
    axes.tick_params(labelsize=7, top=True, direction="in")


def turned(axes):
    axes.clear()
    axes.plot([1, 2], [2, 3])
    axes.xaxis.tick_top()
    axes.spines["left"].set_position(("outward", 10))
    axes.set_title("above the ticks")


def drawn(draw, axes_class):
    figure, target = PlainFigure((3, 2)), io.BytesIO()
    axes = figure.add_axes((0.2, 0.2, 0.6, 0.6), axes_class=axes_class)
    draw(axes)
    figure.savefig(target, format="png", dpi=60)
    return target.getvalue()


@pytest.mark.drawn
@pytest.mark.parametrize("draw", [image, plot, turned])
def test_they_draw_what_all_axes_draw(draw):
    assert drawn(draw, LeanAxes) == drawn(draw, Axes)


@pytest.mark.drawn
def test_an_image_has_no_tick(monkeypatch):
    made, figure = [], PlainFigure((3, 2))
    for kind in (XTick, YTick):
        init = kind.__init__
        monkeypatch.setattr(
            kind,
            "__init__",
            lambda self, *a, init=init, **k: (made.append(self), init(self, *a, **k))[1],
        )
    for axes in (
        figure.add_axes((0, 0, 0.4, 0.4), axes_class=LeanAxes),
        figure.add_subplot(222, axes_class=LeanAxes),
    ):
        image(axes)
    figure.savefig(io.BytesIO(), format="png", dpi=60)
    assert made == []
    plot(figure.add_subplot(224, axes_class=LeanAxes))
    figure.savefig(io.BytesIO(), format="png", dpi=60)
    assert made
