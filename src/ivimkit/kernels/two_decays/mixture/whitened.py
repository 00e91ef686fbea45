"""The likelihood of a voxel on a lattice that is laid along the axes of its posterior.

Nodes are eta = m + L u with eta = (ln r1, ln r2, logit f), the mean m and the Cholesky factor L of
the covariance of a posterior, and u evenly spaced on (-REACH, REACH): correlation costs nothing,
and a density as smooth as a Gaussian is summed exactly enough with steps of its own width. A
coordinate that is fixed, or that the model lacks, has one node and is 0 in m and L.

S0 is integrated out, and so is a noise variance that is not known, as in
`ivimkit.kernels.two_decays.lattice.posterior`: with c = <y, phi>, q = <phi, phi> and the gain
c^2/q, the likelihood is q^(-1/2) exp(gain / (2 sigma^2)) or
q^(-1/2) (nu s + <y, y> - gain)^(-(nu + n - 1) / 2).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.two_decays.atoms import moments
from ivimkit.kernels.two_decays.fitted_decays import MIN_RATE_RATIO, Box
from ivimkit.kernels.two_decays.lattice.floor_subtraction import noise_of_floor, without_floor
from ivimkit.kernels.two_decays.lattice.lattice_options import (
    N_VALUES,
    NOISE_DEGREES,
    NOISE_SCALE,
    TAKES_FLOOR_OFF,
)
from ivimkit.kernels.two_decays.lattice.variance import variance_of
from ivimkit.kernels.voxel import Voxel, with_signal

__all__ = [
    "IMPOSSIBLE",
    "MIN_LOG",
    "N_FAST_NODES",
    "N_FRACTION_NODES",
    "N_NODES",
    "N_ROWS",
    "N_SLOW_NODES",
    "REACH",
    "Place",
    "explained",
    "factor",
    "fill_likelihood",
    "parameters",
    "subtract_floor",
    "unit_node",
]

N_SLOW_NODES, N_FAST_NODES, N_FRACTION_NODES = 12, 12, 16
"""Nodes of each coordinate; those of the fraction fill whole vectors."""
N_ROWS = N_SLOW_NODES * N_FAST_NODES
N_NODES = N_ROWS * N_FRACTION_NODES
IMPOSSIBLE = -1e300
"""Logarithm of the likelihood outside the bounds."""
MIN_LOG = -45.0
"""Logarithm of a likelihood, relative to the largest one, that is negligible whatever the prior:
its broad component keeps the sum of a voxel far above it."""
REACH = 4.0
"""Half the side of the lattice, in standard deviations of the posterior that places it."""
# Least standard deviation along an axis of a lattice.
_MIN_SIDE = 1e-3
# Shares of the signal's squared norm that are rounding.
_MIN_NORM_SHARE = 1e-11


class Place(NamedTuple):
    """Where a lattice is: mean and Cholesky factor, and which coordinates vary."""

    mean: NDArray[np.float64]
    root: NDArray[np.float64]
    free: NDArray[np.int64]


@device
def unit_node(i: int, n: int) -> float:
    """Return node i of n in the middle of equal steps."""
    return REACH * ((2.0 * i + 1.0) / n - 1.0)


@device
def factor(
    covariance: NDArray[np.float64],
    free: NDArray[np.int64],
    widened: float,
    root: NDArray[np.float64],
) -> None:
    """Write the Cholesky factor of a covariance, times a number, to `root`.

    The covariance is given as the upper triangle, row by row; rows of coordinates that do not vary
    become 0.
    """
    for i in range(3):
        for j in range(3):
            root[i, j] = 0.0
    position = 0
    for i in range(3):
        for j in range(i, 3):
            # The factor is lower triangular: entry (j, i) of the matrix.
            value = covariance[position]
            position += 1
            if free[i] == 0 or free[j] == 0:
                continue
            for k in range(i):
                value -= root[i, k] * root[j, k]
            if i == j:
                root[i, i] = math.sqrt(max(value, _MIN_SIDE * _MIN_SIDE))
            else:
                root[j, i] = value / root[i, i]
    for i in range(3):
        for j in range(3):
            root[i, j] *= widened


@device
def parameters(mean: NDArray[np.float64], box: Box) -> tuple[float, float, float]:
    """Return slow rate, fast rate and fraction at a point; those that are fixed, of the box."""
    r1 = exp(mean[0]) if box.slow_low < box.slow_high else box.slow_low
    r2 = exp(mean[1]) if box.fast_low < box.fast_high else box.fast_low
    f = 1.0 / (1.0 + exp(-mean[2])) if box.f_low < box.f_high else box.f_low
    return r1, r2, f


@device
def subtract_floor(
    voxel: Voxel,
    measured: NDArray[np.float64],
    box: Box,
    mean: NDArray[np.float64],
    s0: float,
) -> None:
    """Write a measured signal, less what Rician noise adds to its mean, to that of the voxel.

    It is computed at the means of the logarithms, which are below those of the rates.
    """
    whole = with_signal(voxel, measured)
    noise = noise_of_floor(whole, 0.0) if voxel.options[TAKES_FLOOR_OFF] > 0.0 else 0.0
    r1, r2, f = parameters(mean, box)
    without_floor(whole, (r1, r2, s0 * (1.0 - f), s0 * f, 0.0, 0.0), noise, voxel.signal)


@device
def explained(voxel: Voxel, r1: float, r2: float, f: float) -> tuple[float, float]:
    """Return S0 and the squared norm of the signal that rates and a fraction explain."""
    b, root_weight, signal, table = voxel.x[0], voxel.root_weight, voxel.signal, voxel.table
    c = 0.0
    for j in range(b.size):
        decay = (1.0 - f) * exp(-b[j] * r1) + f * exp(-b[j] * r2)
        c += root_weight[j] * root_weight[j] * signal[j] * decay
    g11, _, _ = moments(table, r1 + r1)
    g12, _, _ = moments(table, r1 + r2)
    g22, _, _ = moments(table, r2 + r2)
    q = g11 + f * (2.0 * (g12 - g11) + f * (g11 - 2.0 * g12 + g22))
    return (c / q, c * c / q) if c > 0.0 and q > 0.0 else (0.0, 0.0)


@finite
def _fill_row(
    x: float,
    step: float,
    p: tuple[float, float],
    g: tuple[float, float, float],
    f_low: float,
    f_high: float,
    inverse: float,
    power: float,
    total: float,
    row: NDArray[np.float64],
) -> float:
    """Write the log-likelihood at the fractions of a pair of rates; return the largest."""
    p1, dp = p[0], p[1] - p[0]
    g11, dg, gg = g[0], 2.0 * (g[1] - g[0]), g[0] - 2.0 * g[1] + g[2]
    best = IMPOSSIBLE
    for k in range(N_FRACTION_NODES):
        f = 1.0 / (1.0 + exp(-x - step * unit_node(k, N_FRACTION_NODES)))
        c = p1 + f * dp
        q = g11 + f * (dg + f * gg)
        gain = c * c / q
        value = -power * log(total - gain) if power > 0.0 else (gain - total) * inverse
        value -= 0.5 * log(q)
        value = value if c > 0.0 and f_low <= f and f <= f_high else IMPOSSIBLE
        row[k] = value
        best = max(best, value)
    return best


@device
def fill_likelihood(
    voxel: Voxel,
    box: Box,
    place: Place,
    values: NDArray[np.float64],
    highest: NDArray[np.float64],
) -> float:
    """Write the likelihood at all nodes, relative to the largest.

    Parameters
    ----------
    voxel : Voxel
        The voxel, the floor taken off its signal, with options as in
        `ivimkit.kernels.two_decays.lattice.lattice_options` and a dictionary as its table.
    box : Box
        Bounds.
    place : Place
        The lattice.
    values : ndarray, shape (N_ROWS, N_FRACTION_NODES)
        Receives the likelihood, relative to the largest; a row per pair of rates. Rows in which
        all is negligible are not written.
    highest : ndarray, shape (N_ROWS,)
        Receives the logarithm of the largest value of each row, `IMPOSSIBLE` for those rows.

    Returns
    -------
    float
        Logarithm of the largest likelihood, up to a constant.
    """
    b, root_weight, signal, table = voxel.x[0], voxel.root_weight, voxel.signal, voxel.table
    mean, root, free = place
    norm = 0.0
    for j in range(b.size):
        norm += (root_weight[j] * signal[j]) ** 2
    # Nothing is left of the signal at the best conceivable fit.
    noise = variance_of(voxel.sigma, norm, 0.0, voxel.options)
    inverse, power = noise.inverse, noise.power
    total = norm
    if power > 0.0:
        degrees, scale = voxel.options[NOISE_DEGREES], voxel.options[NOISE_SCALE]
        least = _MIN_NORM_SHARE * norm * (degrees + voxel.options[N_VALUES])
        total = norm + max(degrees * scale, least)
    n1 = N_SLOW_NODES if free[0] > 0 else 1
    n2 = N_FAST_NODES if free[1] > 0 else 1
    best = IMPOSSIBLE
    for i in range(N_ROWS):
        highest[i] = IMPOSSIBLE
    for i in range(n1):
        u0 = unit_node(i, N_SLOW_NODES) if n1 > 1 else 0.0
        r1 = exp(mean[0] + root[0, 0] * u0) if free[0] > 0 else box.slow_low
        if free[0] > 0 and not (box.slow_low <= r1 <= box.slow_high):
            continue
        p1 = 0.0
        for m in range(b.size):
            p1 += root_weight[m] * root_weight[m] * signal[m] * exp(-b[m] * r1)
        g11, _, _ = moments(table, r1 + r1)
        for j in range(n2):
            u1 = unit_node(j, N_FAST_NODES) if n2 > 1 else 0.0
            r2 = box.fast_low
            if free[1] > 0:
                r2 = exp(mean[1] + root[1, 0] * u0 + root[1, 1] * u1)
                if not (box.fast_low <= r2 <= box.fast_high):
                    continue
            if not r2 > MIN_RATE_RATIO * r1:
                continue
            p2 = 0.0
            for m in range(b.size):
                p2 += root_weight[m] * root_weight[m] * signal[m] * exp(-b[m] * r2)
            g12, _, _ = moments(table, r1 + r2)
            g22, _, _ = moments(table, r2 + r2)
            row = i * N_FAST_NODES + j
            x, step, f_low, f_high = 0.0, 0.0, 0.0, 1.0
            products, norms = (p1, p2), (g11, g12, g22)
            if free[2] > 0:
                x = mean[2] + root[2, 0] * u0 + root[2, 1] * u1
                step, f_low, f_high = root[2, 2], box.f_low, box.f_high
            else:
                # One fraction: two equal decays, so that it makes no difference in a row.
                f = box.f_low
                q = g11 + f * (2.0 * (g12 - g11) + f * (g11 - 2.0 * g12 + g22))
                products, norms = (p1 + f * (p2 - p1), p1 + f * (p2 - p1)), (q, q, q)
            highest[row] = _fill_row(
                x, step, products, norms, f_low, f_high, inverse, power, total, values[row]
            )
            best = max(best, highest[row])
    for row in range(N_ROWS):
        if highest[row] > best + MIN_LOG:
            _exponentiate(best, values[row])
            highest[row] -= best
        else:
            highest[row] = IMPOSSIBLE
    return best


@finite
def _exponentiate(best: float, row: NDArray[np.float64]) -> None:
    """Make likelihoods of logarithms, relative to the largest one."""
    for k in range(N_FRACTION_NODES):
        off = row[k] - best
        row[k] = exp(off) if off > MIN_LOG else 0.0
