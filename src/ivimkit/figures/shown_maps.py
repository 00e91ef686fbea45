"""Shown maps: what a figure needs of maps that may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.figures.orientation import Cut, Filled
from ivimkit.figures.reliability import Doubt, doubtful_voxels
from ivimkit.fitting.result import FitResult
from ivimkit.scan.blocks import Box, boxes_of, finite

__all__ = ["MapSource", "filled_by", "filled_mask", "shape_of", "shown_part", "values_in"]

MapSource = FitResult | Mapping[str, NDArray[Any]]
"""Source of maps: a fit, or maps by name (such as the ground truth of a phantom)."""


def shape_of(source: MapSource, name: str) -> tuple[int, ...]:
    """Return the shape of a map."""
    return source.shape if isinstance(source, FitResult) else np.shape(source[name])


def values_in(source: MapSource, name: str) -> NDArray[np.float64]:
    """Return the values that a map has, in one row."""
    if isinstance(source, FitResult):
        return source.values_of(name)
    return finite(source[name])


def filled_by(maps: Iterable[tuple[MapSource, str]]) -> Filled:
    """Return where there are voxels with a value in one of some maps of the same shape."""
    maps = list(maps)
    shape = shape_of(*maps[0])
    parts = (part for source, name in maps for part in _blocks(source, name))
    return Filled.of(shape, ((box, np.isfinite(values)) for box, values in parts))


def filled_mask(*results: FitResult) -> Filled:
    """Return where there are voxels in the mask of one of some results of the same shape."""
    parts = (part for result in results for part in result.blocks())
    return Filled.of(results[0].shape, ((box, part.mask) for box, part in parts))


def _blocks(source: MapSource, name: str) -> Iterator[tuple[Box, NDArray[Any]]]:
    if isinstance(source, FitResult):
        for box, part in source.blocks():
            yield box, part.maps[name]
    else:
        array = np.asarray(source[name])
        for box in boxes_of(array):
            yield box, array[box]


def shown_part(source: MapSource, name: str, cut: Cut) -> tuple[NDArray[Any], Doubt]:
    """Return what is shown of a map, and how its voxels are drawn.

    Parameters
    ----------
    source : FitResult or mapping of str to ndarray
        The maps.
    name : str
        Name of the map.
    cut : Cut
        The slices.

    Returns
    -------
    ndarray, ndarray of int, shape (x, y) or (x, y, n_slices)
        The map inside the cut, and what `doubtful_voxels` returns for it.
    """
    if not isinstance(source, FitResult):
        plain = np.asarray(source[name])
        values = plain[cut.box(plain.ndim)]
        return values, np.zeros(values.shape, dtype=np.uint8)
    part = source.within(cut.box(len(source.shape)))
    values = np.asarray(part.maps[name])
    return values, doubtful_voxels(part, name, values)
