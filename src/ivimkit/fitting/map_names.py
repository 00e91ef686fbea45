"""MapsByName: maps by their names, whose errors list the names there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError

__all__ = ["MapsByName", "MapsOver", "StoredMaps"]

V = TypeVar("V")


class MapsByName(Mapping[str, V]):
    """Maps by name, whose errors list the names there are."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return a map, or the default if there is none of that name."""
        # That of Mapping waits for a KeyError, which is not what missing maps raise.
        if name not in self:
            return default
        return self[name]


class MapsOver(MapsByName[NDArray[Any]]):
    """Maps that are each made, when it is asked for, from what has the same name.

    Parameters
    ----------
    stored : mapping of str to object
        What they are made from.
    """

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._stored = stored

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)


class StoredMaps(MapsOver):
    """Maps that are made from an array for each, in whatever form it is stored.

    Parameters
    ----------
    stored : mapping of str to array
        The arrays: of numpy, or what reads like one.
    """

    def __init__(self, stored: Mapping[str, Any]) -> None:
        super().__init__(dict(stored))

    def at(self, voxel: tuple[int, ...]) -> dict[str, float]:
        """Return the value of each map at one voxel."""
        return {name: float(self[name][voxel]) for name in self}

    def within(self, box: tuple[slice, ...]) -> dict[str, NDArray[Any]]:
        """Return the maps inside a box of voxels."""
        return {name: self[name][box] for name in self}

    def _of(self, name: str) -> Any:
        """Return the array of a map."""
        if name not in self._stored:
            raise OptionError(f"there is no map {name!r}; there are {', '.join(self)}")
        return self._stored[name]

    def part(self, name: str, box: tuple[Any, ...]) -> NDArray[Any]:
        """Return a map inside a box, see `ivimkit.scan.blocks.Box`."""
        return np.asarray(self[name][box])
