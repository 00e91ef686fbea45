"""Reliability: display of the voxels whose value the data do not determine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

__all__ = [
    "UNRELIABLE",
    "check_choice",
    "doubtful_voxels",
    "draw_unreliable",
    "note",
    "stored_map",
]

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


def doubtful_voxels(
    result: Any, name: str, stored: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """Return the voxels that have a value which the data do not determine.

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
    ndarray of bool, shape of the map

    See Also
    --------
    ivimkit.FitResult.reliable : The rule.
    """
    is_fit = isinstance(result, FitResult)
    values = np.asarray((result.maps if is_fit else result)[name]) if stored is None else stored
    if not is_fit:
        return np.zeros(values.shape, dtype=bool)
    return np.asarray(np.isfinite(values) & ~np.isfinite(result.reliable(name)))


def stored_map(
    stored: NDArray[Any], doubtful: NDArray[np.bool_], unreliable: str
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a map as it is drawn, and the voxels to fade.

    Parameters
    ----------
    stored : ndarray
        The map.
    doubtful : ndarray of bool, same shape
        Voxels that are not reliable.
    unreliable : {"fade", "hide", "show"}
        What to do with them.
    """
    nothing = np.zeros_like(doubtful)
    if unreliable == "hide":
        return np.where(doubtful, np.nan, stored), nothing
    return stored, doubtful if unreliable == "fade" else nothing


def note(
    results: Sequence[tuple[str, Any, Mapping[str, NDArray[np.bool_]]]], unreliable: str
) -> str:
    """Return the line below a picture that explains fading and counts the voxels.

    Parameters
    ----------
    results : sequence of (str, FitResult, mapping of str to ndarray of bool)
        Name, or ``""``, fit, and unreliable voxels of each drawn map.
    unreliable : {"fade", "hide", "show"}
        How they are shown.

    Returns
    -------
    str
        Empty if there is nothing to explain.
    """
    if unreliable == "show":
        return ""
    parts = [
        f"{called}: {counts}" if called else counts
        for called, result, found in results
        if (counts := _counts(result, found))
    ]
    if not parts:
        return ""
    seen = "Hatched" if unreliable == "fade" else "Left out (black)"
    return f"{seen}: not reliable, the signal does not determine the value ({'; '.join(parts)})."


def _counts(result: Any, found: Mapping[str, NDArray[np.bool_]]) -> str:
    """Return ``D in 12, D* and f D* in 345 of 6 789 voxels``."""
    by_number: dict[int, list[str]] = {}
    for name, where in found.items():
        number = int(np.count_nonzero(where))
        if number:
            symbol = describe(name, result.model.quantities).symbol
            by_number.setdefault(number, []).append(symbol)
    if not by_number:
        return ""
    listed = [f"{_listed(names)} in {thousands(n)}" for n, names in by_number.items()]
    return f"{', '.join(listed)} of {thousands(int(np.count_nonzero(result.mask)))} voxels"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def draw_unreliable(
    axes: Axes, image: NDArray[Any], doubtful: NDArray[np.bool_], shown: Shown, *, inches: float
) -> None:
    """Fade and hatch voxels of an image that has been drawn.

    If only faded they could be mistaken for other values in monochrome, and if only hatched their
    colours would still catch the eye.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The axes, with the image.
    image : ndarray, shape (rows, columns)
        Its shown values, rows from bottom to top.
    doubtful : ndarray of bool, same shape
        The voxels.
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
    colours[..., 3] = doubtful
    axes.imshow(
        (255 * colours).round().astype(np.uint8),
        origin="lower",
        interpolation="nearest",
        aspect=axes.get_aspect(),
    )
    axes.add_collection(_hatching(doubtful, inches / doubtful.shape[1]), autolim=False)


def _hatching(doubtful: NDArray[np.bool_], voxel: float) -> LineCollection:
    """Return a diagonal stroke through each voxel, or through every few if they are small.

    Strokes of neighbours join to lines.
    """
    rows, columns = np.nonzero(doubtful)
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
