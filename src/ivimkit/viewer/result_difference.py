"""Differences between the maps of two results, as images of the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import is_about_another
from ivimkit.figures.map_style import how_to_show
from ivimkit.figures.reliability import doubtful_voxels
from ivimkit.fitting.result import FitResult
from ivimkit.scan.blocks import boxes
from ivimkit.viewer.shown_grid import Box
from ivimkit.viewer.study import Study
from ivimkit.viewer.study_images import as_image, by_parts
from ivimkit.viewer.voxel_box import FittedVoxels, inside_box

__all__ = ["describe_differences", "difference_doubtful_image", "difference_image"]

Voxel = Sequence[int]

_COLOURS = "RdBu_r"
_LIMIT_PERCENTILE = 98
# As many values as are looked at for a range.
_SAMPLE = 50_000


def describe_differences(study: Study) -> list[dict[str, Any]]:
    """Describe the differences that the page can show: the first result minus each other one.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    list of dict
        One per pair of results, with the maps that both have; none of a single result.
    """
    return [
        {
            "name": f"{study.names[0]} − {study.names[number]}",
            "maps": [_map(study, number, name) for name in _common(study, number)],
        }
        for number in range(1, len(study.results))
    ]


def difference_image(study: Study, number: str, name: str, at: Voxel | None = None) -> bytes:
    """Return a map of the first result minus that of another one, as float32.

    Parameters
    ----------
    study : Study
        The study.
    number : str
        Index of the other result.
    name : str
        Name of the map.
    at : sequence of int, optional
        x, y and z, to have the value of that voxel alone.

    Returns
    -------
    bytes

    Raises
    ------
    OptionError
        If there is no such result, or not both have the map.
    """
    first, other = _pair(study, number, name)
    return as_image(study, _minus(first, other, name, study.box(at)), at)


def difference_doubtful_image(
    study: Study, number: str, name: str, at: Voxel | None = None
) -> bytes:
    """Return the voxels in which either map is not reliable or uncertain, as 1.

    Parameters, errors
        As of `difference_image`.
    """
    pair = _pair(study, number, name)

    def inside(box: Box) -> NDArray[np.uint8]:
        found = [FittedVoxels.of(result, box) for result in pair]
        images = [one.image(doubtful_voxels(one.result, name) > 0) for one in found]
        return np.maximum(*images)

    if at is not None or study.shown.is_whole:
        return as_image(study, inside(study.box(at)), at)
    return as_image(study, by_parts(study, np.uint8, inside))


def _common(study: Study, number: int) -> list[str]:
    """Return the maps of both results that are not about another map."""
    first, other = study.results[0], study.results[number]
    names = (name for name in first.maps if name in other.maps)
    return [name for name in names if not is_about_another(name, first.maps)]


def _pair(study: Study, number: str, name: str) -> tuple[FitResult, FitResult]:
    position = study.result(number)
    if position == 0:
        raise OptionError("result 0 is the first one; expected another one, to subtract from it")
    common = _common(study, position)
    if name not in common:
        raise OptionError(
            f"there is no map {name!r} in both results; expected one of {', '.join(common)}"
        )
    return study.results[0], study.results[position]


def _minus(first: FitResult, other: FitResult, name: str, box: Box) -> NDArray[np.float32]:
    one, two = (
        np.asarray(inside_box(dataclasses.replace(result, dwi=None), box).maps[name])
        for result in (first, other)
    )
    return (one - two).astype(np.float32)


def _map(study: Study, number: int, name: str) -> dict[str, Any]:
    """Describe a difference, with a range around 0 that holds nearly all of it."""
    first, other = study.results[0], study.results[number]
    shown = how_to_show(name, first.model.quantities, [np.zeros(1)])
    values = _minus(first, other, name, study.box()).ravel(order="K")
    sizes = np.abs(values[:: max(1, values.size // _SAMPLE)])
    known = sizes[np.isfinite(sizes)]
    most = float(np.percentile(known, _LIMIT_PERCENTILE)) if known.size else 0.0
    most = most if most > 0 else 1.0
    unit = f" ({shown.unit})" if shown.unit else ""
    return {
        "name": f"difference of {name}",
        "symbol": f"Δ{shown.symbol}",
        "label": f"{shown.symbol}: {study.names[0]} − {study.names[number]}{unit}",
        "description": f"Difference of {name} between two results",
        "unit": shown.unit,
        "factor": shown.factor,
        "unit_shown": shown.unit,
        "limits": (-most, most),
        "colormap": _COLOURS,
        "about_another": False,
        "doubtful": _doubtful(first, other, number, name),
        "url": f"volumes/difference/{number}/{name}.nii",
    }


def _doubtful(first: FitResult, other: FitResult, number: int, name: str) -> dict[str, Any] | None:
    """Count the voxels to fade; some slices are looked at at a time."""
    n = 0
    for slab in boxes(first.shape):
        found = [FittedVoxels.of(result, slab) for result in (first, other)]
        images = [one.image(doubtful_voxels(one.result, name) > 0) for one in found]
        n += int(np.count_nonzero(np.maximum(*images)))
    if not n:
        return None
    url = f"volumes/difference/{number}/doubtful/{name}.nii"
    return {"url": url, "n": n, "why": "not reliable in one of the two"}
