"""Weights of single values: a value that does not belong to its voxel has weight 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import InputError, OptionError, ShapeError

__all__ = [
    "Patterns",
    "WeightSummary",
    "Weights",
    "checked_value_weights",
    "summary_of",
    "weighted_average",
]

Weights = Mapping[int, NDArray[Any]]
"""Weights of single values by the number of the volume in the signal array."""


@dataclass(frozen=True)
class WeightSummary:
    """How the weights of single values were used, for the provenance of results.

    Parameters
    ----------
    values : int
        Number of values in the mask: voxels times volumes.
    left_out : int
        Number of those with weight 0.
    voxels : int
        Number of voxels with a value of weight 0.
    different : int
        Number of values whose weight is neither 0 nor that of one volume as acquired, which is 1,
        or more by what interpolation left of its noise.
    missing : int
        Number of those with weight 0 that are not there: NaN or infinite.
    """

    values: int
    left_out: int
    voxels: int
    different: int
    missing: int = 0


def checked_value_weights(weights: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return weights of single values, if they are valid.

    Parameters
    ----------
    weights : array_like, shape (..., n_volumes)
        One weight for each value of the scan.
    shape : tuple of int
        The shape to expect.

    Raises
    ------
    ShapeError
        If they have another shape.
    InputError
        If they are not real numbers.
    OptionError
        If one is negative or not finite, or all are 0.
    """
    given = np.asarray(weights)
    if given.shape != shape:
        raise ShapeError(
            f"weights have shape {given.shape}; expected one per value of the scan, {shape}, or "
            "one per volume"
        )
    if given.dtype.kind not in "biuf":
        raise InputError(f"the weights are of type {given.dtype}; expected numbers >= 0")
    found = False
    # One volume after the other: a scan may be larger than half of the memory.
    for volume in range(shape[-1]):
        values = given[..., volume]
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise OptionError("weights must be finite and >= 0; set a weight to 0 to leave it out")
        found = found or bool(values.any())
    if not found:
        raise OptionError("all weights are 0; expected values with a weight. Leave them out")
    return given


@dataclass(frozen=True, eq=False)
class Patterns:
    """Voxels in groups with the same weights, so that each group shares one plan of a fit.

    Parameters
    ----------
    rows : ndarray, shape (n_patterns, n_volumes)
        The weights of the volumes in each group; volumes that can change places, such as repeats,
        are in descending order of their weights.
    numbers : ndarray of int, shape (n_voxels,)
        The group of each voxel.
    """

    rows: NDArray[np.float64]
    numbers: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        blocks: Iterator[NDArray[np.float64]],
        alike: Sequence[NDArray[np.intp]],
    ) -> Patterns:
        """Return the groups of voxels.

        Parameters
        ----------
        blocks : iterator of ndarray, shape (n, n_volumes)
            The weights of the voxels, some at a time.
        alike : sequence of ndarray of int
            Volumes that can change places within their set: only their weights matter then.
        """
        known: dict[bytes, int] = {}
        rows: list[NDArray[np.float64]] = []
        numbers = []
        for block in blocks:
            # A negative zero would be another pattern.
            ordered = np.ascontiguousarray(block) + 0.0
            for volumes in alike:
                ordered[:, volumes] = -np.sort(-ordered[:, volumes], axis=1)
            flat = ordered.view(np.dtype((np.void, ordered.itemsize * ordered.shape[1])))[:, 0]
            _, first, inverse = np.unique(flat, return_index=True, return_inverse=True)
            own = np.empty(first.size, dtype=np.intp)
            for position in np.argsort(first):
                row = ordered[first[position]]
                key = row.tobytes()
                if key not in known:
                    known[key] = len(rows)
                    rows.append(row.copy())
                own[position] = known[key]
            numbers.append(own[inverse.reshape(-1)])
        return cls(np.array(rows), np.concatenate(numbers))

    def take(self, positions: NDArray[np.intp]) -> Patterns:
        """Return the groups of some of the voxels."""
        return replace(self, numbers=self.numbers[positions])

    def groups(self) -> list[tuple[int, NDArray[np.intp]]]:
        """Return the number and the voxels, ascending, of each group, the largest first."""
        order = np.argsort(self.numbers, kind="stable")
        present, starts = np.unique(self.numbers[order], return_index=True)
        members = np.split(order, starts[1:])
        largest = np.argsort([-len(own) for own in members], kind="stable")
        return [(int(present[k]), members[k]) for k in largest]


def weighted_average(
    groups: Sequence[tuple[Sequence[NDArray[np.float64]], Sequence[NDArray[np.float64]]]],
) -> NDArray[np.float64]:
    """Return averages of volumes whose weights differ from voxel to voxel.

    Parameters
    ----------
    groups : sequence of tuple
        Values and weights of the volumes of each group, each of shape (n_voxels,): the arithmetic
        mean within a group, the geometric mean of the groups, each with its greatest weight.

    Returns
    -------
    ndarray, shape (n_voxels,)
        NaN where no volume has a weight. Weights that do not differ leave the bits of a plain
        mean, and a value of weight 0 those of a mean without it.
    """
    means = [_mean(values, weights) for values, weights in groups]
    if len(groups) == 1:
        return means[0]
    greatest = [np.max(weights, axis=0) for _, weights in groups]
    first = _first_positive(greatest)
    total, log_total, n = np.zeros_like(first), np.zeros_like(first), np.zeros_like(first)
    positive, count = np.ones(first.size, dtype=bool), np.zeros(first.size, dtype=np.intp)
    alone = np.full(first.size, np.nan)
    for mean, weight in zip(means, greatest, strict=True):
        used = weight > 0.0
        share = np.where(used, weight / first, 0.0)
        total += np.where(used, mean * share, 0.0)
        log_total += np.where(used, np.log(mean) * share, 0.0)
        positive &= ~(used & (mean <= 0.0))
        n += share
        alone = np.where(used & (count == 0), mean, alone)
        count += used
    averages = np.where(positive, np.exp(log_total / n), total / n)
    # The mean of one group is that group, without the rounding of a logarithm.
    return np.where(count == 1, alone, averages)


def _mean(
    values: Sequence[NDArray[np.float64]], weights: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    first = _first_positive(weights)
    total, n = np.zeros_like(first), np.zeros_like(first)
    for value, weight in zip(values, weights, strict=True):
        # Relative to the first weight: equal ones become 1, which changes no bit. A value without
        # a weight may be anything, and 0 times NaN is NaN.
        used = weight > 0.0
        share = np.where(used, weight / first, 0.0)
        total += np.where(used, value * share, 0.0)
        n += share
    return total / n


def _first_positive(weights: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    found = np.zeros_like(weights[0])
    for weight in weights:
        found = np.where(found > 0.0, found, weight)
    return found


def summary_of(
    blocks: Iterator[NDArray[np.float64]], usual: NDArray[np.float32] | None = None
) -> WeightSummary:
    """Return the summary of the weights of voxels, which come some at a time.

    The usual weight of each volume is 1 unless given; NaN for one that may have any.
    """
    own = np.float32(1.0) if usual is None else usual
    values = left_out = voxels = different = 0
    for block in blocks:
        zero = block == 0.0
        values += block.size
        left_out += int(np.count_nonzero(zero))
        voxels += int(np.count_nonzero(zero.any(axis=1)))
        different += int(
            np.count_nonzero(~zero & (block.astype(np.float32) != own) & (own == own))
        )
    return WeightSummary(values, left_out, voxels, different)
