"""The status map: which voxels were fitted, which were not, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ivimkit.report.grid import letter_sides, panel_size
from ivimkit.report.page import MARGIN, Page, text_width
from ivimkit.report.shown import BACKGROUND
from ivimkit.report.view import Cut, choose_cut, view_of
from ivimkit.result import FitResult
from ivimkit.rounding import thousands
from ivimkit.status import FAILED, FitStatus, explain, in_words

__all__ = ["status_panels"]

_PANEL_WIDTH = 3.4
"""Width of an image, inches; so are the next three."""

_GAP = 0.12
_TITLE = 0.3
_LEGEND_LINE = 0.18

_LEGEND_SIZE = 8
"""Points."""

_FITTED = "#4C4C4C"
_FAILURES = ("#D55E00", "#CC0033", "#FF7F7F", "#990099")
_NOTES = (
    *("#F0E442", "#56B4E9", "#009E73", "#E69F00", "#0072B2", "#CC79A7", "#B3DE69", "#FFFFFF"),
    *("#8C564B", "#AA88FF", "#00E5CC", "#7A7A00"),
)


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
    view, planes, entries = view_of(result.geometry), cut.planes(grade), _entries(result, flags)
    width, height = panel_size(planes[0], view, width=_PANEL_WIDTH)
    right = width + _GAP
    # Beside its text an entry has a handle and gaps.
    entry = max(text_width(text, _LEGEND_SIZE) for text in entries) + 5 * _LEGEND_SIZE / 72
    page_width = max(len(planes) * right - _GAP, entry) + 2 * MARGIN
    n_columns = min(int((page_width - 2 * MARGIN) / entry), len(entries))
    n_lines = -(-len(entries) // n_columns)
    page = Page(page_width, _TITLE + height + n_lines * _LEGEND_LINE + 2 * MARGIN)
    left = (page_width - len(planes) * right + _GAP) / 2
    norm = BoundaryNorm(np.arange(len(colours) + 1) - 0.5, len(colours))
    for number, (plane, k) in enumerate(zip(planes, cut.slices, strict=True)):
        axes = page.place(left + number * right, _TITLE, width, height)
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
    handles = [
        Patch(facecolor=colour, edgecolor="0.5", label=text)
        for text, colour in zip(entries, colours[1:], strict=True)
    ]
    page.figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, page.up(_TITLE + height + 0.5 * MARGIN)),
        borderaxespad=0,
        ncols=n_columns,
        fontsize=_LEGEND_SIZE,
        frameon=False,
    )
    return page.figure


def _entries(result: FitResult, flags: Sequence[int]) -> list[str]:
    """Return the texts of the legend: OK and each flag with its number of voxels."""
    counts, reasons = result.counts(), explain(result.model.parameters)
    names, parameters = ["OK", *(reasons[flag][0] for flag in flags)], result.model.parameters
    return [f"{in_words(name, parameters)}: {thousands(counts.get(name, 0))}" for name in names]
