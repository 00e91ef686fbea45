"""LazySignal: the signal of a scan that is not in memory, read part by part."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError, ShapeError
from ivimkit.scan.whole_scan import check_whole

__all__ = ["LazyArray", "LazySignal", "as_lazy", "is_lazy"]

BLOCK_BYTES = 1 << 26
"""Memory of the part of a scan that is read at a time; at least one plane is."""


class LazyArray(Protocol):
    """What a scan that is not in memory has to have: an array of Zarr, HDF5 or dask, say."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape, volumes on the last axis."""
        ...

    @property
    def dtype(self) -> Any:
        """Type of its numbers."""
        ...

    def __getitem__(self, key: tuple[slice, ...], /) -> Any:
        """Return a part of it; a slice for each axis."""
        ...


def is_lazy(array: object) -> bool:
    """Return whether something is an array that is not in memory, known by what it can do.

    Examples
    --------
    >>> import numpy as np
    >>> is_lazy(np.zeros(3)), is_lazy([1.0, 2.0])
    (False, False)
    """
    if isinstance(array, np.ndarray | np.generic) or not hasattr(array, "__getitem__"):
        return False
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    if not isinstance(shape, tuple) or dtype is None or hasattr(array, "iloc"):
        return False
    try:
        np.dtype(dtype)
    except TypeError:
        return False
    return True


def as_lazy(signal: object) -> LazySignal | None:
    """Return a signal that is not in memory as such; None for an array of numpy."""
    return signal if isinstance(signal, LazySignal) else None


class LazySignal:
    """The signal of a scan that is not in memory.

    It is indexed like an array of numpy, each index as a number, a slice, or a list of numbers;
    what is returned is in memory. ``numpy.asarray`` of it reads all of it, if there is room.

    Parameters
    ----------
    array : LazyArray
        The array, volumes on the last axis.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.scan.lazy_signal import LazySignal
    >>> class Stored:
    ...     shape, dtype = (4, 3, 2), np.dtype(np.int16)
    ...
    ...     def __getitem__(self, key):
    ...         return np.ones(self.shape, self.dtype)[key]
    >>> signal = LazySignal(Stored())
    >>> signal[..., 1].shape, signal[0, 0].tolist()
    ((4, 3), [1, 1])
    """

    def __init__(self, array: LazyArray) -> None:
        self._array = array
        self.shape = tuple(int(n) for n in array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Memory of the whole."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, key: Any) -> NDArray[Any]:
        parts = self._full(key if isinstance(key, tuple) else (key,))
        lists = [axis for axis, part in enumerate(parts) if isinstance(part, np.ndarray)]
        if len(lists) > 1:
            raise InputError(
                "the scan is not in memory, and was asked for lists along several axes; expected "
                "one list, and numbers or slices for the other axes",
                python="Take numpy.asarray of it first, if it fits into memory",
            )
        if lists:
            return self._listed(parts, lists[0])
        hull = tuple(_hull(part, n) for part, n in zip(parts, self.shape, strict=True))
        found = np.asarray(self._array[hull])
        expected = tuple(one.stop - one.start for one in hull)
        if found.shape != expected:
            raise ShapeError(
                f"the array of the scan returned the shape {found.shape} for a part of shape "
                f"{expected}; expected numpy's rules of slices"
            )
        inner = (
            0 if isinstance(part, int) else slice(None, None, part.indices(n)[2])
            for part, n in zip(parts, self.shape, strict=True)
        )
        return np.asarray(found[tuple(inner)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all of it, if it fits into the free memory."""
        check_whole(self.nbytes)
        whole = self[(slice(None),) * self.ndim]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def thickness(self) -> int:
        """Return the number of planes along the last axis of space that are read at a time.

        Whole chunks of arrays that have chunks, as part of one costs as much as all of it.
        """
        along = self.shape[-2]
        plane = self.nbytes // max(along, 1)
        n = max(BLOCK_BYTES // max(plane, 1), 1)
        chunk = self._chunk()
        return int(min(max(n // chunk, 1) * chunk, along))

    def _chunk(self) -> int:
        """Return the thickness of the chunks of the array; 1 if it has none."""
        chunks = getattr(self._array, "chunks", None)
        if not isinstance(chunks, tuple) or len(chunks) != self.ndim:
            return 1
        own = chunks[-2]
        return max(int(max(own) if isinstance(own, tuple) else own), 1)

    def _full(self, key: tuple[Any, ...]) -> list[Any]:
        """Return one index for each axis: a number, a slice or an array of numbers."""
        key = tuple(one for one in key if one is not None)
        place = next((k for k, one in enumerate(key) if one is Ellipsis), len(key))
        after = key[place + 1 :]
        between = self.ndim - place - len(after)
        if between < 0:
            raise IndexError(f"{len(key)} indices for a scan with {self.ndim} axes")
        parts: list[Any] = [*key[:place], *[slice(None)] * between, *after]
        return [
            _checked(part, n, axis)
            for axis, (part, n) in enumerate(zip(parts, self.shape, strict=True))
        ]

    def _listed(self, parts: list[Any], axis: int) -> NDArray[Any]:
        """Return some entries along an axis, one read for each run of them."""
        wanted = parts[axis]
        ends = [0, *(np.flatnonzero(np.diff(wanted) != 1) + 1).tolist(), len(wanted)]
        runs = [
            slice(int(wanted[a]), int(wanted[b - 1]) + 1) for a, b in pairwise(ends) if b > a
        ] or [slice(0, 0)]
        found = [self[(*parts[:axis], run, *parts[axis + 1 :])] for run in runs]
        lost = sum(isinstance(part, int) for part in parts[:axis])
        joined = np.concatenate(found, axis=axis - lost)
        chosen = [k for k, part in enumerate(parts) if not isinstance(part, slice)]
        # Numpy puts the axis of a list first, where slices separate it from numbers.
        apart = chosen[-1] - chosen[0] >= len(chosen)
        return np.moveaxis(joined, axis - lost, 0) if apart else joined


def _checked(part: Any, n: int, axis: int) -> Any:
    if isinstance(part, slice):
        return part
    if isinstance(part, int | np.integer):
        if not -n <= part < n:
            raise IndexError(f"index {part} is out of range for axis {axis} with size {n}")
        return int(part) % n
    numbers = np.asarray(part)
    if numbers.dtype == bool and numbers.shape == (n,):
        return np.flatnonzero(numbers)
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
        raise InputError(
            f"the scan is not in memory, and was asked for the values at {type(part).__name__}; "
            "expected numbers, slices or a list of numbers for each axis",
            python="Take numpy.asarray of it first, if it fits into memory",
        )
    return numbers.astype(np.intp) % n


def _hull(part: int | slice, n: int) -> slice:
    """Return the smallest slice without steps that contains an index."""
    if isinstance(part, int):
        return slice(part, part + 1)
    numbers = range(*part.indices(n))
    if not len(numbers):
        return slice(0, 0)
    if part.indices(n)[2] < 0:
        raise InputError(
            "the scan is not in memory, and was asked for its values in reverse order; expected "
            "slices with positive steps",
            python="Take numpy.asarray of it first, if it fits into memory",
        )
    return slice(numbers[0], numbers[-1] + 1)
