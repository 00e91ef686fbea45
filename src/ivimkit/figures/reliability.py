"""Reliability: display of the voxels whose value the data do not determine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.figures.map_style import Shown
from ivimkit.fitting.result import FitResult
from ivimkit.rounding import thousands
from ivimkit.status import MAX_OFF, FitStatus

__all__ = [
    "HATCHED",
    "PALE",
    "UNRELIABLE",
    "Doubt",
    "check_choice",
    "doubt_counts",
    "doubtful_voxels",
    "draw_unreliable",
    "note",
    "stored_map",
    "unreliable_voxels",
]

Doubt = NDArray[np.uint8]
"""How voxels of a map are drawn: 0 as they are, `PALE`, or `HATCHED` (and pale)."""

PALE, HATCHED = 1, 2

UNRELIABLE = ("fade", "hide", "show")
"""Ways to show voxels that are not reliable: fade and hatch them, leave them out, or show them
like all others."""

_LIGHT = 0.82
_FADED = 0.68
"""Fraction of light grey in the colour of a voxel that is not reliable. No colour map contains
such pale colours, and in monochrome print they are lighter than most of it."""

_LEVELS = 24
"""Number of faded colours: with those of the map they fit into the palette of a PNG file."""

_STROKE = "0.12"
_STROKE_WIDTH = 0.6
"""Line width of the hatching, points."""

_MIN_LINE_DISTANCE = 0.045
"""Minimum distance of the hatching lines, inches: closer ones would merge."""


def check_choice(unreliable: str) -> None:
    """Raise unless a value is one of `UNRELIABLE`.

    Parameters
    ----------
    unreliable : str
        The value.

    Raises
    ------
    OptionError
        If it is not.
    """
    if unreliable not in UNRELIABLE:
        raise OptionError(f"unreliable is {unreliable!r}; expected one of {', '.join(UNRELIABLE)}")


def doubtful_voxels(result: Any, name: str, stored: NDArray[Any] | None = None) -> Doubt:
    """Return how the voxels of a map are drawn.

    Without a posterior, the value of a voxel that is not reliable is arbitrary, and hatched. A
    posterior says itself how far off its estimate may be: if that is far, the value is pale, and
    only where the model is wrong, as with kurtosis, it is hatched.

    Parameters
    ----------
    result : FitResult or mapping of str to ndarray
        The fit; plain maps, such as a phantom's truth, are reliable.
    name : str
        Name of the map.
    stored : ndarray, optional
        The map, if available: looking it up takes time.

    Returns
    -------
    ndarray of int, shape of the map
        `PALE`, `HATCHED`, or 0.

    See Also
    --------
    ivimkit.FitResult.reliable, ivimkit.FitResult.uncertain : The rules.
    """
    found = HATCHED * unreliable_voxels(result, name, stored).astype(np.uint8)
    if isinstance(result, FitResult) and len(result.interval50) > 0:
        kurtosis = int(FitStatus.KURTOSIS_LIKELY) if result.model.is_two_decays else 0
        found[(result.status & kurtosis) == 0] = 0
        values = np.asarray(result.maps[name]) if stored is None else stored
        uncertain = result.uncertain(name) & np.isfinite(values)
        found = np.maximum(found, PALE * uncertain.astype(np.uint8))
    return found


def unreliable_voxels(
    result: Any, name: str, stored: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """Return the voxels that have a value which the data do not determine.

    Parameters
    ----------
    result, name, stored
        As in `doubtful_voxels`.

    Returns
    -------
    ndarray of bool, shape of the map
    """
    is_fit = isinstance(result, FitResult)
    values = np.asarray((result.maps if is_fit else result)[name]) if stored is None else stored
    if not is_fit:
        return np.zeros(values.shape, dtype=bool)
    return np.asarray(np.isfinite(values) & result.unreliable(name))


def doubt_counts(result: Any, name: str) -> dict[int, int]:
    """Return how many voxels of a map are drawn `PALE`, and how many `HATCHED`."""
    found = dict.fromkeys((PALE, HATCHED), 0)
    for _, part in result.blocks() if isinstance(result, FitResult) else ():
        doubt = doubtful_voxels(part, name)
        for kind in found:
            found[kind] += int(np.count_nonzero(doubt == kind))
    return found


def stored_map(
    stored: NDArray[Any], doubtful: Doubt, unreliable: str
) -> tuple[NDArray[Any], Doubt]:
    """Return a map as it is drawn, and how its voxels are.

    Parameters
    ----------
    stored : ndarray
        The map.
    doubtful : ndarray of int, same shape
        What `doubtful_voxels` returns.
    unreliable : {"fade", "hide", "show"}
        What to do with them.
    """
    nothing = np.zeros_like(doubtful)
    if unreliable == "hide":
        return np.where(doubtful > 0, np.nan, stored), nothing
    return stored, doubtful if unreliable == "fade" else nothing


def note(results: Sequence[tuple[str, Any, Iterable[str]]], unreliable: str) -> str:
    """Return the line below a picture that explains fading and counts the voxels.

    Parameters
    ----------
    results : sequence of (str, FitResult, iterable of str)
        Name, or ``""``, fit, and the names of the maps that are drawn.
    unreliable : {"fade", "hide", "show"}
        How they are shown.

    Returns
    -------
    str
        Empty if there is nothing to explain.
    """
    if unreliable == "show":
        return ""
    sentences = []
    every = [
        (called, result, {name: doubt_counts(result, name) for name in names})
        for called, result, names in results
    ]
    for kind, why in _WHY.items():
        parts = [
            f"{called}: {counts}" if called else counts
            for called, result, found in every
            if (counts := _counts(result, {name: one[kind] for name, one in found.items()}))
        ]
        if parts:
            seen = _SEEN[kind] if unreliable == "fade" else "Left out (black)"
            sentences.append(f"{seen}: {why} ({'; '.join(parts)}).")
    return " ".join(sentences)


_SEEN = {HATCHED: "Hatched", PALE: "Pale"}
_WHY = {
    HATCHED: "not reliable, the signal does not determine the value",
    PALE: f"uncertain, may be more than {100 * MAX_OFF:g} % off",
}


def _counts(result: Any, found: Mapping[str, int]) -> str:
    """Return ``D in 12, D* and f D* in 345 of 6 789 voxels``."""
    by_number: dict[int, list[str]] = {}
    for name, number in found.items():
        if number:
            symbol = describe(name, result.model.quantities).symbol
            by_number.setdefault(number, []).append(symbol)
    if not by_number:
        return ""
    listed = [f"{_listed(names)} in {thousands(n)}" for n, names in by_number.items()]
    return f"{', '.join(listed)} of {thousands(result.codes.inside.total)} voxels"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def draw_unreliable(
    axes: Axes, image: NDArray[Any], doubtful: Doubt, shown: Shown, *, inches: float
) -> None:
    """Fade, or fade and hatch, voxels of an image that has been drawn.

    If values that mean nothing were only faded, they could be mistaken for others in monochrome,
    and if only hatched, their colours would still catch the eye.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The axes, with the image.
    image : ndarray, shape (rows, columns)
        Its shown values, rows from bottom to top.
    doubtful : ndarray of int, same shape
        What `doubtful_voxels` returns.
    shown : Shown
        Style of the map.
    inches : float
        Width of the image on the page.
    """
    if not doubtful.any():
        return
    low, high = shown.limits
    place = np.clip((np.nan_to_num(image) - low) / (high - low), 0.0, 1.0)
    colours = shown.colormap(np.rint(place * _LEVELS) / _LEVELS)
    colours[..., :3] = (1 - _FADED) * colours[..., :3] + _FADED * _LIGHT
    colours[..., 3] = doubtful > 0
    axes.imshow(
        (255 * colours).round().astype(np.uint8),
        origin="lower",
        interpolation="nearest",
        aspect=axes.get_aspect(),
    )
    hatched = doubtful == HATCHED
    if hatched.any():
        axes.add_collection(_hatching(hatched, inches / doubtful.shape[1]), autolim=False)


def _hatching(hatched: NDArray[np.bool_], voxel: float) -> LineCollection:
    """Return a diagonal stroke through each voxel, or through every few if they are small.

    Strokes of neighbours join to lines.
    """
    rows, columns = np.nonzero(hatched)
    step = max(1, int(np.ceil(_MIN_LINE_DISTANCE / voxel)))
    on = (columns - rows) % step == 0
    corner = np.stack([columns[on], rows[on]], axis=-1) - 0.5
    # Without antialiasing: each shade would be another colour in the file.
    return LineCollection(
        list(np.stack([corner, corner + 1.0], axis=1)),
        colors=_STROKE,
        linewidths=_STROKE_WIDTH,
        antialiaseds=False,
    )
