"""Histograms of maps, over all voxels or region by region."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures.figure_page import MARGIN, Page, text_width
from ivimkit.figures.map_style import Shown, how_to_show
from ivimkit.figures.plain_text import plain_keys
from ivimkit.figures.reliability import check_choice
from ivimkit.fitting.result import FitResult
from ivimkit.rounding import percent, rounded, thousands
from ivimkit.scan.labels import numbers_in

__all__ = ["histograms"]

_BINS = 60

_WIDTH, _HEIGHT = 4.0, 2.6
"""Size of the axes, inches; the distances between them are also in inches."""

_LEFT, _TOP, _DOWN = 0.75, 0.3, 3.45
_HANDLE = 0.45
_LEGEND_SIZE = 7
"""Points."""

_DOUBTFUL = "0.85"
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#7F7F7F",
)


def histograms(
    result: FitResult,
    *,
    labels: ArrayLike | None = None,
    label_names: Mapping[int, str] | None = None,
    maps: Sequence[str] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    unreliable: str = "fade",
) -> Figure:
    """Draw the histograms of maps, with their medians.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : array_like of int, shape of the maps, optional
        Regions to draw separately; 0 is none. All voxels by default.
    label_names : mapping of int to str, optional
        Names of the regions; the numbers by default.
    maps : sequence of str, optional
        Which maps; by default ADC, D, f and D*, or those of the fitted model.
    limits : mapping of str to tuple of float, optional
        Display range of each map, in the stored unit.
    unreliable : {"fade", "hide", "show"}
        What to do with voxels whose value the data do not determine, see
        `ivimkit.FitResult.reliable`: draw them separately in grey and without a median, leave them
        out and state their number, or treat them like all others.

    Returns
    -------
    matplotlib.figure.Figure
        One histogram per map. The number of values beyond the range is written in the plot.

    Raises
    ------
    OptionError
        If there is no such map.
    ShapeError
        If the labels have another shape than the maps.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> figure = ik.report.histograms(ik.fit(made.dwi), maps=["D"])
    >>> figure.axes[0].get_xlabel()
    'D (10⁻³ mm²/s)'
    """
    check_choice(unreliable)
    names = _names(result, maps)
    array, regions = _regions(result, labels, label_names)
    n_columns = min(2, len(names))
    n_rows = -(-len(names) // n_columns)
    drawn = {}
    for name in names:
        stored = partial(result.values_of, name)
        shown = how_to_show(name, result.model.quantities, [stored], limits)
        found, apart = _counted(result, name, shown, (array, regions), unreliable)
        if labels is None and apart.n:
            found = {"reliable voxels": found["all voxels"]}
        drawn[name] = shown, found, apart
    entries = [_entry(*one) for _, found, _ in drawn.values() for one in found.items()]
    entries += [_apart(doubtful.n) for *_, doubtful in drawn.values() if doubtful.n]
    # Next to the axes: with many regions there is no free corner inside.
    legend = max((text_width(entry, _LEGEND_SIZE) for entry in entries), default=0.0) + _HANDLE
    right = _LEFT + _WIDTH + legend
    page = Page(n_columns * right + MARGIN, n_rows * _DOWN)
    for number, (shown, values, apart) in enumerate(drawn.values()):
        left, top = number % n_columns * right + _LEFT, number // n_columns * _DOWN + _TOP
        axes = page.place(left, top, _WIDTH, _HEIGHT)
        _draw(axes, values, shown, apart if unreliable == "fade" and apart.n else None)
        if unreliable == "hide" and apart.n:
            left_out = f"{thousands(apart.n)} not reliable, left out"
            axes.set_title(left_out, fontsize=8, loc="left", color="0.35")
    return page.figure


def _names(result: FitResult, maps: Sequence[str] | None) -> list[str]:
    names = (
        [n for n in result.model.parameter_maps if n in result.maps]
        if maps is None
        else list(maps)
    )
    unknown = [name for name in names if name not in result.maps]
    if unknown or not names:
        has = ", ".join(result.maps)
        raise OptionError(f"there is no map {[*unknown, 'to draw'][0]!r}; expected some of {has}")
    return names


def _regions(
    result: FitResult, labels: ArrayLike | None, names: Mapping[int, str] | None
) -> tuple[NDArray[Any] | None, dict[str, int]]:
    """Return the region of each voxel, None if all are one, and the number of each by its name."""
    if labels is None:
        return None, {"all voxels": 1}
    array = np.asarray(labels)
    if array.shape != result.shape:
        raise ShapeError(
            f"the labels have shape {array.shape}; expected {result.shape}, that of the maps. "
            "Resample them to the scan"
        )
    found = numbers_in(array)
    return array, plain_keys(((names or {}).get(label, str(label)), label) for label in found)


def _counted(
    result: FitResult,
    name: str,
    shown: Shown,
    regions: tuple[NDArray[Any] | None, Mapping[str, int]],
    unreliable: str,
) -> tuple[dict[str, _Counted], _Counted]:
    """Count the values of a map in each region, and those that are not reliable in any."""
    labels, numbers = regions
    values: dict[str, list[NDArray[np.float64]]] = {region: [] for region in numbers}
    apart = []
    for box, part in result.blocks():
        stored = part.maps[name]
        there = np.isfinite(stored) & (True if labels is None else labels[box] != 0)
        doubtful = there & part.unreliable(name) & (unreliable != "show")
        apart.append(shown.values(stored[doubtful]))
        there &= ~doubtful
        found = shown.values(stored[there])
        of = np.ones(found.size) if labels is None else labels[box][there]
        for region, number in numbers.items():
            values[region].append(found[of == number])
    counted = {region: _Counted.of(shown, parts) for region, parts in values.items()}
    return counted, _Counted.of(shown, apart)


@dataclass(frozen=True, eq=False)
class _Counted:
    """How many voxels of a map are in each bin; the values of a large scan are not kept."""

    n: int
    median: float
    counts: NDArray[np.intp]
    edges: NDArray[np.float64]

    @classmethod
    def of(cls, shown: Shown, parts: Sequence[NDArray[np.float64]]) -> _Counted:
        numbers = np.concatenate([np.ravel(part) for part in parts])
        numbers = numbers[np.isfinite(numbers)]
        median = float(np.median(numbers)) if numbers.size else math.nan
        return cls(numbers.size, median, *np.histogram(numbers, _BINS, shown.limits))


def _entry(region: str, numbers: _Counted) -> str:
    """Return the legend entry of a region."""
    return f"{region}: {rounded(numbers.median)} (n = {thousands(numbers.n)})" if numbers.n else ""


def _apart(n: int) -> str:
    """Return the legend entry of the voxels that are not reliable."""
    return f"not reliable (n = {thousands(n)})"


def _draw(
    axes: Axes,
    values: Mapping[str, _Counted],
    shown: Shown,
    doubtful: _Counted | None,
) -> None:
    beyond, total = 0, sum(numbers.n for numbers in values.values())
    for (name, numbers), colour in zip(values.items(), _cycle(len(values)), strict=True):
        if not numbers.n:
            continue
        beyond += numbers.n - int(numbers.counts.sum())
        # Counted before: matplotlib takes longer.
        axes.hist(
            numbers.edges[:-1],
            numbers.edges.tolist(),
            weights=100 / numbers.n * numbers.counts,
            histtype="step",
            color=colour,
            label=_entry(name, numbers),
        )
        axes.axvline(numbers.median, color=colour, linewidth=0.9, linestyle=":")
    if doubtful is not None:
        # Most of them are at one end: their bar must not flatten everything else.
        top = axes.get_ylim()[1] if total else None
        # Filled and behind: this is not a distribution of the tissue.
        axes.stairs(
            100 / doubtful.n * doubtful.counts,
            doubtful.edges,
            fill=True,
            color=_DOUBTFUL,
            zorder=0,
            label=_apart(doubtful.n),
        )
        axes.set_ylim(0.0, top)
    axes.set_xlim(*shown.limits)
    axes.set_xlabel(shown.label)
    axes.set_ylabel("voxels (%)")
    axes.set_title(_beyond(beyond, total), fontsize=8, loc="right", color="0.35")
    if total or doubtful is not None:
        axes.legend(
            title="median",
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            fontsize=_LEGEND_SIZE,
            title_fontsize=_LEGEND_SIZE,
            frameon=False,
        )


def _cycle(n: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(n)]


def _beyond(beyond: int, total: int) -> str:
    if not total:
        return "no voxel has a value"
    return f"{percent(beyond / total)} beyond the range" if beyond else ""
