"""ReorderedArray: an array on disk or at an address with its axes in the order of a scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError
from ivimkit.io.untrusted_files import untrusted

__all__ = ["ReorderedArray"]


class ReorderedArray:
    """An array that is read block by block, with its axes in another order.

    Parameters
    ----------
    stored : array of zarr, h5py or dask
        Anything with ``shape``, ``dtype``, and blocks by slices.
    order : sequence of int or None
        For each axis, that of `stored`; None for an axis of length 1 that is added. Axes of
        `stored` that are not named have length 1.
    name : str
        Its name in messages.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.io.reordered_array import ReorderedArray
    >>> array = ReorderedArray(np.zeros((13, 5, 4, 3)), (3, 2, 1, 0), "scan")
    >>> every = slice(None)
    >>> array.shape, array[slice(1, 3), every, slice(2, 3), every].shape
    ((3, 4, 5, 13), (2, 4, 1, 13))
    """

    def __init__(self, stored: Any, order: Sequence[int | None], name: str) -> None:
        self._stored, self._order, self._name = stored, tuple(order), name
        self.shape = tuple(1 if axis is None else int(stored.shape[axis]) for axis in self._order)
        self.dtype = np.dtype(stored.dtype)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Voxels and volumes that are stored together; None if all are."""
        chunks = getattr(self._stored, "chunks", None)
        # Those of dask are lists of all lengths.
        if chunks is None or not all(isinstance(n, int) for n in chunks):
            return None
        return tuple(1 if axis is None else chunks[axis] for axis in self._order)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        """Read a block: a slice for each axis."""
        wanted: list[Any] = [0] * len(self._stored.shape)
        rest: list[slice] = []
        for part, axis in zip(key, self._order, strict=True):
            rest.append(part if axis is None else slice(None))
            if axis is not None:
                wanted[axis] = part
        with untrusted(lambda why: FileFormatError(f"{self._name} is damaged: {why}")):
            block = np.asarray(self._stored[tuple(wanted)])
        known = [axis for axis in self._order if axis is not None]
        block = block.transpose([sorted(known).index(axis) for axis in known])
        added = tuple(place for place, axis in enumerate(self._order) if axis is None)
        found: NDArray[Any] = np.expand_dims(block, added)[tuple(rest)]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all of it."""
        found = self[(slice(None),) * len(self.shape)]
        return found if dtype is None else found.astype(dtype, copy=False)
