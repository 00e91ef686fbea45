"""The axes of a lattice, whose nodes are dense where the posterior is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.two_decays.atoms import moments

__all__ = ["Axis", "Extent", "axis_between", "fill_rates", "node", "place_among_knots"]

# Width of an axis over its length from which on its steps are practically equal.
_MAX_RELATIVE_WIDTH = 30.0
Axis = tuple[float, float, float, float]
Extent = tuple[float, float, float, float, float, float]
"""Lower and upper end of slow rate, logarithm of the fast rate, and fraction."""


@device
def axis_between(low: float, high: float, centre: float, width: float) -> Axis:
    """Return a smooth change of variable x(u) = centre + width sinh(u) for the range of x.

    Equal steps of u are dense in x around the centre and increasingly wide away from it, so that
    the lattice resolves both a narrow peak and its long tail; with an infinite width they are
    equal in x. As dx/du = width cosh(u), that is the length of a step (`place_among_knots`).
    """
    width = min(width, _MAX_RELATIVE_WIDTH * (high - low)) if high > low else 1.0
    first = math.asinh((low - centre) / width)
    last = math.asinh((high - centre) / width)
    return centre, width, first, last


@device
def node(axis: Axis, u: float) -> float:
    """Return x at the share u of the axis, from 0 at its lower end to 1 at its upper end."""
    centre, width, first, last = axis
    return centre + width * math.sinh(first + u * (last - first))


@device
def fill_rates(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    axis: Axis,
    n: int,
    logarithmic: bool,
    row: int,
    scratch: NDArray[np.float64],
    table: NDArray[np.float64],
) -> None:
    """Write n rates in the middle of equal steps, their products with the signal, their norms.

    A node in the middle of every step makes the sum the midpoint rule.
    """
    for i in range(n):
        x = node(axis, (i + 0.5) / n)
        rate = exp(x) if logarithmic else x
        total = 0.0
        for j in range(b.size):
            total += root_weight[j] * root_weight[j] * signal[j] * exp(-b[j] * rate)
        norm, _, _ = moments(table, rate + rate)
        scratch[row, i] = rate
        scratch[row + 1, i] = total
        scratch[row + 2, i] = norm


@device
def _knot(knots: NDArray[np.float64], x: float) -> tuple[int, float]:
    """Return the knot at or below x, and the position of x between it and the next one, 0 to 1."""
    if knots.size < 2:
        return 0, 0.0
    low, high = 0, knots.size - 1
    while high - low > 1:
        middle = (low + high) // 2
        if knots[middle] <= x:
            low = middle
        else:
            high = middle
    part = (x - knots[low]) / (knots[high] - knots[low])
    return low, min(max(part, 0.0), 1.0)


@device
def place_among_knots(
    knots: NDArray[np.float64], axis: Axis, n: int, row: int, scratch: NDArray[np.float64]
) -> None:
    """Write the position of each node among the knots of the prior, and the length of its step."""
    _, width, first, last = axis
    step = (last - first) / n
    for i in range(n):
        index, part = _knot(knots, node(axis, (i + 0.5) / n))
        scratch[row, i] = index
        scratch[row + 1, i] = part
        long = width * math.cosh(first + (i + 0.5) * step) * step
        scratch[row + 2, i] = long if last > first else 1.0 / n
