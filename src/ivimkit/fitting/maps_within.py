"""MapsWithin: the maps of a part of the voxels of a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.fitting.map_names import MapsOver, StoredMaps
from ivimkit.scan.blocks import Box

__all__ = ["MapsWithin"]


class MapsWithin(MapsOver):
    """The maps inside a box; each is looked up when it is asked for.

    Parameters
    ----------
    maps : mapping of str to ndarray
        The maps.
    box : tuple
        The box, as `boxes_of` yields it.
    """

    def __init__(self, maps: Mapping[str, NDArray[Any]], box: Box) -> None:
        super().__init__(maps)
        self._box = box

    def __getitem__(self, name: str) -> NDArray[Any]:
        if isinstance(self._stored, StoredMaps):
            return self._stored.part(name, self._box)
        return np.asarray(self._stored[name][self._box])
