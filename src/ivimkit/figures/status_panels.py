"""The status map: which voxels were fitted, which were not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ivimkit.figures.figure_page import MARGIN, Page, text_width
from ivimkit.figures.map_style import BACKGROUND
from ivimkit.figures.orientation import Cut, choose_cut, planes_of, view_of
from ivimkit.figures.panel_grid import letter_sides, panel_size
from ivimkit.figures.shown_maps import filled_mask
from ivimkit.fitting.result import FitResult
from ivimkit.rounding import thousands
from ivimkit.status import (
    FAILED,
    Explained,
    FitStatus,
    explain,
    gravest,
    gravest_first,
    in_words,
    uncertain,
)

__all__ = ["Grade", "graded", "grades", "status_panels"]

_PANEL_WIDTH = 3.4
"""Width of an image, inches; the next three are also in inches."""

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
_KURTOSIS = "#FFB3D9"
# Pale, as these voxels are in maps.
_UNCERTAIN = ("#9A9A9A", "#A9C4DB", "#C9B9A0", "#B9D6B0")


def status_panels(
    result: FitResult, *, slices: int | Sequence[int] | None = None, crop: bool = True
) -> Figure:
    """Draw the status of every voxel of some slices, with a legend that counts them.

    A voxel with several flags has the colour of the most serious, in the order of
    `ivimkit.status.gravest_first`. The legend counts the voxels of the whole volume by colour and,
    if others with the flag have a more serious colour, all that have the flag.

    Parameters
    ----------
    result : FitResult
        The fit.
    slices : int or sequence of int, optional
        Slices to show, counted from 0; by default up to three with data.
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
        If the status is not an image.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> figure = ik.report.status_panels(ik.fit(made.dwi))
    >>> figure.legends[0].get_texts()[0].get_text().split(":")[0]
    'OK'
    """
    cut = choose_cut(filled_mask(result), slices, most=3, crop=crop)
    legend = grades(result)
    part = graded(result.within(cut.box(len(result.shape))), legend)
    return _draw(result, part, cut, legend)


@dataclass(frozen=True)
class Grade:
    """A colour of the status picture.

    Parameters
    ----------
    flag : int
        The flag of the voxels that have it; 0 for those with nothing to report.
    name : str
        Name of the flag.
    words : str
        Its name in words.
    colour : str
        Colour code, for matplotlib and HTML.
    shown : int
        Number of voxels whose most serious flag it is.
    total : int
        Number of voxels with that flag.
    """

    flag: int
    name: str
    words: str
    colour: str
    shown: int
    total: int

    @property
    def entry(self) -> str:
        """The legend entry."""
        more = f" of {thousands(self.total)}" if self.total > self.shown else ""
        return f"{self.words}: {thousands(self.shown)}{more}"


def grades(result: FitResult) -> list[Grade]:
    """Return the colours of a result's status picture: that of OK, and of each flag that occurs.

    Parameters
    ----------
    result : FitResult
        The fit.

    Returns
    -------
    list of Grade
        OK first, then the most serious first. The voxels shown add up to those in the mask.
    """
    model, inside = result.model, result.codes.inside
    worst, names = gravest(inside.codes, model), explain(model)
    colours = _colours(model)
    found = []
    for flag in (0, *colours):
        total = inside.having(flag) if flag else inside.where(inside.codes == 0)
        if total or not flag:
            shown = inside.where(worst == flag)
            name = names[flag][0]
            words, colour = in_words(name, model), colours.get(flag, _FITTED)
            found.append(Grade(flag, name, words, colour, shown, total))
    return found


def graded(result: FitResult, found: Sequence[Grade]) -> NDArray[np.uint8]:
    """Return the colour of each voxel.

    Parameters
    ----------
    result : FitResult
        The fit.
    found : sequence of Grade
        The grades, from `grades`.

    Returns
    -------
    ndarray of int, shape of the maps
        The index in `found`, from 1; 0 outside the mask.
    """
    place = {grade.flag: number for number, grade in enumerate(found, start=1)}
    place[int(FitStatus.OUTSIDE_MASK)] = 0
    flags, where = np.unique(gravest(result.status, result.model), return_inverse=True)
    numbers = np.array([place[int(flag)] for flag in flags], dtype=np.uint8)
    return numbers[where.reshape(result.shape)]


def _colours(model: Explained) -> dict[int, str]:
    """Return a colour for each flag; a flag has the same in all pictures of a model."""
    failures, notes, pale = iter(_FAILURES), iter(_NOTES * 3), iter(_UNCERTAIN * 5)
    n = len(model.parameters)
    wide = {uncertain(k, n) for k in range(n)}
    found = {}
    for flag in gravest_first(model):
        if flag == FitStatus.KURTOSIS_LIKELY:
            found[flag] = _KURTOSIS
        else:
            found[flag] = next(failures if flag & FAILED else pale if flag in wide else notes)
    return found


def _draw(result: FitResult, grade: NDArray[np.uint8], cut: Cut, found: Sequence[Grade]) -> Figure:
    view, planes = view_of(result.geometry), planes_of(grade)
    entries, colours = [one.entry for one in found], [BACKGROUND, *(one.colour for one in found)]
    width, height = panel_size(planes[0], view, width=_PANEL_WIDTH)
    right = width + _GAP
    # In addition to its text an entry has a handle and gaps.
    entry = max(text_width(text, _LEGEND_SIZE) for text in entries) + 5 * _LEGEND_SIZE / 72
    page_width = max(len(planes) * right - _GAP, entry) + 2 * MARGIN
    n_columns = min(int((page_width - 2 * MARGIN) / entry), len(entries))
    n_lines = -(-len(entries) // n_columns)
    hidden = any(one.total > one.shown for one in found)
    foot = "x of y: y voxels have the flag, x of them no more serious one." if hidden else ""
    page = Page(page_width, _TITLE + height + n_lines * _LEGEND_LINE + 2 * MARGIN, foot=foot)
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
