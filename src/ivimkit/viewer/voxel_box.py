"""Voxel box: the bounding box of some voxels, and the part of a result inside it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from ivimkit.fitting.result import FitResult, VoxelMaps
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry

__all__ = ["box_around", "inside_box"]


def box_around(marked: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the bounding box of all marked voxels; the whole grid if there are none.

    Parameters
    ----------
    marked : ndarray of bool, shape (...)
        The voxels.

    Returns
    -------
    tuple of slice
        One per axis.
    """
    box = []
    for axis in range(marked.ndim):
        others = tuple(other for other in range(marked.ndim) if other != axis)
        indices = np.flatnonzero(marked.any(axis=others))
        box.append(slice(int(indices[0]), int(indices[-1]) + 1) if indices.size else slice(None))
    return tuple(box)


def inside_box(result: FitResult, box: tuple[slice, ...]) -> FitResult:
    """Return the part of a result in a box: the same values, voxel by voxel.

    Region tables read every voxel of every map; for a small region in a large volume this would
    take seconds.

    Parameters
    ----------
    result : FitResult
        The result, with its scan if available.
    box : tuple of slice
        See `box_around`.

    Returns
    -------
    FitResult
    """
    maps = result.maps
    if isinstance(maps, VoxelMaps):
        part = maps.within(box)
    else:
        part = {name: maps[name][box] for name in maps}
    fixed = {name: values[box] for name, values in result.model.fixed_maps.items()}
    geometry = _moved(result.geometry, box)
    return dataclasses.replace(
        result,
        maps=part,
        status=result.status[box],
        settings=dataclasses.replace(
            result.settings, model=dataclasses.replace(result.model, fixed_maps=fixed)
        ),
        geometry=geometry,
        dwi=None if result.dwi is None else _part(result.dwi, box, geometry),
    )


def _part(dwi: DWI, box: tuple[slice, ...], geometry: Geometry) -> DWI:
    weights = None if dwi.value_weights is None else dwi.value_weights[box]
    return DWI(
        dwi.stored[box],
        dwi.acquisition,
        geometry=geometry,
        average=dwi.average,
        sources=dwi.sources,
        volumes=dwi.volumes,
        weights=dwi.weights,
        averages=dwi.averages,
        history=dwi.history,
        value_weights=weights if weights is not None and weights.any() else None,
    )


def _moved(geometry: Geometry, box: tuple[slice, ...]) -> Geometry:
    corner = [*(part.start or 0 for part in box), 0, 0, 0][:3]
    affine = geometry.affine.copy()
    affine[:3, 3] = (geometry.affine @ [*corner, 1.0])[:3]
    return Geometry(affine)
