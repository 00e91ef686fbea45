"""What the search in SIMD lanes works on: the voxels of a chunk, and the arrays of the lanes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chunk", "Lanes"]


class Chunk(NamedTuple):
    """The voxels of a chunk, and what they share.

    Parameters
    ----------
    b, root_weight : ndarray, shape (n_b,)
        b-values in s/mm^2 and square roots of the weights, padded to a multiple of four.
    signals : ndarray, shape (n_voxels, n_b)
        Signals; anything where the weight is 0.
    status : ndarray, shape (n_voxels,)
        Voxels where it is not 0 are left out.
    table : ndarray
        `ivimkit.kernels.two_decays.atoms.Dictionary.table`.
    n_slow, n_fast : int
        Number of slow and of fast rates in the dictionary.
    n_used : int
        Number of b-values without the padding.
    degrees : float
        Degrees of freedom of the residuals.
    """

    b: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    signals: NDArray[np.float64]
    status: NDArray[np.int32]
    table: NDArray[np.float64]
    n_slow: int
    n_fast: int
    n_used: int
    degrees: float


class Lanes(NamedTuple):
    """The arrays of the lanes.

    Parameters
    ----------
    memory : ndarray, shape (lane_profile.memory_rows(...), lanes.LANES)
        Signals in lanes, signals of a group, their inner products, gains of the groups.
    state : ndarray, shape (lanes.SIZE,)
        State of the descents.
    order : ndarray of int, shape (lane_schedule.N_COUNTERS,)
        Which voxel is in which lane, and which ones wait.
    fits : ndarray, shape (n_voxels, lane_schedule.FIT_COLUMNS)
        The fits of each voxel, see `lane_schedule.stored_fit`.
    """

    memory: NDArray[np.float64]
    state: NDArray[np.float64]
    order: NDArray[np.int64]
    fits: NDArray[np.float64]
