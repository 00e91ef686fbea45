"""The axes of a lattice, whose nodes are dense where the posterior is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.memory import spot
from ivimkit.kernels.two_decays.lattice.scratch_rows import LANES, ROW

__all__ = [
    "Axis",
    "Extent",
    "axis_between",
    "fill_axis",
    "is_open",
    "masses",
    "node",
    "place_among_knots",
    "weigh_ends",
]

# Width of an axis over its length from which on its steps are practically equal.
_MAX_RELATIVE_WIDTH = 30.0
Axis = tuple[float, float, float, float]
Extent = tuple[float, float, float, float, float, float]
"""Lower and upper end of slow rate, logarithm of the fast rate, and fraction."""


@inlined
def _inverse_sinh(x: float) -> float:
    size = abs(x)
    value = log(size + math.sqrt(size * size + 1.0))
    return value if x >= 0.0 else -value


@device
def axis_between(low: float, high: float, centre: float, width: float) -> Axis:
    """Return a smooth change of variable x(u) = centre + width sinh(u) for the range of x.

    Equal steps of u are dense in x around the centre and increasingly wide away from it, so that
    the lattice resolves both a narrow peak and its long tail; with an infinite width they are
    equal in x. As dx/du = width cosh(u), that is the length of a step (`fill_axis`).
    """
    width = min(width, _MAX_RELATIVE_WIDTH * (high - low)) if high > low else 1.0
    return (
        centre,
        width,
        _inverse_sinh((low - centre) / width),
        _inverse_sinh((high - centre) / width),
    )


@inlined
def is_open(axis: Axis) -> bool:
    """Return whether the axis has a length: otherwise it has one node."""
    return axis[2] < axis[3]


@device
def node(axis: Axis, u: float) -> float:
    """Return x at the share u of the axis, from 0 at its lower end to 1 at its upper end."""
    centre, width, first, last = axis
    grown = exp(first + u * (last - first))
    return centre + 0.5 * width * (grown - 1.0 / grown)


@inlined
def fill_axis(axis: Axis, n: int, place: int, step: int, scratch: NDArray[np.float64]) -> None:
    """Write the middles of n equal steps of u and their lengths in x, from two places on.

    A node in the middle of every step makes the sum the midpoint rule. An axis without a length
    gets equal nodes and lengths 1.
    """
    centre, width, first, last = axis
    opened = last > first
    each = (last - first) / n
    for block in range(0, n, LANES):
        for k in range(LANES):
            grown = exp(first + (block + k + 0.5) * each)
            shrunk = 1.0 / grown
            scratch[spot(place + block, k)] = centre + 0.5 * width * (grown - shrunk)
            length = 0.5 * width * (grown + shrunk) * each
            scratch[spot(step + block, k)] = length if opened else 1.0


@inlined
def _end_weight(i: int, n: int) -> float:
    """Return the weight of node i in a sum over n steps at whose ends there is still something.

    The midpoint rule with steps of 1 leaves out (F'(b) - F'(a)) / 24 for a density F from a to b,
    and from the first three nodes F'(a) = -2 F_0 + 3 F_1 - F_2.
    """
    if n < 6:
        return 1.0
    k = min(i, n - 1 - i)
    return 13.0 / 12.0 if k == 0 else (7.0 / 8.0 if k == 1 else (25.0 / 24.0 if k == 2 else 1.0))


@device
def weigh_ends(n: int, row: int, scratch: NDArray[np.float64]) -> None:
    """Multiply the lengths of the first and the last steps by their weights in a sum."""
    for i in range(n):
        scratch[row + i] *= _end_weight(i, n)


@device
def masses(n: int, row: int, step: int, scratch: NDArray[np.float64]) -> None:
    """Turn a marginal with the weights of `weigh_ends` into the masses of its steps.

    The mass of a step is the density in its middle plus 1/24 of the curvature there. The lengths
    of the steps lose their weights, too.
    """
    for i in range(n):
        scratch[row + i] /= _end_weight(i, n)
        scratch[step + i] /= _end_weight(i, n)
    if n < 6:
        return
    left, here, right = scratch[row], scratch[row + 1], scratch[row + 2]
    bend = left - 2.0 * here + right
    # Where the density is dying away, the curvature is that of steps further inside.
    scratch[row] = left + min(max(bend / 24.0, -0.5 * left), 0.5 * left)
    for i in range(1, n - 1):
        right = scratch[row + i + 1]
        bend = left - 2.0 * here + right
        scratch[row + i] = max(here + bend / 24.0, 0.0)
        left, here = here, right
    scratch[row + n - 1] = here + min(max(bend / 24.0, -0.5 * here), 0.5 * here)


@device
def place_among_knots(
    knots: NDArray[np.float64], n: int, place: int, row: int, scratch: NDArray[np.float64]
) -> None:
    """Write the knot at or below each of n nodes, and its part of the way to the next, 0 to 1.

    Nodes ascend, so the search goes on from the knot of the one before.

    Parameters
    ----------
    knots : ndarray
        Positions at which the density of a prior is given.
    n : int
        Number of nodes.
    place, row : int
        Where the nodes are in the scratch, and where the knots are written; the parts go to the
        row behind them.
    scratch : ndarray
        Scratch.
    """
    low = 0
    for i in range(n):
        x = scratch[place + i]
        part = 0.0
        if knots.size > 1:
            while low < knots.size - 2 and knots[low + 1] <= x:
                low += 1
            part = min(max((x - knots[low]) / (knots[low + 1] - knots[low]), 0.0), 1.0)
        scratch[row + i] = low
        scratch[row + ROW + i] = part
