"""The windows of a spectrum: share, mean rate, width and detection of each, and its peaks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.spectrum.active_set import forward
from ivimkit.kernels.spectrum.layout import Scratch

__all__ = ["LEAST_PEAK", "count_peaks", "moments", "variance_of_sum", "variance_of_sum_dual"]

LEAST_PEAK = 0.01
"""A peak with a smaller share of the spectrum is not counted."""


@inlined
def moments(
    x: NDArray[np.float64], log_rate: NDArray[np.float64], first: int, end: int
) -> tuple[float, float, float]:
    """Return the sum of the amplitudes of a window, and mean and sd of ln rate."""
    total, mean = 0.0, 0.0
    for i in range(first, end):
        total += x[i]
        mean += x[i] * log_rate[i]
    if not total > 0.0:
        return 0.0, 0.0, 0.0
    mean /= total
    spread = 0.0
    for i in range(first, end):
        away = log_rate[i] - mean
        spread += x[i] * away * away
    return total, mean, math.sqrt(spread / total)


@device
def variance_of_sum(one: Scratch, m: int, first: int, end: int) -> float:
    """Return the variance of the sum of the amplitudes of a window, per variance of the noise.

    The penalty is a normal prior of the differences, with the variance sigma^2 / mu^2: the
    covariance of the amplitudes above 0 is sigma^2 times the inverse of their normal matrix A, and
    with the Cholesky factor L and the vector s that is 1 in the window the variance of the sum is
    s' A^-1 s = |L^-1 s|^2.
    """
    total = 0.0
    for a in range(m):
        inside = first <= int(one.chosen[a]) < end
        value = forward(one, a, 1.0 if inside else 0.0, one.trial)
        one.trial[a] = value
        total += value * value
    return total


@device
def variance_of_sum_dual(one: Scratch, m: int, spread: float, sums: NDArray[np.float64]) -> float:
    """Return the same from the bins at 0.

    With the inverse G of the normal matrix of all bins and the bins Z at 0, the inverse of that of
    the others is G - G_Z (G_ZZ)^-1 G_Z': the variance is s' G s - |L^-1 (G s)_Z|^2 with the
    Cholesky factor L of G_ZZ.

    Parameters
    ----------
    one : Scratch
        As `ivimkit.kernels.spectrum.active_set.solve_dual` leaves it.
    m : int
        Number of bins at 0.
    spread : float
        s' G s.
    sums : ndarray, shape (n,)
        G s.
    """
    total = spread
    for a in range(m):
        value = forward(one, a, sums[int(one.chosen[a])], one.trial)
        one.trial[a] = value
        total -= value * value
    return max(total, 0.0)


@device
def count_peaks(x: NDArray[np.float64]) -> int:
    """Return the number of peaks: runs of amplitudes above 0, cut where they begin to rise again.

    The lowest bin between two peaks belongs to the slower one.
    """
    whole = 0.0
    for i in range(x.size):
        whole += x[i]
    count, own, before, falls = 0, 0.0, 0.0, False
    for i in range(x.size):
        value = x[i]
        if not value > 0.0 or (falls and value > before):
            count += 1 if own > 0.0 and own >= LEAST_PEAK * whole else 0
            own, falls = 0.0, False
        elif value < before:
            falls = True
        own += value
        before = value
    return count + (1 if own > 0.0 and own >= LEAST_PEAK * whole else 0)
