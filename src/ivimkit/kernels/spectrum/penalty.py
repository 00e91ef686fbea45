"""The penalty of a spectrum: differences between neighbouring amplitudes, and their slopes.

The penalty is the square of mu |L x|, where L gives the amplitudes (order 0), their first
differences (order 1) or their second differences (order 2). L has as many rows as there are
differences inside the range of rates: nothing is assumed about amplitudes beyond its ends, where
decays can no longer be told apart and the range collects them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined

__all__ = ["difference_matrix", "differences", "penalty_slope"]


def difference_matrix(order: int, n: int) -> NDArray[np.float64]:
    """Return L, shape (n - order, n).

    Parameters
    ----------
    order : {0, 1, 2}
        Order of the differences.
    n : int
        Number of bins.
    """
    return np.asarray(np.diff(np.eye(n), n=order, axis=0))


@device
def differences(x: NDArray[np.float64], order: int, out: NDArray[np.float64]) -> float:
    """Write the differences L x, behind them zeros; return the sum of their squares."""
    n = x.size
    total = 0.0
    for i in range(n):
        value = 0.0
        if i < n - order:
            if order == 0:
                value = x[i]
            elif order == 1:
                value = x[i + 1] - x[i]
            else:
                value = x[i] - 2.0 * x[i + 1] + x[i + 2]
        out[i] = value
        total += value * value
    return total


@inlined
def penalty_slope(difference: NDArray[np.float64], order: int, i: int) -> float:
    """Return element i of L' d, where d are the differences: half the slope of their squares."""
    value: float = difference[i]
    if order > 0:
        before: float = difference[i - 1] if i > 0 else 0.0
        value = before - value if order == 1 else value - 2.0 * before
    if order > 1 and i > 1:
        value += difference[i - 2]
    return value
