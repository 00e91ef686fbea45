"""Weighted straight line through ln S(b): the closed-form mono-exponential fit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import log

__all__ = ["log_linear", "mean_signal"]

# Least signal, a.u., of which a logarithm is taken: `log` is for normal numbers.
_MIN_SIGNAL = 1e-100


@device
def log_linear(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    b_from: float,
    b_to: float,
    rate_low: float,
    rate_high: float,
) -> tuple[float, float, bool]:
    """Fit ln S = ln A - b r with weights S^2 times the b-value's own weight.

    As d ln S = dS / S, noise of the standard deviation sigma in S is sigma / S in ln S, and
    weights are inverse variances: S^2 restores the equal noise of the b-values. Values that are
    not positive get the weight 0.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    b_from, b_to : float
        Range of b-values used, both ends included.
    rate_low, rate_high : float
        Bounds of the rate in mm^2/s.

    Returns
    -------
    amplitude, rate : float
        A and r.
    ok : bool
        False if fewer than two b-values had a positive signal.
    """
    n = sx = sy = sxx = sxy = 0.0
    for j in range(b.size):
        used = root_weight[j] > 0.0 and b_from <= b[j] <= b_to and signal[j] > _MIN_SIGNAL
        level = signal[j] if used else 1.0
        x = b[j]
        y = log(level)
        w = root_weight[j] * level
        w = w * w if used else 0.0
        n += w
        sx += w * x
        sy += w * y
        sxx += w * x * x
        sxy += w * x * y
    # The normal equations of a weighted line, n ln A - sx r = sy and sx ln A - sxx r = sxy, have
    # the determinant `spread`; bounds on r leave A as the best one for that r.
    spread = n * sxx - sx * sx
    if not spread > 1e-10 * n * sxx:
        return math.nan, math.nan, False
    rate = min(max((sx * sy - n * sxy) / spread, rate_low), rate_high)
    return math.exp((sy + rate * sx) / n), rate, True


@device
def mean_signal(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    at: float,
) -> float:
    """Return the weighted mean signal at one b-value; NaN if that has no weight."""
    n = total = 0.0
    for j in range(b.size):
        w = root_weight[j] * root_weight[j] if b[j] == at else 0.0
        n += w
        total += w * (signal[j] if w > 0.0 else 0.0)
    return total / n
