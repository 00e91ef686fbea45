"""Motion panels: shift and rotation of each volume, before and after it was moved back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ivimkit.errors import OptionError
from ivimkit.figures.figure_page import MARGIN, Page, text_width
from ivimkit.scan.history import History, StepRecord

__all__ = ["has_motion", "motion_panels"]

_WIDTH, _HEIGHT = 6.0, 1.4
"""Size of the axes, inches; the next ones are also in inches."""

_LEFT, _TOP, _GAP, _BELOW = 0.75, 0.1, 0.18, 0.55

_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#56B4E9")
_LEFT_ALONE = "#D55E00"
_BEFORE_LOOK: dict[str, Any] = {"marker": "o", "markersize": 4, "linewidth": 0.9}
_AFTER_LOOK: dict[str, Any] = {**_BEFORE_LOOK, "linestyle": "--", "markerfacecolor": "white"}
_TICK = 8
"""Points."""

_MIN_RANGE_MM, _MIN_RANGE_DEG = 1.0, 1.0
"""Smallest upper ends of the axes: errors of the estimate must not look like motion."""

_HEADROOM, _ROOM_FOR_LEGEND = 1.15, 1.3
"""Upper ends of the axes by highest value."""
_SHIFT, _TURN = "shift_mm", "rotation_deg"
_AFTER = {_SHIFT: "shift_after_mm", _TURN: "rotation_after_deg"}
"""Names of what was found in the volumes after they were moved."""


def has_motion(history: History) -> bool:
    """Return whether a step has recorded how far it moved the volumes."""
    return any(_SHIFT in step.numbers for step in history.steps)


def motion_panels(history: History, *, title: str | None = None) -> Figure:
    """Draw how far the tissue of each volume was displaced and turned, before and after.

    Parameters
    ----------
    history : History
        Of the scan, ``dwi.history``, with a step that moved the volumes.
    title : str, optional
        Title of the page.

    Returns
    -------
    matplotlib.figure.Figure
        Top: the displacement of the tissue in each volume, by step, mm; volumes that were left
        alone are marked. Bottom, if a step turned volumes: the angle, degrees. Open marks, where a
        step looked again: what a second registration finds after the volumes were moved.

    Raises
    ------
    OptionError
        If no step has moved the volumes.

    Examples
    --------
    >>> import ivimkit as ik
    >>> moving = ik.simulate.Artefacts(motion=ik.simulate.Motion("rigid", mm=5))
    >>> made = ik.simulate.phantom(shape=(24, 18, 8), bvals=[0, 50, 800], artefacts=moving)
    >>> figure = ik.figures.motion_panels(ik.preprocess(made.dwi, "align").dwi.history)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['shift (mm)', 'rotation (°)']
    """
    moving = [step for step in history.steps if _SHIFT in step.numbers]
    if not moving:
        done = ", ".join(history.names) or "none"
        raise OptionError(
            f"no step has moved the volumes (steps: {done}); expected one such as align"
        )
    turning = [step for step in moving if _TURN in step.numbers]
    rows = 2 if turning else 1
    names = _names(moving[0].numbers)
    space = _BELOW + max(text_width(name, _TICK) for name in names)
    page = Page(
        _LEFT + _WIDTH + MARGIN,
        _TOP + rows * _HEIGHT + (rows - 1) * _GAP + space,
        "motion: shift and rotation of each volume" if title is None else title,
    )
    panels = [
        page.place(_LEFT, _TOP + row * (_HEIGHT + _GAP), _WIDTH, _HEIGHT) for row in range(rows)
    ]
    _draw(panels[0], moving, _SHIFT, "shift (mm)", _MIN_RANGE_MM, _ROOM_FOR_LEGEND)
    _mark_left_alone(panels[0], moving)
    panels[0].legend(fontsize=7, frameon=False, ncols=3, loc="upper left")
    if turning:
        _draw(panels[1], turning, _TURN, "rotation (°)", _MIN_RANGE_DEG, _HEADROOM)
    for axes in panels:
        axes.set_xlim(-0.7, len(names) - 0.3)
        _name_volumes(axes, names)
        axes.tick_params(labelsize=_TICK, labelbottom=axes is panels[-1])
        axes.grid(axis="y", alpha=0.25)
    panels[-1].set_xlabel("volume, with its b (s/mm²)", fontsize=9)
    return page.figure


def _names(numbers: Mapping[str, Any]) -> list[str]:
    """Return the b-value of each volume, or its number if that was not recorded."""
    n = len(numbers[_SHIFT])
    bvals = numbers.get("bvals", [])
    return [f"{b:g}" for b in bvals] if len(bvals) == n else [str(k) for k in range(n)]


def _draw(
    axes: Axes, steps: Sequence[StepRecord], key: str, label: str, least: float, room: float
) -> None:
    highest = least
    for number, step in enumerate(steps):
        colour = _COLOURS[number % len(_COLOURS)]
        after = step.numbers.get(_AFTER[key])
        name = step.name if after is None else f"{step.name}: before"
        curves = [(step.numbers[key], name, _BEFORE_LOOK)]
        if after is not None:
            curves.append((after, f"{step.name}: after", _AFTER_LOOK))
        for given, name, look in curves:
            values = np.asarray(given, dtype=np.float64)
            axes.plot(np.arange(values.size), values, color=colour, label=name, **look)
            highest = max(highest, float(values.max(initial=0.0)))
    axes.set_ylim(0.0, room * highest)
    axes.set_ylabel(label, fontsize=9)


def _mark_left_alone(axes: Axes, steps: Sequence[StepRecord]) -> None:
    volumes = sorted({one["volume"] for step in steps for one in step.numbers.get("flagged", [])})
    if volumes:
        heights = np.zeros(len(volumes))
        axes.plot(
            volumes, heights, "x", color=_LEFT_ALONE, markersize=7, label="left alone",
            clip_on=False,
        )  # fmt: skip


def _name_volumes(axes: Axes, names: Sequence[str]) -> None:
    """Write the b-values below their places: all, or as many as there is room for."""
    step = int(np.ceil((_TICK / 72 + 0.04) * len(names) / _WIDTH))
    places = np.arange(0, len(names), step)
    axes.set_xticks(places, [names[k] for k in places.tolist()], rotation=90, parse_math=False)
