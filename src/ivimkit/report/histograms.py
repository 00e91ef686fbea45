"""Histograms of maps, over all voxels or region by region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.report.shown import Shown, how_to_show
from ivimkit.result import FitResult

__all__ = ["histograms"]

_MAPS = ("ADC", "D", "f", "D_star")
_BINS = 60
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
) -> Figure:
    """Draw the histograms of maps, with their medians.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : array_like of int, shape of the maps, optional
        Regions to draw apart; 0 is none. All voxels by default.
    label_names : mapping of int to str, optional
        Names of the regions; the numbers by default.
    maps : sequence of str, optional
        Which maps; by default ADC, D, f and D*, as far as the fit has them.
    limits : mapping of str to tuple of float, optional
        Range of each map, in the stored unit.

    Returns
    -------
    matplotlib.figure.Figure
        One histogram per map. Values beyond the range are counted in words.

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
    names = _names(result, maps)
    regions = _regions(result, labels, label_names)
    n_columns = min(2, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(6.0 * n_columns, 3.4 * n_rows + 0.2), dpi=120, layout="constrained")
    panels = np.asarray(figure.subplots(n_rows, n_columns, squeeze=False))
    for spare in panels.flat[len(names) :]:
        spare.remove()
    for axes, name in zip(panels.flat, names, strict=False):
        shown = how_to_show(name, result.model.parameters, [result.maps[name]], limits)
        _draw(axes, {key: result.maps[name][inside] for key, inside in regions.items()}, shown)
    return figure


def _names(result: FitResult, maps: Sequence[str] | None) -> list[str]:
    names = [name for name in _MAPS if name in result.maps] if maps is None else list(maps)
    unknown = [name for name in names if name not in result.maps]
    if unknown or not names:
        has = ", ".join(result.maps)
        raise OptionError(f"there is no map {[*unknown, 'to draw'][0]!r}; expected some of {has}")
    return names


def _regions(
    result: FitResult, labels: ArrayLike | None, names: Mapping[int, str] | None
) -> dict[str, NDArray[np.bool_]]:
    if labels is None:
        return {"all voxels": np.ones(result.shape, dtype=bool)}
    array = np.asarray(labels)
    if array.shape != result.shape:
        raise ShapeError(
            f"the labels have shape {array.shape}; expected {result.shape}, that of the maps. "
            "Resample them to the scan"
        )
    found = [int(label) for label in np.unique(array) if label]
    return {(names or {}).get(label, str(label)): array == label for label in found}


def _draw(axes: Axes, values: Mapping[str, NDArray[Any]], shown: Shown) -> None:
    edges = np.linspace(*shown.limits, _BINS + 1)
    beyond, total = 0, 0
    for (name, stored), colour in zip(values.items(), _cycle(len(values)), strict=True):
        numbers = shown.values(stored)
        numbers = numbers[np.isfinite(numbers)]
        total += numbers.size
        beyond += int(((numbers < edges[0]) | (numbers > edges[-1])).sum())
        if not numbers.size:
            continue
        median = float(np.median(numbers))
        weights = np.full(numbers.size, 100 / numbers.size)
        label = f"{name}: {median:#.3g} (n = {numbers.size})"
        axes.hist(
            numbers, edges.tolist(), weights=weights, histtype="step", color=colour, label=label
        )
        axes.axvline(median, color=colour, linewidth=0.9, linestyle=":")
    axes.set_xlim(*shown.limits)
    axes.set_xlabel(shown.label)
    axes.set_ylabel("voxels (%)")
    axes.set_title(_beyond(beyond, total), fontsize=8, loc="right", color="0.35")
    if total:
        # Beside the axes: with many regions there is no free corner inside.
        axes.legend(
            title="median",
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            fontsize=7,
            title_fontsize=7,
            frameon=False,
        )


def _cycle(n: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(n)]


def _beyond(beyond: int, total: int) -> str:
    if not total:
        return "no voxel has a value"
    return f"{100 * beyond / total:.2g} % beyond the range" if beyond else ""
