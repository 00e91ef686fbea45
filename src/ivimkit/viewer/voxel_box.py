"""Voxel box: the bounding box of some voxels, and the part of a result inside it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ivimkit.fitting.map_names import MapsOver
from ivimkit.fitting.maps_within import MapsWithin
from ivimkit.fitting.result import FitResult, VoxelMaps
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.lazy_signal import as_lazy
from ivimkit.status import FitStatus
from ivimkit.viewer.lazy_box import LazyBox
from ivimkit.viewer.shown_grid import Box

__all__ = ["FittedVoxels", "box_around", "inside_box", "moved", "scan_inside"]

_BYTES_READ = 1 << 26
"""Part of a scan that is not in memory up to which it is read at once."""


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
    fixed = {name: values[box] for name, values in result.model.fixed_maps.items()}
    return dataclasses.replace(
        result,
        maps=_maps_inside(result.maps, box),
        status=result.status[box],
        settings=dataclasses.replace(
            result.settings, model=dataclasses.replace(result.model, fixed_maps=fixed)
        ),
        geometry=moved(result.geometry, box),
        dwi=None if result.dwi is None else scan_inside(result.dwi, box),
    )


def scan_inside(dwi: DWI, box: Box) -> DWI:
    """Return the part of a scan in a box, also outside its mask: the same values.

    Parameters
    ----------
    dwi : DWI
        The scan. One that is not in memory is not read, unless the box is small.
    box : tuple of slice
        See `box_around`.

    Returns
    -------
    DWI
    """
    weights = None if dwi.value_weights is None else dwi.value_weights[box]
    return DWI(
        _signal_inside(dwi, box),
        dwi.acquisition,
        geometry=moved(dwi.geometry, box),
        average=dwi.average,
        sources=dwi.sources,
        volumes=dwi.volumes,
        weights=dwi.weights,
        averages=dwi.averages,
        history=dwi.history,
        value_weights=weights if weights is not None and weights.any() else None,
    )


def _signal_inside(dwi: DWI, box: Box) -> Any:
    lazy = as_lazy(dwi.stored)
    if lazy is None and all(part.step in (None, 1) for part in box):
        return dwi.stored[box]
    # Voxels with others between them are gathered, volume by volume, before they are averaged.
    part = LazyBox(dwi.stored, box)
    small = lazy is not None and part.nbytes <= _BYTES_READ
    return part[(slice(None),) * len(part.shape)] if small else part


@dataclass(frozen=True, eq=False)
class FittedVoxels:
    """The voxels of a box that are in the mask.

    Parameters
    ----------
    result : FitResult
        They alone, in one row, without the scan.
    places : ndarray of int
        Flat positions in the box.
    shape : tuple of int
        Shape of the box.
    order : {"C", "F"}
        The order of the positions.
    """

    result: FitResult
    places: NDArray[np.intp]
    shape: tuple[int, ...]
    order: Literal["C", "F"]

    @classmethod
    def of(cls, result: FitResult, box: Box) -> FittedVoxels:
        """Return those of a result in a box, see `box_around`."""
        status = result.status[box]
        # The order in memory: in the other one, each voxel would be read from another page.
        order: Literal["C", "F"] = "F" if result.status.flags.f_contiguous else "C"
        flat = status.ravel(order=order)
        places = np.flatnonzero((flat & int(FitStatus.OUTSIDE_MASK)) == 0)
        maps = _MapsAt(_maps_inside(result.maps, box), places, order)
        alone = dataclasses.replace(result, maps=maps, status=flat[places], dwi=None)
        return cls(alone, places, status.shape, order)

    def image(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return an image of the box with small numbers for these voxels, and 0 elsewhere."""
        flat = np.zeros(math.prod(self.shape), dtype=np.uint8)
        flat[self.places] = values
        return flat.reshape(self.shape, order=self.order)


class _MapsInside(MapsWithin):
    """Those in a box, as float64: a view where a map is, and in memory."""

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return super().__getitem__(name).astype(np.float64, copy=False)


class _MapsAt(MapsOver):
    """Those at some voxels, in one row."""

    def __init__(
        self, maps: Mapping[str, NDArray[Any]], places: NDArray[np.intp], order: Literal["C", "F"]
    ) -> None:
        super().__init__(maps)
        self._places, self._order = places, order

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        flat: NDArray[np.float64] = self._stored[name].ravel(order=self._order)
        return flat[self._places]


def _maps_inside(maps: Mapping[str, NDArray[Any]], box: Box) -> Mapping[str, NDArray[Any]]:
    if isinstance(maps, VoxelMaps):
        return maps.within(box)
    return _MapsInside(maps, box)


def moved(geometry: Geometry, box: Box) -> Geometry:
    """Return where the voxels of a box are."""
    corner = [*(part.start or 0 for part in box), 0, 0, 0][:3]
    affine = geometry.affine.copy()
    affine[:3, 3] = (geometry.affine @ [*corner, 1.0])[:3]
    return Geometry(affine)
