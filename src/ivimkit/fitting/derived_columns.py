"""derived_columns: the maps that are functions of several parameters, voxel by voxel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.compartment import Derived

__all__ = ["derived_columns"]

# Voxels at once: functions may need many times the memory of a map.
_CHUNK = 1 << 16


def derived_columns(
    derived: Derived, columns: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Return derived maps as one value per voxel.

    Parameters
    ----------
    derived : Derived
        What they are.
    columns : mapping of str to ndarray, shape (n,)
        The parameters, by name.
    """
    assert derived.function is not None, "a model that is fitted has its functions"
    given = [columns[name] for name in derived.factors]
    found = np.empty((given[0].size, len(derived.maps)))
    for start in range(0, len(found), _CHUNK):
        part = slice(start, start + _CHUNK)
        found[part] = derived.function(*(values[part] for values in given))
    return {name: found[:, k].copy() for k, name in enumerate(derived.names)}
