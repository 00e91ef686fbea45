"""Quantiles, mode, spread and information of the marginals on a lattice."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.two_decays.lattice.axes import Axis, node

__all__ = ["bits_gained", "mode", "quantile", "write_spread"]


@device
def quantile(row: int, n: int, axis: Axis, share: float, scratch: NDArray[np.float64]) -> float:
    """Return the point below which a marginal has the share `share` of its mass.

    The mass up to the ends of the steps is known; between them it follows the cubic whose slopes
    at both ends are the densities there, the means of the two steps that meet: Hermite's, with the
    values 0 and mass and the slopes left and right,
    mass x^2 (3 - 2 x) + left x (1 - x)^2 - right x^2 (1 - x).
    """
    total = 0.0
    for i in range(n):
        total += scratch[row, i]
    wanted = share * total
    below = 0.0
    i = 0
    while i < n - 1 and below + scratch[row, i] < wanted:
        below += scratch[row, i]
        i += 1
    mass = scratch[row, i]
    left = 0.5 * (mass + scratch[row, i - 1]) if i > 0 else mass
    right = 0.5 * (mass + scratch[row, i + 1]) if i < n - 1 else mass
    # It is monotonic if its end slopes are at most three times its mean slope (Fritsch, Carlson).
    left, right = min(left, 3.0 * mass), min(right, 3.0 * mass)
    first, last = 0.0, 1.0
    for _ in range(24):
        x = 0.5 * (first + last)
        y = 1.0 - x
        here = mass * x * x * (3.0 - 2.0 * x) + left * x * y * y - right * x * x * y
        if below + here < wanted:
            first = x
        else:
            last = x
    return node(axis, (i + 0.5 * (first + last)) / n)


@device
def mode(row: int, n: int, axis: Axis, scratch: NDArray[np.float64]) -> float:
    """Return where a density is highest, by the parabola through its three highest nodes."""
    best = 0
    for i in range(n):
        if scratch[row, i] > scratch[row, best]:
            best = i
    shift = 0.0
    if 0 < best < n - 1:
        left, here, right = scratch[row, best - 1], scratch[row, best], scratch[row, best + 1]
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
    the node, interpolated between the knots, times the length of the step.
    """
    total = 0.0
    for i in range(n):
        total += scratch[row, i]
    bits = 0.0
    for i in range(n):
        share = scratch[row, i] / total
        index, part = int(scratch[place, i]), scratch[place + 1, i]
        expected = prior[index]
        if part > 0.0:
            expected += part * (prior[index + 1] - expected)
        if share > 0.0 and expected > 0.0:
            bits += share * math.log2(share / (expected * scratch[place + 2, i]))
    return max(bits, 0.0)
