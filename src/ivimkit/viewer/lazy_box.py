"""LazyBox: a part of a scan that is not in memory, read when it is needed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.lazy_signal import LazyArray
from ivimkit.viewer.shown_grid import Box

__all__ = ["LazyBox"]

_MAX_BYTES_BETWEEN = 1 << 26
"""What is read at a time with planes between those that are wanted; else plane by plane."""


class LazyBox:
    """Some voxels of a scan that is not in memory, with all of its volumes.

    Parameters
    ----------
    array : LazyArray
        The scan, volumes on the last axis.
    box : tuple of slice
        One for each axis of space, with or without steps > 0.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.scan.lazy_signal import LazySignal
    >>> from ivimkit.viewer.lazy_box import LazyBox
    >>> signal = LazySignal(np.arange(24).reshape(4, 3, 2))
    >>> box = LazyBox(signal, (slice(None, None, 2), slice(1, 3)))
    >>> box.shape, box[slice(1, 2), slice(None), slice(0, 1)].ravel().tolist()
    ((2, 2, 2), [14, 16])
    """

    def __init__(self, array: LazyArray, box: Box) -> None:
        self._array = array
        rest = [slice(None)] * (len(array.shape) - len(box))
        self._ranges = [
            range(*part.indices(n)) for part, n in zip([*box, *rest], array.shape, strict=True)
        ]
        self.shape = tuple(map(len, self._ranges))
        self.dtype = np.dtype(array.dtype)

    @property
    def nbytes(self) -> int:
        """Memory of the whole part."""
        return math.prod(self.shape) * int(self.dtype.itemsize)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        """Read a block: a slice for each axis."""
        wanted = [own[part] for own, part in zip(self._ranges, key, strict=True)]
        sparse = wanted[-2].step > 1
        if not sparse or self._hull_bytes(wanted) <= _MAX_BYTES_BETWEEN:
            return self._read(wanted)
        planes = [[*wanted[:-2], range(k, k + 1), wanted[-1]] for k in wanted[-2]]
        return np.concatenate([self._read(plane) for plane in planes], axis=-2)

    def _read(self, wanted: list[range]) -> NDArray[Any]:
        return np.asarray(self._array[tuple(slice(r.start, r.stop, r.step) for r in wanted)])

    def _hull_bytes(self, wanted: list[range]) -> int:
        n = math.prod(r[-1] - r[0] + 1 if r else 0 for r in wanted)
        return n * int(self.dtype.itemsize)
