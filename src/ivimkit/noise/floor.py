"""Which signals are well above the noise, where magnitudes have the noise of their channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import NoiseError
from ivimkit.noise.pooling import pooled

__all__ = ["above_floor", "squares_of", "sum_of_kept"]

# Where a magnitude is three times the noise on average, its spread is 4 % narrower than that of
# the channels; in air it is 35 % (Gudbjartsson and Patz 1995).
_MIN_SNR = 3.0
_MAX_ROUNDS = 20


def above_floor(
    signal: NDArray[np.floating],
    spread: NDArray[np.floating],
    degrees: NDArray[np.float64],
    pool: str,
) -> NDArray[np.bool_]:
    """Return which values have a signal of more than three times the noise pooled from them.

    Starting from all values, noise and selection are computed alternately until the selection no
    longer changes. Air makes the first noise too small, not too large, so no tissue is lost.

    Parameters
    ----------
    signal : ndarray, shape (n, n_voxels)
        Signals, a.u.
    spread : ndarray, shape (n, n_voxels)
        Root of the sum of squares of their deviations, a.u.
    degrees : ndarray, shape (n, n_voxels) or (n, 1)
        Their degrees of freedom.
    pool : {"median", "mean"}
        How voxels are pooled to one value.

    Returns
    -------
    ndarray of bool, shape (n, n_voxels)

    Raises
    ------
    NoiseError
        If nothing is left.
    """
    finite = np.isfinite(signal) & np.isfinite(spread)
    keep: NDArray[np.bool_] = finite & (signal > 0.0)
    for _ in range(_MAX_ROUNDS):
        each = sum_of_kept(keep, degrees)
        valid = each > 0
        if not valid.any():
            raise NoiseError(
                "no voxel has a finite signal of three times its noise, so the noise of "
                "magnitudes cannot be estimated from it; expected tissue. Check mask and scan",
                python="Or use noise.from_background",
            )
        squares = sum_of_kept(keep, squares_of(spread))
        sigma, _ = pooled(squares[valid], each[valid], pool)
        above = finite & (signal > _MIN_SNR * sigma)
        if np.array_equal(above, keep):
            break
        keep = above
    return keep


def sum_of_kept(
    keep: NDArray[np.bool_], values: Iterable[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the sum over the first axis of the values that are kept.

    Parameters
    ----------
    keep : ndarray of bool, shape (n, n_voxels)
        Which are kept.
    values : iterable of n ndarrays, shape (n_voxels,) or (1,)
        The values, row by row: a scan may have as many as fit into memory once.

    Returns
    -------
    ndarray, shape (n_voxels,)
    """
    total = np.zeros(keep.shape[1])
    for kept, row in zip(keep, values, strict=True):
        total += np.where(kept, row, 0.0)
    return total


def squares_of(spread: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
    """Yield the squares of each row, in double precision."""
    for row in spread:
        yield row.astype(np.float64) ** 2
