"""StoredResult: maps and status of a saved result, in memory or on disk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.writing import scratch_folder

__all__ = ["StoredResult", "scratch_of"]

_BYTES_PER_NUMBER = 8
_MAX_BYTES_IN_MEMORY = 1 << 30
"""Maps that need more are read from disk."""


@dataclass(frozen=True, eq=False)
class StoredResult:
    """What the files of a result contain for each voxel.

    Parameters
    ----------
    maps : mapping of str to ndarray, shape (...)
        The maps.
    status : ndarray of int, shape (...)
        The status map.
    header : bytes
        The NIfTI header of the maps.
    """

    maps: Mapping[str, NDArray[np.float64]]
    status: NDArray[Any]
    header: bytes


def scratch_of(n_maps: int, shape: tuple[int, ...]) -> Path | None:
    """Return the folder that the maps of a large result are unpacked to; None if it is small.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    small = n_maps * math.prod(shape) * _BYTES_PER_NUMBER <= _MAX_BYTES_IN_MEMORY
    return None if small else scratch_folder()
