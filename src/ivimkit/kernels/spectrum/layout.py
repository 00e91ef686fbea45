"""Positions of numbers in the options of a spectrum, and the parts of its scratch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import inlined
from ivimkit.kernels.memory import matrix

__all__ = [
    "INFLUENCE",
    "MAX_WINDOWS",
    "NOTHING_MORE",
    "SIZES",
    "SPECTRUM",
    "Option",
    "Scratch",
    "scratch_of",
    "scratch_size",
]

MAX_WINDOWS = 4
"""Most windows of a spectrum, one for each compartment of a model."""

NOTHING_MORE, SPECTRUM, SIZES, INFLUENCE = range(4)
"""What is written behind the maps: nothing; the amplitude of every bin; the squares of residuals
and of differences; these and the number of effective parameters."""


class Option(NamedTuple):
    """Positions in the options array; arrays of one number per window or bin begin there."""

    bins: int = 0  # number of bins
    windows: int = 1  # number of windows, from the slowest to the fastest
    order: int = 2  # order of the differences that are penalised
    weight: int = 3  # weight of the penalty
    values: int = 4  # number of values with a weight
    total_weight: int = 5  # the sum of these weights
    dual: int = 6  # whether bins at 0 are searched instead of bins above 0
    influence: int = 7  # effective parameters without the constraint
    more: int = 8  # what to write behind the maps
    flows: int = 9  # number of maps of a fraction times its rate
    first: int = 10  # first bin of each window
    end: int = first + MAX_WINDOWS  # the one behind its last bin
    rate: int = end + MAX_WINDOWS  # position of the rate of each window in the model
    fraction: int = rate + MAX_WINDOWS  # that of its fraction; -1 for the reference
    middle: int = fraction + MAX_WINDOWS  # rate of a window without signal
    unseen: int = middle + MAX_WINDOWS  # flag of a window whose signal is not detected
    flow: int = unseen + MAX_WINDOWS  # windows that have a map of flow
    spread: int = flow + MAX_WINDOWS  # sum of the inverse normal matrix over each window
    log_rate: int = spread + MAX_WINDOWS  # ln of the rate of each bin


class Scratch(NamedTuple):
    """The scratch of one spectrum of n bins.

    Attributes
    ----------
    x : ndarray, shape (n,)
        Amplitudes.
    target : ndarray, shape (n,)
        Inner products of the decays with the signal.
    slope : ndarray, shape (n,)
        Slope of the cost along each bin, with the sign of a descent.
    right, trial : ndarray, shape (n,)
        Right-hand side after forward substitution, and the solution; in the order of `chosen`.
    chosen : ndarray, shape (n,)
        Bins with amplitudes above 0, in the order in which they were added.
    state : ndarray, shape (n,)
        Whether a bin is at 0, above 0, or at 0 until the next step.
    difference : ndarray, shape (n,)
        Differences between neighbouring amplitudes.
    factor : ndarray, shape (n, n)
        Rows of the Cholesky factor of the normal matrix of the chosen bins.
    residual : ndarray, shape (n_rows,)
        Weighted signal, relative to its largest value, and then the residual.
    """

    x: NDArray[np.float64]
    target: NDArray[np.float64]
    slope: NDArray[np.float64]
    right: NDArray[np.float64]
    trial: NDArray[np.float64]
    chosen: NDArray[np.float64]
    state: NDArray[np.float64]
    difference: NDArray[np.float64]
    factor: NDArray[np.float64]
    residual: NDArray[np.float64]


def scratch_size(n_bins: int, n_rows: int) -> int:
    """Return the length of the scratch of a voxel: the signal, and the parts of `Scratch`."""
    return 8 * n_bins + n_bins * n_bins + 2 * n_rows


@inlined
def scratch_of(work: NDArray[np.float64], n: int, n_rows: int) -> Scratch:
    """Return the parts of the scratch of a voxel."""
    vectors = 8 * n
    last = vectors + n * n
    return Scratch(
        work[:n],
        work[n : 2 * n],
        work[2 * n : 3 * n],
        work[3 * n : 4 * n],
        work[4 * n : 5 * n],
        work[5 * n : 6 * n],
        work[6 * n : 7 * n],
        work[7 * n : 8 * n],
        matrix(work[vectors:last], n, n),
        work[last : last + n_rows],
    )
