"""VoxelReader: chunks of voxels, with repeats averaged, from a scan that is never copied."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.value_weights import Weights, weighted_average

__all__ = ["Column", "VoxelReader"]


@dataclass(frozen=True)
class Column:
    """The volumes that are averaged into one value of the fitted signal.

    Parameters
    ----------
    groups : tuple of tuple of int
        Volumes of the signal array: the arithmetic mean within each group, the geometric mean
        of the groups.
    weights : tuple of tuple of float, optional
        Weight of each of them, > 0, in both means; equal by default. A group has the greatest of
        its weights: repeats do not give a direction more weight than others.
    """

    groups: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[float, ...], ...] | None = None


class VoxelReader:
    """Gather the signal of the voxels of a mask in chunks, and scatter values back.

    Reading is elementwise arithmetic only, so values are bit-identical whatever the chunk, and a
    reader has no state, so threads can share it.

    Parameters
    ----------
    signal : ndarray, shape (..., n_volumes)
        The scan, of any real type and memory order; never copied.
    mask : ndarray of bool, shape (...)
        Voxels to read.
    columns : sequence of Column
        What to read for each voxel.
    value_weights : mapping of int to ndarray, shape (...), optional
        Weights of single values, >= 0, by the number of the volume. They multiply those of the
        columns; a value of weight 0 has no part in an average, and a value of which nothing is
        left is NaN.

    Attributes
    ----------
    index : ndarray of int, shape (n_voxels,)
        Flat positions of the voxels, ascending in the memory order of the scan unless they were
        selected in another order.
    order : {"C", "F"}
        The memory order of `index`.
    """

    def __init__(
        self,
        signal: NDArray[Any],
        mask: NDArray[np.bool_],
        columns: Sequence[Column],
        value_weights: Weights | None = None,
    ) -> None:
        self.order: Literal["C", "F"] = _memory_order(signal)
        self.index: NDArray[np.intp] = np.flatnonzero(mask.ravel(order=self.order))
        self._shape = mask.shape
        self._columns = tuple(columns)
        used = {v for column in columns for group in column.groups for v in group}
        self._volumes = {v: _flat(signal[..., v], self.order) for v in used}
        self._set_weights(value_weights, used)
        self._rows: NDArray[Any] | None = (
            _whole_rows(signal, self._columns, self.order) if value_weights is None else None
        )

    def _set_weights(self, value_weights: Weights | None, used: Iterable[int]) -> None:
        self._weights: dict[int, NDArray[Any]] | None = None
        if value_weights is not None:
            self._weights = {v: _flat(value_weights[v], self.order) for v in used}

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return len(self.index)

    @property
    def n_columns(self) -> int:
        """Number of values per voxel."""
        return len(self._columns)

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape of the scan."""
        return self._shape

    def take(self, positions: NDArray[np.intp]) -> VoxelReader:
        """Return a reader of some of the voxels.

        Parameters
        ----------
        positions : ndarray of int, shape (n,)
            Positions in `index`, in any order.

        Returns
        -------
        VoxelReader
        """
        return self.at(self.index[positions])

    def in_memory(self) -> VoxelReader:
        """Return a reader of the same voxels that can be read often, and in any order."""
        return self

    def at(self, index: NDArray[np.intp]) -> VoxelReader:
        """Return a reader of other voxels of the scan.

        Parameters
        ----------
        index : ndarray of int, shape (n,)
            Flat positions in the memory order of the scan.

        Returns
        -------
        VoxelReader
        """
        part = copy.copy(self)
        part.index = index
        return part

    def read(self, start: int, stop: int, out: NDArray[np.float64]) -> None:
        """Write the averaged signal of the voxels `start` to `stop` to `out`.

        Parameters
        ----------
        start, stop : int
            Range of positions in `index`, `stop` excluded.
        out : ndarray, shape (>= stop - start, >= n_columns)
            Receives the signal, rows are voxels, a.u.; the rest is not changed.
        """
        where = self._where(start, stop)
        n = min(stop, self.n_voxels) - start
        if self._rows is not None:
            out[:n, : self.n_columns] = self._rows[where]
            return
        with np.errstate(all="ignore"):
            for number, column in enumerate(self._columns):
                out[:n, number] = self._average(column, where)

    def read_weights(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return the weight of each value of the voxels `start` to `stop`.

        Parameters
        ----------
        start, stop : int
            Range of positions in `index`, `stop` excluded.

        Returns
        -------
        ndarray, shape (n, n_columns)
            Sums over the volumes of each column.
        """
        where = self._where(start, stop)
        out = np.zeros((min(stop, self.n_voxels) - start, self.n_columns))
        for number, column in enumerate(self._columns):
            for volumes, weights in _weighted_groups(column):
                for volume, weight in zip(volumes, weights, strict=True):
                    out[:, number] += self._weight(volume, weight, where)
        return out

    def scatter(self, values: NDArray[Any], fill: float) -> NDArray[Any]:
        """Return a full array with one value per voxel of the mask.

        Parameters
        ----------
        values : ndarray, shape (n_voxels, ...)
            One value, or one row of values, per voxel in the order of `index`.
        fill : float
            Value everywhere else.

        Returns
        -------
        ndarray, shape (spatial shape, ...)
            With the type of `values`, in the memory order of the scan.
        """
        rest = values.shape[1:]
        flat = np.full((int(np.prod(self._shape)), *rest), fill, dtype=values.dtype)
        flat[self.index] = values
        if not rest:
            return flat.reshape(self._shape, order=self.order)
        parts = [
            flat[(slice(None), *i)].reshape(self._shape, order=self.order)
            for i in np.ndindex(*rest)
        ]
        return np.stack(parts, axis=-1).reshape(*self._shape, *rest)

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the voxels from a full array: the inverse of `scatter`.

        Parameters
        ----------
        values : ndarray, shape (spatial shape)
            One value per voxel of the scan, in any memory order.

        Returns
        -------
        ndarray, shape (n_voxels,)
            In the order of `index`.
        """
        return values.ravel(order=self.order)[self.index]

    def _where(self, start: int, stop: int) -> slice | NDArray[np.intp]:
        """Return the flat positions, as a slice if contiguous: much cheaper to read."""
        chunk = self.index[start:stop]
        gapless = len(chunk) and chunk[-1] - chunk[0] == len(chunk) - 1
        # Some of the voxels may come in any order.
        if gapless and bool((np.diff(chunk) == 1).all()):
            return slice(int(chunk[0]), int(chunk[-1]) + 1)
        return chunk

    def _average(self, column: Column, where: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        groups = _weighted_groups(column)
        if self._weights is not None:
            return weighted_average([self._with_weights(*group, where) for group in groups])
        if len(groups) == 1:
            return self._mean(*groups[0], where)
        first, *others = (self._mean(*group, where) for group in groups)
        shares = _relative([max(own) for _, own in groups])
        total, log_total, positive = first.copy(), np.log(first), ~(first <= 0)
        for mean, share in zip(others, shares[1:], strict=True):
            total += _scaled(mean, share)
            log_total += _scaled(np.log(mean), share)
            positive &= ~(mean <= 0)
        n = sum(shares)
        return np.where(positive, np.exp(log_total / n), total / n)

    def _mean(
        self, group: tuple[int, ...], weights: tuple[float, ...], where: slice | NDArray[np.intp]
    ) -> NDArray[np.float64]:
        # Volume after volume, not np.mean: the order of the sum must not depend on the chunk.
        if len(group) == 1:
            return self._get(group[0], where)
        shares = _relative(weights)
        total = self._get(group[0], where)
        for volume, share in zip(group[1:], shares[1:], strict=True):
            total += _scaled(self._get(volume, where), share)
        return total / sum(shares)

    def _with_weights(
        self, group: tuple[int, ...], weights: tuple[float, ...], where: slice | NDArray[np.intp]
    ) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """Return the values and the weights of the volumes of a group."""
        return (
            [self._get(volume, where) for volume in group],
            [self._weight(*own, where) for own in zip(group, weights, strict=True)],
        )

    def _weight(
        self, volume: int, weight: float, where: slice | NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return the weight of a volume in each voxel."""
        if self._weights is None:
            n = where.stop - where.start if isinstance(where, slice) else where.size
            return np.full(n, weight)
        return _scaled(self._taken(self._weights[volume], where), weight)

    def _get(self, volume: int, where: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        return self._taken(self._volumes[volume], where)

    def _taken(self, data: NDArray[Any], where: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        if data.ndim == 1:
            return data[where].astype(np.float64)
        flat = np.arange(where.start, where.stop) if isinstance(where, slice) else where
        return data[np.unravel_index(flat, data.shape, order=self.order)].astype(np.float64)


def _weighted_groups(column: Column) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Return the volumes of each group of a column, with their weights."""
    weights = column.weights or tuple((1.0,) * len(group) for group in column.groups)
    return list(zip(column.groups, weights, strict=True))


def _relative(weights: Sequence[float]) -> list[float]:
    """Return weights divided by the first: equal ones become 1 and leave values bit-identical."""
    return [weight / weights[0] for weight in weights]


def _scaled(values: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    return values if share == 1.0 else values * share


def _whole_rows(
    signal: NDArray[Any], columns: Sequence[Column], order: Any
) -> NDArray[Any] | None:
    """Return the signal as rows of voxels if stored that way and read unscaled."""
    as_stored = tuple(column.groups for column in columns) == tuple(
        ((v,),) for v in range(signal.shape[-1])
    )
    if not (as_stored and order == "C" and signal.flags.c_contiguous):
        return None
    return signal.reshape(-1, signal.shape[-1])


def _memory_order(signal: NDArray[Any]) -> Literal["C", "F"]:
    """Return "F" if the first axis of the voxels is the fastest in memory, else "C"."""
    strides = [s for s, n in zip(signal.strides[:-1], signal.shape[:-1], strict=True) if n > 1]
    ascending = all(a <= b for a, b in pairwise(strides))
    return "F" if len(strides) > 1 and ascending else "C"


def _flat(volume: NDArray[Any], order: Any) -> NDArray[Any]:
    """Return the volume as one axis without a copy, or unchanged if that is impossible."""
    steps = [(s, n) for s, n in zip(volume.strides, volume.shape, strict=True) if n > 1]
    if order == "C":
        steps.reverse()
    regular = all(b[0] == a[0] * a[1] for a, b in pairwise(steps))
    return volume.reshape(-1, order=order) if regular else volume
