"""The status map: which voxels were fitted, which were not, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ivimkit.report.grid import letter_sides, panel_height
from ivimkit.report.shown import BACKGROUND
from ivimkit.report.view import Cut, choose_cut, view_of
from ivimkit.result import FitResult
from ivimkit.status import FAILED, FitStatus, explain

__all__ = ["status_panels"]

_PANEL_WIDTH = 3.4
"""Width of an image, inches."""

_FITTED = "#4C4C4C"
_FAILURES = ("#D55E00", "#CC0033", "#FF7F7F", "#990099")
_NOTES = ("#F0E442", "#56B4E9", "#009E73", "#E69F00", "#0072B2", "#CC79A7", "#B3DE69", "#FFFFFF")


def status_panels(
    result: FitResult, *, slices: int | Sequence[int] | None = None, crop: bool = True
) -> Figure:
    """Draw the status of every voxel of some slices, with a legend that counts them.

    A voxel with several flags has the colour of the gravest; the counts are over the whole
    volume and count a voxel under each of its flags.

    Parameters
    ----------
    result : FitResult
        The fit.
    slices : int or sequence of int, optional
        Slices to show, from 0; by default up to three with data.
    crop : bool
        Whether to show only the part of the slices around voxels in the mask.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        If there is no such slice.
    ShapeError
        If the status is no image.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> figure = ik.report.status_panels(ik.fit(made.dwi))
    >>> figure.legends[0].get_texts()[0].get_text().split(":")[0]
    'OK'
    """
    status = np.asarray(result.status)
    inside = (status & FitStatus.OUTSIDE_MASK) == 0
    cut = choose_cut(inside, slices, most=3, crop=crop)
    flags = _present(result)
    grade = np.where(inside, 1, 0)
    for number, flag in reversed(list(enumerate(flags, start=2))):
        grade[inside & (status & flag != 0)] = number
    colours = [BACKGROUND, _FITTED, *_colours(flags)]
    return _draw(result, grade, cut, flags, colours)


def _present(result: FitResult) -> list[int]:
    """Return the flags that occur, the gravest first."""
    present = int(np.bitwise_or.reduce(np.asarray(result.status).ravel()))
    known = [flag for flag in explain(result.model.parameters) if present & flag]
    found = [flag for flag in known if flag != FitStatus.OUTSIDE_MASK]
    return sorted(found, key=lambda flag: (not flag & FAILED, flag))


def _colours(flags: Sequence[int]) -> list[str]:
    failures, notes = iter(_FAILURES), iter(_NOTES * 3)
    return [next(failures) if flag & FAILED else next(notes) for flag in flags]


def _draw(
    result: FitResult,
    grade: NDArray[np.int_],
    cut: Cut,
    flags: Sequence[int],
    colours: Sequence[str],
) -> Figure:
    view, planes = view_of(result.geometry), cut.planes(grade)
    height = panel_height(planes[0], view, width=_PANEL_WIDTH)
    legend_columns = min(2, len(planes))
    legend_rows = -(-(len(flags) + 1) // legend_columns)
    size = (_PANEL_WIDTH * len(planes) + 0.4, height + 0.75 + 0.19 * legend_rows)
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    panels = np.asarray(figure.subplots(1, len(planes), squeeze=False))[0]
    norm = BoundaryNorm(np.arange(len(colours) + 1) - 0.5, len(colours))
    for axes, plane, k in zip(panels, planes, cut.slices, strict=True):
        axes.imshow(
            view.image(plane),
            origin="lower",
            interpolation="nearest",
            cmap=ListedColormap(list(colours)),
            norm=norm,
            aspect=view.aspect,
        )
        axes.set(xticks=[], yticks=[], title=f"slice {k}" if grade.ndim == 3 else "status")
        letter_sides(axes, view)
    counts, reasons = result.counts(), explain(result.model.parameters)
    names = ["OK", *(reasons[flag][0] for flag in flags)]
    handles = [
        Patch(facecolor=colour, edgecolor="0.5", label=f"{name}: {counts.get(name, 0)}")
        for name, colour in zip(names, colours[1:], strict=True)
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=legend_columns,
        fontsize=8,
        frameon=False,
    )
    return figure
