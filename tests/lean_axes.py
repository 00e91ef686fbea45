"""Lean axes: they make the ticks that are drawn, and no others.

Matplotlib makes a first tick of each kind along both axes as soon as anything looks into their
lists, as it does itself while it makes and draws axes: a third of the time, and an image has none.
For figures that no test looks at: names that matplotlib may change are no ground for a product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis, YAxis
from matplotlib.ticker import NullLocator

__all__ = ["CAN_BE_LEAN", "LeanAxes", "with_lean_axes"]

CAN_BE_LEAN = matplotlib.__version_info__ >= (3, 11)
"""Whether matplotlib draws axes without ticks: earlier versions look at the first of each kind."""


class _LeanAxis(Axis):
    """An axis whose lists of ticks are empty at first."""

    def reset_ticks(self) -> None:
        """Forget all ticks; what is set for them is kept for those to come."""
        vars(self).update(majorTicks=[], minorTicks=[])

    def get_ticks_position(self) -> Any:
        """Return the side of the ticks, for which there has to be one."""
        for ticks, first in (
            (self.major, self.get_major_ticks),
            (self.minor, self.get_minor_ticks),
        ):
            if not isinstance(ticks.locator, NullLocator):
                first(1)
        return super().get_ticks_position()  # type: ignore[misc]

    def _get_tick(self, major: bool) -> Any:
        tick = super()._get_tick(major)  # type: ignore[misc]
        # As the first tick would get it from its axes, and all others from it.
        tick.set_clip_path(self.axes.patch)
        return tick

    def _copy_tick_props(self, src: Any, dest: Any) -> None:
        """Copy nothing from the first tick: all are made from the same parameters."""


class _LeanXAxis(_LeanAxis, XAxis):
    pass


class _LeanYAxis(_LeanAxis, YAxis):
    pass


class LeanAxes(Axes):
    """Axes like any other, made in two thirds of the time."""

    def _init_axis(self) -> None:
        self.xaxis, self.yaxis = _LeanXAxis(self, clear=False), _LeanYAxis(self, clear=False)
        for side in ("bottom", "top"):
            self.spines[side].register_axis(self.xaxis)
        for side in ("left", "right"):
            self.spines[side].register_axis(self.yaxis)

    def clear(self) -> None:
        """Make everything anew."""
        super().clear()
        for spine in self.spines.values():
            # Sets its place, as the first tick would.
            spine.get_spine_transform()


def with_lean_axes(add: Callable[..., Any], wanted: Callable[[], bool]) -> Callable[..., Any]:
    """Return a method that adds axes to a figure as `add` does, but lean ones where wanted."""

    def added(figure: Any, *args: Any, **options: Any) -> Any:
        return add(figure, *args, **({"axes_class": LeanAxes} if wanted() else {}) | options)

    return added if CAN_BE_LEAN else add
