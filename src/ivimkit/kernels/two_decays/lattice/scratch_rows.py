"""The rows of the scratch of a lattice: flat arrays, as constant places let loops be vectors.

Where two rows begin at constants, the compiler sees that they do not overlap and does not check
that at run time. There are rows of `ROW` numbers in double precision, in which all is that decides
where the lattice is, and rows in single precision for the sums over its nodes (`single_rows`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CROSS_PRODUCT",
    "FAST_COORDINATE",
    "FAST_DECAY",
    "FAST_KNOT",
    "FAST_MARGINAL",
    "FAST_NORM",
    "FAST_PART",
    "FAST_PLACE",
    "FAST_PRODUCT",
    "FAST_RATE",
    "FAST_STEP",
    "FRACTION",
    "FRACTION_KNOT",
    "FRACTION_MARGINAL",
    "FRACTION_PART",
    "FRACTION_STEP",
    "LANES",
    "LOGARITHMS",
    "LOGIT",
    "MAX_NODES",
    "N_DECAY_COLUMNS",
    "N_NUMBERS",
    "ROW",
    "SLOW_COORDINATE",
    "SLOW_KNOT",
    "SLOW_MARGINAL",
    "SLOW_NORM",
    "SLOW_PART",
    "SLOW_PLACE",
    "SLOW_PRODUCT",
    "SLOW_RATE",
    "SLOW_STEP",
    "WEIGHT",
    "WEIGHTED",
    "Room",
]

LANES = 16
"""Nodes that loops take at a time; numbers of nodes are multiples of it, or 1."""
ROW = 32
"""Numbers per row, a multiple of `LANES`."""
MAX_NODES = ROW
"""Nodes of an axis at most."""
# Rates: place on the axis (r1, ln r2), rate, product of its decay with the signal, squared norm,
# coordinate of the sums; position among the knots of the prior (index and part of the way to the
# next), length of the step.
SLOW_PLACE, SLOW_RATE, SLOW_PRODUCT, SLOW_NORM, SLOW_COORDINATE = (n * ROW for n in range(5))
FAST_PLACE, FAST_RATE, FAST_PRODUCT, FAST_NORM, FAST_COORDINATE = (n * ROW for n in range(5, 10))
SLOW_KNOT, SLOW_PART, SLOW_STEP, FAST_KNOT, FAST_PART, FAST_STEP = (n * ROW for n in range(10, 16))
FRACTION, LOGIT, FRACTION_KNOT, FRACTION_PART, FRACTION_STEP = (n * ROW for n in range(16, 21))
"""Rows of the fraction: the fraction itself, ln(f / (1 - f)), and as for the rates."""
SLOW_MARGINAL, FAST_MARGINAL, FRACTION_MARGINAL = (n * ROW for n in range(21, 24))
"""Rows of the marginals of slow rate, logarithm of the fast rate and fraction."""
LOGARITHMS = 24 * ROW
"""Rows for the logarithms of a marginal."""
CROSS_PRODUCT = 26 * ROW
"""Products of each slow with each fast decay."""
N_NUMBERS = CROSS_PRODUCT + MAX_NODES * ROW
"""Numbers in double precision, without the decays."""
FAST_DECAY, WEIGHT, WEIGHTED, N_DECAY_COLUMNS = ROW, 2 * ROW, 2 * ROW + 1, 2 * ROW + 8
"""Columns of the array of decays, a row per b-value: slow decays, fast decays, the weight, that
times the signal."""


class Room(NamedTuple):
    """The scratch of a lattice.

    Parameters
    ----------
    rows : ndarray, shape (N_NUMBERS,)
        Rows of `ROW` numbers, at the places above.
    decays : ndarray, shape (n_b, N_DECAY_COLUMNS)
        Decays; apart from the rows, so that the compiler can check at run time that the two do not
        overlap.
    single : ndarray of float32
        See `single_rows`.
    """

    rows: NDArray[np.float64]
    decays: NDArray[np.float64]
    single: NDArray[np.float32]
