"""interleaved: an order of volumes in which time and b-value are hardly correlated."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["interleaved"]


def interleaved(b: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order in which to acquire volumes, the first of them at the lowest b-value.

    When the signal drifts during a scan, b-values in ascending order look like a faster decay, and
    no fit can tell the two apart. In this order the repeats of a b-value are spread over the scan,
    and b is hardly correlated with time: among all orders that step through the sorted volumes
    with a fixed stride, and return to the beginning at the end, it is the one with the lowest
    correlation of ln(1 + b) and of b with time.

    Parameters
    ----------
    b : ndarray, shape (n,)
        b-value of each volume, in s/mm^2.

    Returns
    -------
    ndarray of int, shape (n,)
        Positions in `b`.

    Examples
    --------
    >>> import numpy as np
    >>> b = np.array([0.0, 0, 10, 50, 800, 800, 800])
    >>> b[interleaved(b)].tolist()
    [0.0, 800.0, 50.0, 0.0, 800.0, 800.0, 10.0]
    """
    ascending = np.argsort(b, kind="stable")
    n = len(b)
    orders = [ascending[(stride * np.arange(n)) % n] for stride in _strides(n)]
    return min(orders, key=lambda order: _correlation(b[order]))


def _strides(n: int) -> list[int]:
    """Return the strides that reach every one of n positions; without neighbours, if possible."""
    coprime = [stride for stride in range(1, max(n, 2)) if math.gcd(stride, n) == 1]
    return [stride for stride in coprime if 1 < stride < n - 1] or coprime


def _correlation(b: NDArray[np.float64]) -> float:
    """Return the higher one of the correlations of b and of ln(1 + b) with time."""
    if len(b) < 3 or b.min() == b.max():
        return 0.0
    time = np.arange(len(b))
    found = [abs(float(np.corrcoef(time, form)[0, 1])) for form in (b, np.log1p(b))]
    return round(max(found), 9)
