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

from ivimkit.kernels.device import device, finite, inlined
from ivimkit.kernels.exponential import exp, exp_single, log, log_single
from ivimkit.kernels.memory import spot
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
    "likelihood_scratch",
    "parameters",
    "subtract_floor",
    "unit_node",
]

N_SLOW_NODES, N_FAST_NODES, N_FRACTION_NODES = 10, 10, 16
"""Nodes of each coordinate; those of the fraction fill whole vectors."""
N_ROWS = N_SLOW_NODES * N_FAST_NODES
N_NODES = N_ROWS * N_FRACTION_NODES
IMPOSSIBLE = -1e300
"""Logarithm of the likelihood outside the bounds."""
MIN_LOG = -32.0
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
    without_floor(whole, (r1, r2, s0 * (1.0 - f), s0 * f), noise, voxel.signal)


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


# Rows of the scratch of `fill_likelihood`, of `LANES` numbers each: rates and products of the fast
# decays of one slow rate; numbers of the pairs, as many rows of each as there are slow rates; the
# slow decay, from the last one on.
LANES = 16
_RATE, _PRODUCT, _CROSS, _NORM = (n * LANES for n in range(4))
_GAIN, _FREE, _SUM, _FAST, _PLANE, _FIRST, _SLOPE, _START, _RISE, _BEND, _LOGIT = (
    (4 + n * N_SLOW_NODES) * LANES for n in range(11)
)
_DECAY = (4 + 11 * N_SLOW_NODES) * LANES
# Share of the squared norm of a decay that is orthogonal to another one, below which they are one.
_MIN_ORTHOGONAL = 1e-10
_FZERO, _FONE, _FTOP = np.float32(0.0), np.float32(1.0), np.float32(-MIN_LOG)


def likelihood_scratch(n_b: int) -> int:
    """Return how many numbers of scratch `fill_likelihood` needs."""
    return _DECAY + n_b


@inlined
def _fill_pairs(
    i: int, f_low: float, f_high: float, p1: float, g11: float, work: NDArray[np.float64]
) -> None:
    """Write the numbers of the pairs of a slow rate, as in `lattice.pairs`.

    With the decays themselves in place of those at the bounds of the fraction.
    """
    for k in range(LANES):
        p2, g12, g22 = work[_PRODUCT + k], work[_CROSS + k], work[_NORM + k]
        h = g12 / g11
        rest = g22 - h * g12
        two = rest > _MIN_ORTHOGONAL * g22
        rest = rest if two else 0.0
        a2 = (p2 - h * p1) / rest if two else 0.0
        a1 = p1 / g11 - h * a2
        free = p1 * p1 / g11 + (p2 - h * p1) * a2
        dp, dg, gg = p2 - p1, 2.0 * (g12 - g11), g11 - 2.0 * g12 + g22
        # The largest gain between the bounds: at the free one, or at the nearer bound.
        s0 = a1 + a2
        inside = two & (f_low * s0 < a2) & (a2 < f_high * s0)
        low, high = p1 + f_low * dp, p1 + f_high * dp
        low = low * low / (g11 + f_low * (dg + f_low * gg)) if low > 0.0 else 0.0
        high = high * high / (g11 + f_high * (dg + f_high * gg)) if high > 0.0 else 0.0
        one = low if low > high else high
        at = i * LANES
        work[spot(_GAIN + at, k)] = free if inside else one
        work[spot(_FREE + at, k)] = free if two else one
        work[spot(_SUM + at, k)], work[spot(_FAST + at, k)] = s0, a2
        work[spot(_PLANE + at, k)] = g11 * rest
        work[spot(_FIRST + at, k)], work[spot(_SLOPE + at, k)] = p1, dp
        work[spot(_START + at, k)] = g11
        work[spot(_RISE + at, k)], work[spot(_BEND + at, k)] = dg, gg


@finite
def _fill_row(
    pair: tuple[
        np.float32,
        np.float32,
        np.float32,
        np.float32,
        np.float32,
        np.float32,
        np.float32,
        np.float32,
    ],
    place: tuple[np.float32, np.float32],
    bounds: tuple[np.float32, np.float32],
    power: np.float32,
    row: NDArray[np.float32],
) -> np.float32:
    """Write the likelihood of a pair of rates at the fractions; return the largest.

    The drop below the best pair is base + (slope f + cut)^2 / q, see `lattice.pairs`.
    """
    base, slope, cut, start, rise, bend, first, lean = pair
    x, step = place
    f_low, f_high = bounds
    best = _FZERO
    for k in range(N_FRACTION_NODES):
        u = np.float32(unit_node(k, N_FRACTION_NODES))
        f = _FONE / (_FONE + exp_single(-x - step * u))
        inverse = _FONE / (start + f * (rise + f * bend))
        line = slope * f + cut
        drop = base + line * line * inverse
        drop = drop if drop > _FZERO else _FZERO
        drop = power * log_single(_FONE + drop) if power > _FZERO else drop
        value = exp_single(-drop) * np.float32(math.sqrt(inverse))
        inside = (first + f * lean > _FZERO) & (f_low <= f) & (f <= f_high) & (drop < _FTOP)
        value = value if inside else _FZERO
        row[k] = value
        best = value if value > best else best
    return best


@device
def fill_likelihood(
    voxel: Voxel,
    box: Box,
    place: Place,
    values: NDArray[np.float32],
    highest: NDArray[np.float64],
    work: NDArray[np.float64],
) -> float:
    """Write the likelihood at all nodes, relative to that of the best pair of rates.

    Parameters
    ----------
    voxel : Voxel
        The voxel, the floor taken off its signal, with options as in
        `ivimkit.kernels.two_decays.lattice.lattice_options` and a dictionary as its table.
    box : Box
        Bounds.
    place : Place
        The lattice.
    values : ndarray of float32, shape (N_ROWS, N_FRACTION_NODES)
        Receives the likelihood, relative to exp of the returned number; a row per pair of rates.
        Rows in which all is negligible are not written.
    highest : ndarray, shape (N_ROWS,)
        Receives the logarithm of the largest value of each row, `IMPOSSIBLE` for those rows.
    work : ndarray, shape (>= likelihood_scratch(n_b),)
        Scratch.

    Returns
    -------
    float
        Logarithm of what the values are relative to, up to a constant.
    """
    b, root_weight, signal = voxel.x[0], voxel.root_weight, voxel.signal
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
    top = 0.0
    for i in range(N_ROWS):
        highest[i] = IMPOSSIBLE
    for i in range(n1):
        u0 = unit_node(i, N_SLOW_NODES) if n1 > 1 else 0.0
        r1 = exp(mean[0] + root[0, 0] * u0) if free[0] > 0 else box.slow_low
        possible = box.slow_low <= r1 <= box.slow_high
        p1 = g11 = 0.0
        for m in range(b.size):
            decay = exp(-b[m] * r1)
            weight = root_weight[m] * root_weight[m]
            work[_DECAY + m] = weight * decay
            p1 += weight * signal[m] * decay
            g11 += weight * decay * decay
        for k in range(LANES):
            u1 = unit_node(k, N_FAST_NODES) if n2 > 1 else 0.0
            work[_RATE + k] = exp(mean[1] + root[1, 0] * u0 + root[1, 1] * u1)
            work[_PRODUCT + k] = work[_CROSS + k] = work[_NORM + k] = 0.0
        if free[1] == 0:
            for k in range(LANES):
                work[_RATE + k] = box.fast_low
        for m in range(b.size):
            bm, weight, slow = b[m], root_weight[m] * root_weight[m], work[_DECAY + m]
            weighted = weight * signal[m]
            for k in range(LANES):
                decay = exp(-bm * work[_RATE + k])
                work[_PRODUCT + k] += weighted * decay
                work[_CROSS + k] += slow * decay
                work[_NORM + k] += weight * decay * decay
        _fill_pairs(i, box.f_low, box.f_high, p1, g11, work)
        for j in range(n2):
            r2 = work[_RATE + j]
            at = _GAIN + i * LANES + j
            # Rounding of a bound is not a step over it.
            inside = free[1] == 0 or box.fast_low <= r2 <= box.fast_high
            if possible and inside and r2 > MIN_RATE_RATIO * r1 and work[at] > 0.0:
                top = max(top, work[at])
                u1 = unit_node(j, N_FAST_NODES) if n2 > 1 else 0.0
                work[_LOGIT + i * LANES + j] = mean[2] + root[2, 0] * u0 + root[2, 1] * u1
            else:
                work[at] = -1.0
    if not top > 0.0:
        return IMPOSSIBLE
    if power > 0.0:
        inverse = 1.0 / (total - top)
    bounds = np.float32(box.f_low), np.float32(box.f_high)
    step = np.float32(root[2, 2])
    if free[2] == 0:
        # One fraction, in all nodes of a row.
        bounds = _FZERO, _FONE
    for i in range(n1):
        for j in range(n2):
            at = i * LANES + j
            gain = work[_GAIN + at]
            drop = (top - gain) * inverse
            least = power * log(1.0 + drop) if power > 0.0 else drop
            if gain < 0.0 or least > -MIN_LOG:
                continue
            scale = math.sqrt(work[_PLANE + at] * inverse)
            base, slope = (top - work[_FREE + at]) * inverse, work[_SUM + at] * scale
            cut = -work[_FAST + at] * scale
            start, rise, bend = work[_START + at], work[_RISE + at], work[_BEND + at]
            first, lean = work[_FIRST + at], work[_SLOPE + at]
            if free[2] == 0:
                f = box.f_low
                start += f * (rise + f * bend)
                base += (slope * f + cut) ** 2 / start
                first += f * lean
                slope = cut = rise = bend = lean = 0.0
            row = i * N_FAST_NODES + j
            pair = (
                np.float32(base), np.float32(slope), np.float32(cut), np.float32(start),
                np.float32(rise), np.float32(bend), np.float32(first), np.float32(lean),
            )  # fmt: skip
            x = np.float32(work[_LOGIT + at])
            largest = _fill_row(pair, (x, step), bounds, np.float32(power), values[row])
            if largest > _FZERO:
                highest[row] = log(float(largest))
    # The parts of the likelihood that are the same at all nodes.
    return -power * log(total - top) if power > 0.0 else (top - total) * inverse
