"""MapsWithin: the maps of a part of the voxels of a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.fitting.map_names import MapsByName, StoredMaps
from ivimkit.scan.blocks import Box

__all__ = ["MapsWithin"]


class MapsWithin(MapsByName[NDArray[Any]]):
    """The maps inside a box; each is looked up when it is asked for.

    Parameters
    ----------
    maps : mapping of str to ndarray
        The maps.
    box : tuple
        The box, as `boxes_of` yields it.
    """

    def __init__(self, maps: Mapping[str, NDArray[Any]], box: Box) -> None:
        self._maps, self._box = maps, box

    def __getitem__(self, name: str) -> NDArray[Any]:
        if isinstance(self._maps, StoredMaps):
            return self._maps.part(name, self._box)
        return np.asarray(self._maps[name][self._box])

    def __contains__(self, name: object) -> bool:
        return name in self._maps

    def __iter__(self) -> Iterator[str]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)
