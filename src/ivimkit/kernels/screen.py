"""First checks of the signal of a voxel: whether it can be fitted, and how much it varies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device

__all__ = ["screen", "spread"]


@device
def screen(root_weight: NDArray[np.float64], signal: NDArray[np.float64]) -> tuple[float, float]:
    """Return the sum of the signals that have a weight, and the number of positive ones.

    The sum is finite only if all of them are: a test for NaN and infinity that becomes vector
    instructions.
    """
    total = positive = 0.0
    for j in range(signal.size):
        value = signal[j] if root_weight[j] > 0.0 else 0.0
        total += value
        positive += 1.0 if value > 0.0 else 0.0
    return total, positive


@device
def spread(root_weight: NDArray[np.float64], signal: NDArray[np.float64]) -> float:
    """Return the weighted sum of squares about the weighted mean."""
    n = total = 0.0
    for j in range(signal.size):
        w = root_weight[j] * root_weight[j]
        n += w
        total += w * (signal[j] if w > 0.0 else 0.0)
    mean = total / n
    square = 0.0
    for j in range(signal.size):
        difference = root_weight[j] * (signal[j] - mean if root_weight[j] > 0.0 else 0.0)
        square += difference * difference
    return square
