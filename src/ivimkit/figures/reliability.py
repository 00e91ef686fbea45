"""Reliability: how pictures of maps show the voxels whose value the data do not determine."""

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
"""What pictures do with voxels that are not reliable: fade and hatch them, leave them out, or
show them like all others."""

_LIGHT = 0.82
_FADED = 0.68
"""Share of light grey in the colour of a voxel that is not reliable. No colour map contains such
pale colours, and on paper without colours they are lighter than most of it."""

_LEVELS = 24
"""Faded colours, so that with those of the map they fit into the palette of a PNG file."""

_STROKE = "0.12"
_STROKE_WIDTH = 0.6
"""Of the hatching, points."""

_CLOSEST = 0.045
"""Distance of two lines of the hatching at least, inches: closer ones would run together."""


def check_choice(unreliable: str) -> None:
    """Refuse what is none of `UNRELIABLE`.

    Parameters
    ----------
    unreliable : str
        What is asked for.

    Raises
    ------
    OptionError
        If it is something else.
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
        The map, where it is at hand: to look it up takes time.

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
    """Return a map as it is to be drawn, and which of its voxels are to be faded.

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
    """Return the line below a picture that says what fading means and how many voxels it is.

    Parameters
    ----------
    results : sequence of (str, FitResult, mapping of str to ndarray of bool)
        What each is called, or ``""``, the fit, and its unreliable voxels by map drawn.
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

    Faded alone they could be taken for other values where there are no colours, and hatched alone
    their colours would catch the eye as before.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        With the image.
    image : ndarray, shape (rows, columns)
        Its shown numbers, rows from bottom to top.
    doubtful : ndarray of bool, same shape
        Which voxels.
    shown : Shown
        How the map is shown.
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
    """Return a stroke from corner to corner of each voxel, or of every few where they are small.

    Those of neighbours join to lines.
    """
    rows, columns = np.nonzero(doubtful)
    step = max(1, int(np.ceil(_CLOSEST / voxel)))
    on = (columns - rows) % step == 0
    corner = np.stack([columns[on], rows[on]], axis=-1) - 0.5
    # Without soft edges: each of their shades would be a colour of the file.
    return LineCollection(
        list(np.stack([corner, corner + 1.0], axis=1)),
        colors=_STROKE,
        linewidths=_STROKE_WIDTH,
        antialiaseds=False,
    )
