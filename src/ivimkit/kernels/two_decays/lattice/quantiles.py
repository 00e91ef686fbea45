"""Quantiles, mode, spread and information of the marginals on a lattice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import log
from ivimkit.kernels.two_decays.lattice.axes import Axis, node
from ivimkit.kernels.two_decays.lattice.scratch_rows import LANES, LOGARITHMS, ROW

__all__ = ["bits_gained", "mode", "quantile", "write_spread"]

# Steps of a search for the place of a quantile inside a step of the lattice.
_STEPS = 6
_LOG2_E = 1.4426950408889634
_LEAST_SHARE = 1e-20


@device
def _edge(row: int, n: int, i: int, scratch: NDArray[np.float64]) -> float:
    """Return the density where steps i - 1 and i meet, in units of one step.

    It is the slope of the polynomial of the fourth degree through the cumulative masses of two
    steps on either side, (7 (m_-1 + m_0) - m_-2 - m_1) / 12; at the ends, of the third degree
    through those of the first three steps, (11 m_0 - 7 m_1 + 2 m_2) / 6 and
    (2 m_0 + 5 m_1 - m_2) / 6.
    """
    if n < 4:
        middle: float = 0.5 * (scratch[row + max(i - 1, 0)] + scratch[row + min(i, n - 1)])
        return middle
    if i < 2 or i > n - 2:
        first, way = (row, 1) if i < 2 else (row + n - 1, -1)
        m0, m1, m2 = scratch[first], scratch[first + way], scratch[first + 2 * way]
        if i == 0 or i == n:
            end: float = (11.0 * m0 - 7.0 * m1 + 2.0 * m2) / 6.0
            return end
        second: float = (2.0 * m0 + 5.0 * m1 - m2) / 6.0
        return second
    at = row + i
    inner: float = 7.0 * (scratch[at - 1] + scratch[at]) - scratch[at - 2] - scratch[at + 1]
    return inner / 12.0


@device
def quantile(row: int, n: int, axis: Axis, share: float, scratch: NDArray[np.float64]) -> float:
    """Return the point below which a marginal has the share `share` of its mass.

    The mass up to the ends of the steps is known; between them it follows the cubic whose slopes
    at both ends are the densities there (`_edge`): Hermite's, with the values 0 and mass and the
    slopes left and right, mass x^2 (3 - 2 x) + left x (1 - x)^2 - right x^2 (1 - x).
    """
    total = 0.0
    for i in range(n):
        total += scratch[row + i]
    wanted = share * total
    i = 0
    while i < n - 1 and wanted > scratch[row + i]:
        wanted -= scratch[row + i]
        i += 1
    mass = scratch[row + i]
    # It is monotonic if its end slopes are at most three times its mean slope (Fritsch, Carlson).
    left = min(max(_edge(row, n, i, scratch), 0.0), 3.0 * mass)
    right = min(max(_edge(row, n, i + 1, scratch), 0.0), 3.0 * mass)
    # Newton's method, halving the range that remains where a step leaves it.
    first, last = 0.0, 1.0
    x = wanted / mass if mass > 0.0 else 0.5
    for _ in range(_STEPS):
        y = 1.0 - x
        off = mass * x * x * (3.0 - 2.0 * x) + left * x * y * y - right * x * x * y - wanted
        slope = 6.0 * mass * x * y + left * y * (y - 2.0 * x) - right * x * (2.0 * y - x)
        if off < 0.0:
            first = x
        else:
            last = x
        ahead = x - off / slope if slope > 0.0 else first
        x = ahead if first <= ahead and ahead <= last else 0.5 * (first + last)
    return node(axis, (i + x) / n)


@device
def mode(row: int, n: int, axis: Axis, scratch: NDArray[np.float64]) -> float:
    """Return where a density is highest, by the parabola through its three highest nodes."""
    best = 0
    for i in range(n):
        if scratch[row + i] > scratch[row + best]:
            best = i
    shift = 0.0
    if 0 < best < n - 1:
        left, here, right = scratch[row + best - 1], scratch[row + best], scratch[row + best + 1]
        curve = 2.0 * here - left - right
        shift = 0.5 * (right - left) / curve if curve > 0.0 else 0.0
    elif n > 1:
        shift = -0.5 if best == 0 else 0.5
    return node(axis, (best + 0.5 + shift) / n)


@device
def write_spread(
    row: int,
    n: int,
    axis: Axis,
    sd: float,
    at: int,
    out: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> None:
    """Write standard deviation and ends of the 95 % and the 50 % interval to out[at]."""
    out[at] = sd
    out[at + 1] = quantile(row, n, axis, 0.025, scratch)
    out[at + 2] = quantile(row, n, axis, 0.975, scratch)
    out[at + 3] = quantile(row, n, axis, 0.25, scratch)
    out[at + 4] = quantile(row, n, axis, 0.75, scratch)


@device
def bits_gained(
    row: int,
    n: int,
    place: int,
    prior: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> float:
    """Return the Kullback-Leibler divergence of a marginal from that of the prior, in bits.

    It is sum p log2(p / p_0) over the steps, with the prior's mass p_0 of a step: its density at
    the node, interpolated between the knots, times the length of the step. Both have the weights
    of `weigh_ends`, so that p / p_0 is the ratio of the densities at the node. The logarithms are
    taken of whole rows.
    """
    total = 0.0
    for i in range(n):
        total += scratch[row + i]
    share, ratio = LOGARITHMS, LOGARITHMS + ROW
    for i in range(ROW):
        scratch[share + i], scratch[ratio + i] = 0.0, 1.0
    for i in range(n):
        index, part = int(scratch[place + i]), scratch[place + ROW + i]
        expected = prior[index]
        if part > 0.0:
            expected += part * (prior[index + 1] - expected)
        expected *= scratch[place + 2 * ROW + i]
        mass = scratch[row + i] / total
        # What is less than a rounding of the whole adds nothing.
        if mass > _LEAST_SHARE and expected > 0.0:
            scratch[share + i], scratch[ratio + i] = mass, mass / expected
    bits = 0.0
    for block in range(0, ROW, LANES):
        for i in range(LANES):
            bits += scratch[share + block + i] * log(scratch[ratio + block + i])
    return max(bits * _LOG2_E, 0.0)
