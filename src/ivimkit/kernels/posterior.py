"""The posterior of a two-pool signal on a lattice that is laid where the posterior is.

For given rates r1, r2 and fraction f the signal is S0 phi with phi = (1-f) e1 + f e2, so S0 is
integrated out in closed form: with c = <y, phi> and q = <phi, phi> the likelihood of (r1, r2, f)
is q^(-1/2) exp((c^2/q - <y, y>) / (2 sigma^2)). A noise variance that is not known has a scaled
inverse chi-squared prior (no degrees of freedom: Jeffreys' prior) and is integrated out, too:
the exponential becomes a power. Inner products of decays come from the series of the protocol
(`ivimkit.kernels.atoms.moments`), so a lattice anywhere costs no more than a fixed one.

The lattice is uniform in r1, ln r2 and f. On a smooth density that has died away at its ends such
a rule converges exponentially once the spacing is below the width of the density.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.atoms import moments
from ivimkit.kernels.device import device, finite
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.noise_floor import N_FLOOR, excess
from ivimkit.kernels.pools import EXTRA
from ivimkit.kernels.two_pools import APART, Box, Fit, squared_residual
from ivimkit.status import FitStatus

__all__ = [
    "SCRATCH",
    "WIDTH",
    "integrate",
    "locate",
    "posterior_voxel",
    "without_floor",
]

# A flag of FitStatus, which stands in a layer that knows no numba.
_NO_SIGNAL = int(FitStatus.NO_SIGNAL)

WIDTH = 32
"""Numbers per row of scratch."""
# Nodes of the fraction.
_FRACTIONS = 24
# Nodes of the rates where the best fit is a good guide, and where there may be a long tail.
_NODES = 24
_MANY_NODES = 32
# Nodes of the lattices that look for the posterior.
_COARSE = 12
# The posterior is cut off where its profile has fallen by exp(-TAIL) from the best fit.
TAIL = 10.5
_MAX_LEVELS = 16
# A box that keeps more than this share of its area is not made smaller any more.
_ENOUGH = 0.7
# The box to begin with, in units of what the curvature at the best fit says.
_FIRST = 1.3
_FAR = 4.0
# Squared amplitude over its variance above which that curvature is worth listening to.
_CLEAR = 40.0
# An axis whose width is this many times its length is straight.
_STRAIGHT = 30.0
# Distance of the quartiles of a normal distribution, in standard deviations.
_QUARTILES = 1.349
# Relative determinant below which two decays are one.
_PARALLEL = 1e-10
# The range of the fraction is computed from a parabola; this much wider it is safe.
_MARGIN = 1.15

# Rows of scratch: rates, their products with the signal, norms, position among the knots of the
# prior (index and part of the way to the next), lengths of the steps; marginals.
_R1, _P1, _G1, _I1, _T1, _S1 = 0, 1, 2, 3, 4, 5
_R2, _P2, _G2, _I2, _T2, _S2 = 6, 7, 8, 9, 10, 11
_F, _I3, _T3, _S3 = 12, 13, 14, 15
M1, M2, M3 = 16, 17, 18
"""Rows of the marginals of slow rate, logarithm of the fast rate and fraction."""
_VALUE = 19
SUMS = 20
"""Row of the sums that `integrate` returns."""
_CROSS = 21
_LOW = _CROSS + _MANY_NODES
_HIGH = _LOW + _MANY_NODES
SCRATCH = _HIGH + _MANY_NODES
"""Number of rows of scratch."""

Axis = tuple[float, float, float, float]
Extent = tuple[float, float, float, float, float, float]
"""Lower and upper end of slow rate, logarithm of the fast rate, and fraction."""


@device
def _axis(low: float, high: float, centre: float, width: float) -> Axis:
    """Return a smooth change of variable x(u) = centre + width sinh(u) for the range of x.

    Equal steps of u are dense around the centre and wider and wider away from it, so that a
    lattice sees a narrow peak and its long tail alike; with an infinite width they are equal.
    """
    width = min(width, _STRAIGHT * (high - low)) if high > low else 1.0
    first = math.asinh((low - centre) / width)
    last = math.asinh((high - centre) / width)
    return centre, width, first, last


@device
def _node(axis: Axis, u: float) -> float:
    """Return x where the share u of the axis has passed."""
    centre, width, first, last = axis
    return centre + width * math.sinh(first + u * (last - first))


@device
def _fill(
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
    """Write n rates in the middle of equal steps, their products with the signal, their norms."""
    for i in range(n):
        x = _node(axis, (i + 0.5) / n)
        rate = exp(x) if logarithmic else x
        total = 0.0
        for j in range(b.size):
            total += root_weight[j] * root_weight[j] * signal[j] * exp(-b[j] * rate)
        norm, _, _ = moments(table, rate + rate)
        scratch[row, i] = rate
        scratch[row + 1, i] = total
        scratch[row + 2, i] = norm


@finite
def _fraction_range(
    p1: float,
    p2: float,
    g11: float,
    g12: float,
    g22: float,
    f_low: float,
    f_high: float,
    limit: float,
) -> tuple[float, float, float]:
    """Return the fractions of a pair of rates whose gain is above the limit, and its best gain.

    If there are none, the lower end is above the upper one.
    """
    c_low = p1 + f_low * (p2 - p1)
    c_high = p1 + f_high * (p2 - p1)
    g1, g2 = g12 - g11, g11 - 2.0 * g12 + g22
    q_low = g11 + f_low * (2.0 * g1 + f_low * g2)
    q_high = g11 + f_high * (2.0 * g1 + f_high * g2)
    at_low = c_low * c_low / q_low if c_low > 0.0 else 0.0
    at_high = c_high * c_high / q_high if c_high > 0.0 else 0.0
    ends = at_low if at_low > at_high else at_high
    det = g11 * g22 - g12 * g12
    a1 = g22 * p1 - g12 * p2
    a2 = g11 * p2 - g12 * p1
    s0 = a1 + a2
    if not (det > _PARALLEL * g11 * g22 and s0 > 0.0):
        return (f_low, f_high, ends) if ends > limit else (1.0, 0.0, ends)
    f = a2 / s0
    top = (a1 * p1 + a2 * p2) / det
    # Around its summit the gain falls with s0^2 det / q; s0 still lacks the division by det.
    fall = s0 * s0 / (det * (g11 + f * (2.0 * g1 + f * g2)))
    half = _MARGIN * math.sqrt((top - limit) / fall) if top > limit else 0.0
    low = f_low if at_low > limit else max(f - half, f_low)
    high = f_high if at_high > limit else min(f + half, f_high)
    gain = top if f_low < f < f_high else ends
    if not gain > limit:
        return 1.0, 0.0, gain
    return low, high, gain


@device
def _summit(left: float, here: float, right: float) -> float:
    """Return how far the parabola through three neighbours rises above the middle one."""
    down_left, down_right = here - left, here - right
    lean = abs(down_left - down_right)
    curve = down_left + down_right
    return 0.125 * lean * lean / curve if lean < 2.0 * curve else 0.0


@device
def _curvature(
    best: tuple[float, float, float, float], table: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the standard deviations of r1, ln r2 and f for a noise variance of 1.

    From the Gauss-Newton matrix of the cost at the best fit, the amplitudes eliminated; infinite
    if it is singular.
    """
    r1, r2, a1, a2 = best
    g11, b11, bb11 = moments(table, r1 + r1)
    g12, b12, bb12 = moments(table, r1 + r2)
    g22, b22, bb22 = moments(table, r2 + r2)
    det = g11 * g22 - g12 * g12
    if not det > _PARALLEL * g11 * g22:
        return math.inf, math.inf, math.inf
    # Slopes of the amplitudes: t_kl = da_k / dr_l with ln r2 for r2.
    k1, k2 = a1, a2 * r2
    t11, t21 = k1 * (g22 * b11 - g12 * b12) / det, k1 * (g11 * b12 - g12 * b11) / det
    t12, t22 = k2 * (g22 * b12 - g12 * b22) / det, k2 * (g11 * b22 - g12 * b12) / det
    h11 = k1 * k1 * bb11 - k1 * (b11 * t11 + b12 * t21)
    h12 = k1 * k2 * bb12 - k1 * (b11 * t12 + b12 * t22)
    h22 = k2 * k2 * bb22 - k2 * (b12 * t12 + b22 * t22)
    s0 = a1 + a2
    w1, w2 = -a2 / (s0 * s0), a1 / (s0 * s0)
    given = (w1 * w1 * g22 - 2.0 * w1 * w2 * g12 + w2 * w2 * g11) / det
    s1, s2 = w1 * t11 + w2 * t21, w1 * t12 + w2 * t22
    determinant = h11 * h22 - h12 * h12
    if h11 > 0.0 and h22 > 0.0 and determinant > _PARALLEL * h11 * h22:
        v11, v12, v22 = h22 / determinant, -h12 / determinant, h11 / determinant
        given += s1 * s1 * v11 + 2.0 * s1 * s2 * v12 + s2 * s2 * v22
        return math.sqrt(v11), math.sqrt(v22), math.sqrt(given)
    if h11 > 0.0 and not h22 > 0.0:
        return 1.0 / math.sqrt(h11), math.inf, math.sqrt(given + s1 * s1 / h11)
    return math.inf, math.inf, math.inf


@device
def _look(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    best1: float,
    log2: float,
    limit: float,
    box: Extent,
    scratch: NDArray[np.float64],
    table: NDArray[np.float64],
) -> tuple[float, float, float, float]:
    """Return the part of a box, in units of its sides, that a coarse lattice cannot exclude."""
    low1, high1, low2, high2, f_low, f_high = box
    n1 = _COARSE if low1 < high1 else 1
    n2 = _COARSE if low2 < high2 else 1
    axis1, axis2 = _axis(low1, high1, low1, math.inf), _axis(low2, high2, low2, math.inf)
    _fill(b, root_weight, signal, axis1, n1, False, _R1, scratch, table)
    _fill(b, root_weight, signal, axis2, n2, True, _R2, scratch, table)
    for i in range(n1):
        for j in range(n2):
            scratch[_CROSS + i, j] = -1e300
            if scratch[_R2, j] > scratch[_R1, i]:
                g12, _, _ = moments(table, scratch[_R1, i] + scratch[_R2, j])
                low, high, gain = _fraction_range(
                    scratch[_P1, i],
                    scratch[_P2, j],
                    scratch[_G1, i],
                    g12,
                    scratch[_G2, j],
                    f_low,
                    f_high,
                    limit,
                )
                scratch[_CROSS + i, j] = gain
                scratch[_LOW + i, j] = low
                scratch[_HIGH + i, j] = high
    first1 = last1 = first2 = last2 = 0
    if n1 > 1:
        first1 = last1 = min(max(int(n1 * (best1 - low1) / (high1 - low1)), 0), n1 - 1)
    if n2 > 1:
        first2 = last2 = min(max(int(n2 * (log2 - low2) / (high2 - low2)), 0), n2 - 1)
    for i in range(n1):
        for j in range(n2):
            here = gain = scratch[_CROSS + i, j]
            if 0 < i < n1 - 1:
                gain += _summit(scratch[_CROSS + i - 1, j], here, scratch[_CROSS + i + 1, j])
            if 0 < j < n2 - 1:
                gain += _summit(scratch[_CROSS + i, j - 1], here, scratch[_CROSS + i, j + 1])
            if gain > limit:
                first1 = min(first1, i)
                last1 = max(last1, i)
                first2 = min(first2, j)
                last2 = max(last2, j)
    return (
        max((first1 - 0.5) / n1, 0.0),
        min((last1 + 1.5) / n1, 1.0),
        max((first2 - 0.5) / n2, 0.0),
        min((last2 + 1.5) / n2, 1.0),
    )


@device
def _bulk(
    top: float,
    inverse: float,
    power: float,
    extent: Extent,
    scratch: NDArray[np.float64],
) -> tuple[float, float, float, float, float, float]:
    """Return medians and widths of r1, ln r2 and f on the coarse lattice of `_look`.

    A width is the range between the quartiles by that of a normal distribution of width 1,
    and not below what the lattice tells apart.
    """
    low1, high1, low2, high2, f_low, f_high = extent
    n1 = _COARSE if low1 < high1 else 1
    n2 = _COARSE if low2 < high2 else 1
    for k in range(WIDTH):
        scratch[M1, k] = scratch[M2, k] = scratch[M3, k] = 0.0
    total = span = 0.0
    scale = _FRACTIONS / (f_high - f_low) if f_low < f_high else 0.0
    for i in range(n1):
        for j in range(n2):
            gain = scratch[_CROSS + i, j]
            if gain <= 0.0 or scratch[_LOW + i, j] > scratch[_HIGH + i, j]:
                continue
            drop = max(top - gain, 0.0) * inverse
            weight = exp(-power * log(1.0 + drop)) if power > 0.0 else exp(-drop)
            if n2 > 1:
                weight *= scratch[_R2, j]
            half = 0.5 * (scratch[_HIGH + i, j] - scratch[_LOW + i, j])
            middle = min(int((scratch[_LOW + i, j] + half - f_low) * scale), _FRACTIONS - 1)
            scratch[M1, i] += weight
            scratch[M2, j] += weight
            scratch[M3, max(middle, 0)] += weight
            total += weight
            span += weight * half
    if not total > 0.0:
        return low1, math.inf, low2, math.inf, f_low, math.inf
    axis1, axis2 = _axis(low1, high1, low1, math.inf), _axis(low2, high2, low2, math.inf)
    axis3 = _axis(f_low, f_high, f_low, math.inf)
    wide1 = _quantile(M1, n1, axis1, 0.75, scratch) - _quantile(M1, n1, axis1, 0.25, scratch)
    wide2 = _quantile(M2, n2, axis2, 0.75, scratch) - _quantile(M2, n2, axis2, 0.25, scratch)
    wide3 = _quantile(M3, _FRACTIONS, axis3, 0.75, scratch) - _quantile(
        M3, _FRACTIONS, axis3, 0.25, scratch
    )
    return (
        _quantile(M1, n1, axis1, 0.5, scratch),
        wide1 / _QUARTILES + 0.3 * (high1 - low1) / n1,
        _quantile(M2, n2, axis2, 0.5, scratch),
        wide2 / _QUARTILES + 0.3 * (high2 - low2) / n2,
        _quantile(M3, _FRACTIONS, axis3, 0.5, scratch),
        wide3 / _QUARTILES + span / (total * math.sqrt(2.0 * TAIL)),
    )


@device
def _widened(
    low: float, high: float, first: float, last: float, least: float, most: float
) -> tuple[float, float]:
    """Return a range that is doubled on the sides that were reached, inside its ends."""
    side = high - low
    return (
        max(low - side, least) if first <= 0.0 else low,
        min(high + side, most) if last >= 1.0 else high,
    )


@device
def locate(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    best1: float,
    best2: float,
    reach1: float,
    reach2: float,
    limit: float,
    extent: Extent,
    scratch: NDArray[np.float64],
    table: NDArray[np.float64],
) -> tuple[float, float, float, float, int]:
    """Return the box of rates outside which no pair explains the signal well enough.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    best1, best2 : float
        Rates of the best fit, mm^2/s.
    reach1, reach2 : float
        How far around the best fit to look first, mm^2/s and in the logarithm.
    limit : float
        Least squared norm of the explained signal that counts.
    extent : tuple of float
        Where to look; equal ends fix a rate.
    scratch : ndarray, shape (SCRATCH, WIDTH)
        Room to work in.
    table : ndarray
        `ivimkit.kernels.atoms.Dictionary.table`.

    Returns
    -------
    tuple
        Ends of the slow rate, ends of the logarithm of the fast rate, number of lattices used.
    """
    least1, most1, least2, most2, f_low, f_high = extent
    log2 = log(best2)
    low1, high1 = max(best1 - reach1, least1), min(best1 + reach1, most1)
    low2, high2 = max(log2 - reach2, least2), min(log2 + reach2, most2)
    if not (low1 < high1 and low2 < high2):
        low1, high1, low2, high2 = least1, most1, least2, most2
    grows = True
    levels = 0
    while levels < _MAX_LEVELS:
        levels += 1
        box = (low1, high1, low2, high2, f_low, f_high)
        first1, last1, first2, last2 = _look(
            b, root_weight, signal, best1, log2, limit, box, scratch, table
        )
        if grows:
            wide1 = _widened(low1, high1, first1, last1, least1, most1)
            wide2 = _widened(low2, high2, first2, last2, least2, most2)
            if wide1 != (low1, high1) or wide2 != (low2, high2):
                low1, high1 = wide1
                low2, high2 = wide2
                continue
            grows = False
        low1, high1 = low1 + first1 * (high1 - low1), low1 + last1 * (high1 - low1)
        low2, high2 = low2 + first2 * (high2 - low2), low2 + last2 * (high2 - low2)
        if (last1 - first1) * (last2 - first2) > _ENOUGH:
            break
    return low1, high1, low2, high2, levels


@device
def _knot(knots: NDArray[np.float64], x: float) -> tuple[int, float]:
    """Return the knot at or below x, and how far x is on the way to the next one."""
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
def _place(
    knots: NDArray[np.float64], axis: Axis, n: int, row: int, scratch: NDArray[np.float64]
) -> None:
    """Write where among the knots of the prior each node is, and the length of its step."""
    _, width, first, last = axis
    step = (last - first) / n
    for i in range(n):
        index, part = _knot(knots, _node(axis, (i + 0.5) / n))
        scratch[row, i] = index
        scratch[row + 1, i] = part
        long = width * math.cosh(first + (i + 0.5) * step) * step
        scratch[row + 2, i] = long if last > first else 1.0 / n


@finite
def _likelihood(
    p1: float,
    p2: float,
    g11: float,
    g12: float,
    g22: float,
    top: float,
    inverse: float,
    power: float,
    scratch: NDArray[np.float64],
) -> None:
    """Multiply scratch[_VALUE] by the likelihood at all fractions."""
    dp, dg, gg = p2 - p1, 2.0 * (g12 - g11), g11 - 2.0 * g12 + g22
    if power > 0.0:
        for k in range(_FRACTIONS):
            f = scratch[_F, k]
            c = p1 + f * dp
            q = 1.0 / (g11 + f * (dg + f * gg))
            drop = (top - c * c * q) * inverse
            value = exp(-power * log(1.0 + (drop if drop > 0.0 else 0.0)))
            scratch[_VALUE, k] *= value * math.sqrt(q) if c > 0.0 else 0.0
    else:
        for k in range(_FRACTIONS):
            f = scratch[_F, k]
            c = p1 + f * dp
            q = 1.0 / (g11 + f * (dg + f * gg))
            value = exp((c * c * q - top) * inverse)
            scratch[_VALUE, k] *= value * math.sqrt(q) if c > 0.0 else 0.0


@finite
def _totals(
    p1: float,
    p2: float,
    g11: float,
    g12: float,
    g22: float,
    scratch: NDArray[np.float64],
) -> tuple[float, float, float, float, float, float, float]:
    """Add scratch[_VALUE] to the marginal of the fraction; return its sum and moments.

    They are those of 1, f, f^2, S0, S0^2, 1/q and the gain c^2/q.
    """
    dp, dg, gg = p2 - p1, 2.0 * (g12 - g11), g11 - 2.0 * g12 + g22
    total = first = second = signal = square = norm = gain = 0.0
    for k in range(_FRACTIONS):
        f = scratch[_F, k]
        value = scratch[_VALUE, k]
        q = 1.0 / (g11 + f * (dg + f * gg))
        c = p1 + f * dp
        s0 = c * q
        total += value
        first += value * f
        second += value * f * f
        signal += value * s0
        square += value * s0 * s0
        norm += value * q
        gain += value * s0 * c
        scratch[M3, k] += value
    return total, first, second, signal, square, norm, gain


@device
def _column(
    i: int,
    j: int,
    n_fast: int,
    density: NDArray[np.float64],
    scratch: NDArray[np.float64],
    column: NDArray[np.float64],
) -> None:
    """Write the prior at a pair of nodes and all knots of the fraction to `column`."""
    row = int(scratch[_I1, i]) * n_fast + int(scratch[_I2, j])
    s, t = scratch[_T1, i], scratch[_T2, j]
    down = row + n_fast if s > 0.0 else row
    right = 1 if t > 0.0 else 0
    for k in range(density.shape[1]):
        column[k] = (1.0 - s) * ((1.0 - t) * density[row, k] + t * density[row + right, k]) + s * (
            (1.0 - t) * density[down, k] + t * density[down + right, k]
        )


@device
def _deposit(
    i: int,
    j: int,
    n_fast: int,
    scratch: NDArray[np.float64],
    column: NDArray[np.float64],
    basis: NDArray[np.float64],
) -> None:
    """Add scratch[_VALUE] of a pair to the knots around its nodes, by their nearness."""
    row = int(scratch[_I1, i]) * n_fast + int(scratch[_I2, j])
    s, t = scratch[_T1, i], scratch[_T2, j]
    down = row + n_fast if s > 0.0 else row
    right = 1 if t > 0.0 else 0
    n = basis.shape[1]
    for k in range(n):
        column[k] = 0.0
    for k in range(_FRACTIONS):
        index, part = int(scratch[_I3, k]), scratch[_T3, k]
        column[index] += (1.0 - part) * scratch[_VALUE, k]
        if part > 0.0:
            column[index + 1] += part * scratch[_VALUE, k]
    for k in range(n):
        value = column[k]
        basis[row, k] += (1.0 - s) * (1.0 - t) * value
        basis[row + right, k] += (1.0 - s) * t * value
        basis[down, k] += s * (1.0 - t) * value
        basis[down + right, k] += s * t * value


@device
def integrate(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    top: float,
    limit: float,
    inverse: float,
    power: float,
    nodes: int,
    best: tuple[float, float, float],
    spread: tuple[float, float, float],
    extent: Extent,
    knots1: NDArray[np.float64],
    knots2: NDArray[np.float64],
    knots3: NDArray[np.float64],
    density: NDArray[np.float64],
    basis: NDArray[np.float64],
    scratch: NDArray[np.float64],
    column: NDArray[np.float64],
    table: NDArray[np.float64],
) -> tuple[Axis, Axis, Axis]:
    """Sum the posterior over a lattice; leave sums and marginals in scratch.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    top : float
        Squared norm of the signal that the best fit explains.
    limit : float
        Least squared norm of the explained signal that counts.
    inverse, power : float
        The likelihood is ``exp((gain - top) inverse)``, or ``(1 + (top - gain) inverse)^-power``
        if `power` is above 0.
    nodes : int
        Number of nodes of each rate that is not fixed.
    best, spread : tuple of float
        Slow rate, logarithm of the fast rate and fraction of the best fit, and about how wide
        the peak around them is; infinite if it is not known.
    extent : tuple of float
        The box as `locate` returns it, and the ends of the fraction; equal ends fix a parameter.
    knots1, knots2, knots3 : ndarray
        Knots of the prior: slow rate, logarithm of the fast rate, fraction.
    density : ndarray, shape (n_slow * n_fast, n_fraction)
        Density of the prior at the knots, linear between them; of size 0 for a prior that is
        flat in slow rate, fast rate and fraction.
    basis : ndarray, shape (n_slow * n_fast, n_fraction)
        Receives what each knot's density contributes to the integral, for a `density` of size 0;
        may be of size 0.
    scratch : ndarray, shape (SCRATCH, WIDTH)
        Receives the sums of 1, r1, r1^2, f, f^2, r2, r2^2, f r1, f r2, r1 r2, (f r2)^2, S0,
        S0^2, 1/q, c^2/q in row `SUMS` and the marginals in rows `M1`, `M2`, `M3`.
    column : ndarray, shape (n_fraction,)
        Room to work in.
    table : ndarray
        `ivimkit.kernels.atoms.Dictionary.table`.

    Returns
    -------
    tuple of tuple
        The axes of the lattice.
    """
    low1, high1, low2, high2, f_first, f_last = extent
    n1 = nodes if low1 < high1 else 1
    n2 = nodes if low2 < high2 else 1
    axis1 = _axis(low1, high1, best[0], spread[0])
    axis2 = _axis(low2, high2, best[1], spread[1])
    _fill(b, root_weight, signal, axis1, n1, False, _R1, scratch, table)
    _fill(b, root_weight, signal, axis2, n2, True, _R2, scratch, table)
    f_low, f_high = f_last, f_first
    for i in range(n1):
        for j in range(n2):
            scratch[_LOW + i, j] = 1.0
            scratch[_HIGH + i, j] = 0.0
            if scratch[_R2, j] > APART * scratch[_R1, i]:
                g12, _, _ = moments(table, scratch[_R1, i] + scratch[_R2, j])
                scratch[_CROSS + i, j] = g12
                low, high, _ = _fraction_range(
                    scratch[_P1, i],
                    scratch[_P2, j],
                    scratch[_G1, i],
                    g12,
                    scratch[_G2, j],
                    f_first,
                    f_last,
                    limit,
                )
                scratch[_LOW + i, j] = low
                scratch[_HIGH + i, j] = high
                if low <= high:
                    f_low = min(f_low, low)
                    f_high = max(f_high, high)
    if f_low > f_high:
        f_low, f_high = f_first, f_last
    axis3 = _axis(f_low, f_high, best[2], spread[2])
    _place(knots1, axis1, n1, _I1, scratch)
    _place(knots2, axis2, n2, _I2, scratch)
    _place(knots3, axis3, _FRACTIONS, _I3, scratch)
    for k in range(_FRACTIONS):
        scratch[_F, k] = _node(axis3, (k + 0.5) / _FRACTIONS)
    for k in range(WIDTH):
        scratch[M1, k] = scratch[M2, k] = scratch[M3, k] = 0.0
        scratch[SUMS, k] = 0.0
    for i in range(n1):
        r1 = scratch[_R1, i]
        for j in range(n2):
            if scratch[_LOW + i, j] > scratch[_HIGH + i, j]:
                continue
            p1, p2 = scratch[_P1, i], scratch[_P2, j]
            g11, g12, g22 = scratch[_G1, i], scratch[_CROSS + i, j], scratch[_G2, j]
            area = scratch[_S1, i] * scratch[_S2, j]
            if density.size == 0:
                # Flat in the fast rate itself, and the lattice is one of its logarithm.
                area *= scratch[_R2, j] if n2 > 1 and basis.size == 0 else 1.0
                for k in range(_FRACTIONS):
                    scratch[_VALUE, k] = area * scratch[_S3, k]
            else:
                _column(i, j, knots2.size, density, scratch, column)
                for k in range(_FRACTIONS):
                    index, part = int(scratch[_I3, k]), scratch[_T3, k]
                    value = column[index]
                    if part > 0.0:
                        value += part * (column[index + 1] - value)
                    scratch[_VALUE, k] = area * scratch[_S3, k] * value
            _likelihood(p1, p2, g11, g12, g22, top, inverse, power, scratch)
            total, first, second, s0, square, norm, gain = _totals(p1, p2, g11, g12, g22, scratch)
            if basis.size > 0:
                _deposit(i, j, knots2.size, scratch, column, basis)
            r2 = scratch[_R2, j]
            scratch[M1, i] += total
            scratch[M2, j] += total
            scratch[SUMS, 0] += total
            scratch[SUMS, 1] += total * r1
            scratch[SUMS, 2] += total * r1 * r1
            scratch[SUMS, 3] += first
            scratch[SUMS, 4] += second
            scratch[SUMS, 5] += total * r2
            scratch[SUMS, 6] += total * r2 * r2
            scratch[SUMS, 7] += first * r1
            scratch[SUMS, 8] += first * r2
            scratch[SUMS, 9] += total * r1 * r2
            scratch[SUMS, 10] += second * r2 * r2
            scratch[SUMS, 11] += s0
            scratch[SUMS, 12] += square
            scratch[SUMS, 13] += norm
            scratch[SUMS, 14] += gain
    return axis1, axis2, axis3


@device
def _quantile(row: int, n: int, axis: Axis, share: float, scratch: NDArray[np.float64]) -> float:
    """Return where a marginal has the share `share` of its mass below.

    The mass up to the ends of the steps is known; between them it follows the cubic whose slopes
    at both ends are the densities there, the means of the two steps that meet.
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
    # A cubic with slopes up to three times its mean slope rises everywhere.
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
    return _node(axis, (i + 0.5 * (first + last)) / n)


@device
def _mode(row: int, n: int, axis: Axis, scratch: NDArray[np.float64]) -> float:
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
    return _node(axis, (best + 0.5 + shift) / n)


@device
def _spread(
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
    out[at + 1] = _quantile(row, n, axis, 0.025, scratch)
    out[at + 2] = _quantile(row, n, axis, 0.975, scratch)
    out[at + 3] = _quantile(row, n, axis, 0.25, scratch)
    out[at + 4] = _quantile(row, n, axis, 0.75, scratch)


@device
def _bits(
    row: int,
    n: int,
    place: int,
    prior: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> float:
    """Return the Kullback-Leibler divergence of a marginal from that of the prior, in bits."""
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


# A noise variance below this share of the signal's squared norm is taken for it: beyond, the
# rounding of the inner products would be seen.
_LEAST_VARIANCE = 1e-11
# With this many degrees of freedom, a distribution of the variance is one value.
_SURE = 1e4
# Quantiles of the normal distribution, for S0.
_NORMAL_95 = 1.959964
_NORMAL_50 = 0.674490
# Own options, from EXTRA on; the arrays of the prior begin at _ARRAYS.
_ROWS, _ESTIMATE, _DEGREES, _SCALE, _N_B = 0, 1, 2, 3, 4
_KNOTS, _FLAT, _CONSTANT, _POWER_CONSTANT, _BASIS, _FLOOR = 5, 8, 9, 10, 11, 12
_TABLE = 13
_ARRAYS = _TABLE + N_FLOOR


@device
def without_floor(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    sigma: float,
    fit: Fit,
    options: NDArray[np.float64],
    clean: NDArray[np.float64],
) -> None:
    """Write the signal less what Rician noise adds to its mean to `clean`.

    The excess is that of the best fit's signal. It needs the noise: the one given, or that of the
    scan, or that of the voxel's residuals; without any the signal stays as it is.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    sigma : float
        Noise of one volume, a.u.; NaN if it is not known.
    fit : tuple
        As `ivimkit.kernels.search.global_fit` returns it.
    options : ndarray
        As `ivimkit.methods._posterior.posterior_options` makes them.
    clean : ndarray, shape (n_b,)
        Receives the signal.
    """
    own = options[EXTRA:]
    noise = sigma
    if not noise > 0.0:
        if own[_DEGREES] > 0.0:
            noise = math.sqrt(own[_SCALE])
        elif options[6] > 0.0:
            noise = math.sqrt(fit[4] / options[6])
    r1, r2, a1, a2 = fit[0], fit[1], fit[2], fit[3]
    for j in range(b.size):
        clean[j] = signal[j]
        if root_weight[j] > 0.0 and noise > 0.0:
            expected = a1 * exp(-b[j] * r1) + a2 * exp(-b[j] * r2)
            clean[j] -= noise * excess(max(expected, 0.0) / noise, own, _TABLE)


@device
def posterior_voxel(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    measured: NDArray[np.float64],
    sigma: float,
    fit: Fit,
    box: Box,
    n_par: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """Replace the best fit in `out` by what the posterior says.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    measured : ndarray, shape (n_b,)
        The signal before the noise floor was taken off.
    sigma : float
        Noise of one volume, a.u.; NaN if it is not known.
    fit : tuple
        As `ivimkit.kernels.search.global_fit` returns it.
    box : tuple of float
        Bounds as `ivimkit.kernels.pools.pool_bounds` returns them.
    n_par : int
        Number of parameters of the model.
    options : ndarray
        As `ivimkit.methods._posterior.posterior_options` makes them.
    table : ndarray
        `ivimkit.kernels.atoms.Dictionary.table`.
    work : ndarray
        Scratch.
    out : ndarray, shape (n_par + 2 + n_extras,)
        Holds the parameters of the best fit and its cost; receives the estimates, their cost and
        number of lattices, and `ivimkit.methods.bayes.Bayes.extras`; or, if the options ask for
        it, the integrals of the likelihood with each knot's function in place of the extras.

    Returns
    -------
    int
        0, or the flag of a voxel without signal: S0 is above 0 nowhere around the best fit.
    """
    own = options[EXTRA:]
    n1, n2, n3 = int(own[_KNOTS]), int(own[_KNOTS + 1]), int(own[_KNOTS + 2])
    at = _ARRAYS
    knots1, knots2 = own[at : at + n1], own[at + n1 : at + n1 + n2]
    at += n1 + n2
    knots3, prior1 = own[at : at + n3], own[at + n3 : at + n3 + n1]
    at += n3 + n1
    prior2, prior3 = own[at : at + n2], own[at + n2 : at + n2 + n3]
    at += n2 + n3
    size = 0 if own[_FLAT] > 0.0 else n1 * n2 * n3
    density = own[at : at + size].reshape((size // n3, n3))
    flat = work[int(own[_ROWS]) :].reshape(-1)
    scratch = flat[: SCRATCH * WIDTH].reshape((SCRATCH, WIDTH))
    column = flat[SCRATCH * WIDTH + b.size :][:n3]
    basis_size = n1 * n2 * n3 if own[_BASIS] > 0.0 else 0
    first = n_par + 2
    basis = out[first : first + basis_size].reshape((basis_size // n3, n3))
    for i in range(basis.shape[0]):
        for k in range(n3):
            basis[i, k] = 0.0

    i_s0, i_f, i_fast, i_slow = int(options[0]), int(options[1]), int(options[2]), int(options[3])
    best1 = out[i_slow]
    best2 = out[i_fast] if i_fast >= 0 else box[4]
    norm = 0.0
    for j in range(b.size):
        norm += (root_weight[j] * signal[j]) ** 2
    cost = out[n_par]
    top = norm - cost
    least = _LEAST_VARIANCE * norm
    degrees, scale = own[_DEGREES], own[_SCALE]
    variance = math.nan
    if sigma > 0.0:
        variance = max(sigma * sigma, least)
    elif degrees >= _SURE:
        variance = max(scale, least)
    power = 0.0
    if variance > 0.0:
        inverse = 0.5 / variance
        limit = top - 2.0 * TAIL * variance
        residual = 0.0
    else:
        power = 0.5 * (degrees + own[_N_B] - 1.0)
        residual = max(degrees * scale + cost, 2.0 * power * least)
        inverse = 1.0 / residual
        limit = top - residual * (math.exp(min(TAIL / power, 30.0)) - 1.0)
    limit = max(limit, 0.0)
    f_low, f_high = box[2], box[3]
    extent = (
        max(box[6], knots1[0]) if n1 > 1 else box[6],
        min(box[7], knots1[n1 - 1]) if n1 > 1 else box[7],
        max(log(box[4]), knots2[0]) if n2 > 1 else log(box[4]),
        min(log(box[5]), knots2[n2 - 1]) if n2 > 1 else log(box[5]),
        f_low,
        f_high,
    )
    f = out[i_f] if i_f >= 0 else 0.0
    log2 = log(best2)
    judged = variance if variance > 0.0 else cost / max(options[6], 1.0)
    clear = min(fit[5], fit[6]) > _CLEAR * judged
    noise = math.sqrt(variance if variance > 0.0 else 0.5 * residual / power)
    sd1, sd2, sd_f = _curvature((best1, best2, fit[2], fit[3]), table)
    reach = (_FIRST if clear else _FAR) * math.sqrt(top - limit)
    low1, high1, low2, high2, levels = locate(
        b,
        root_weight,
        signal,
        best1,
        best2,
        reach * sd1,
        reach * sd2,
        limit,
        extent,
        scratch,
        table,
    )
    centre = (best1, log2, f)
    peak = (noise * sd1, noise * sd2, noise * sd_f)
    nodes = _NODES
    if not clear:
        look = (low1, high1, low2, high2, f_low, f_high)
        _look(b, root_weight, signal, best1, log2, limit, look, scratch, table)
        c1, w1, c2, w2, c3, w3 = _bulk(top, inverse, power, look, scratch)
        # What is narrower than the steps of the coarse lattice, only the curvature can see.
        seen1 = peak[0] > 0.5 * (high1 - low1) / _COARSE and w1 < math.inf
        seen2 = peak[1] > 0.5 * (high2 - low2) / _COARSE and w2 < math.inf
        seen3 = peak[2] > 0.5 * (f_high - f_low) / _FRACTIONS and w3 < math.inf
        centre = (c1 if seen1 else best1, c2 if seen2 else log2, c3 if seen3 else f)
        peak = (w1 if seen1 else peak[0], w2 if seen2 else peak[1], w3 if seen3 else peak[2])
        nodes = _MANY_NODES
    axis1, axis2, axis3 = integrate(
        b,
        root_weight,
        signal,
        top,
        limit,
        inverse,
        power,
        nodes,
        centre,
        peak,
        (low1, high1, low2, high2, f_low, f_high),
        knots1,
        knots2,
        knots3,
        density,
        basis,
        scratch,
        column,
        table,
    )
    out[n_par + 1] = levels
    total = scratch[SUMS, 0]
    if not total > 0.0:
        return _NO_SIGNAL
    if basis_size > 0:
        for i in range(basis.shape[0]):
            for k in range(n3):
                basis[i, k] /= total
        return 0

    for k in range(1, 15):
        scratch[SUMS, k] /= total
    m1 = nodes if axis1[2] < axis1[3] else 1
    m2 = nodes if axis2[2] < axis2[3] else 1
    mean1, mean_f, mean2 = scratch[SUMS, 1], scratch[SUMS, 3], scratch[SUMS, 5]
    sd1 = math.sqrt(max(scratch[SUMS, 2] - mean1 * mean1, 0.0))
    sd_f = math.sqrt(max(scratch[SUMS, 4] - mean_f * mean_f, 0.0))
    sd2 = math.sqrt(max(scratch[SUMS, 6] - mean2 * mean2, 0.0))
    s0 = scratch[SUMS, 11]
    spread = variance
    if not variance > 0.0:
        spread = max(residual + top - scratch[SUMS, 14], residual) / max(2.0 * power - 2.0, 1.0)
    s0_sd = math.sqrt(max(scratch[SUMS, 12] - s0 * s0, 0.0) + spread * scratch[SUMS, 13])

    for k in range(first, out.size):
        out[k] = math.nan
    at = first + 5 * i_s0
    out[i_s0] = s0
    out[at] = s0_sd
    out[at + 1], out[at + 2] = s0 - _NORMAL_95 * s0_sd, s0 + _NORMAL_95 * s0_sd
    out[at + 3], out[at + 4] = s0 - _NORMAL_50 * s0_sd, s0 + _NORMAL_50 * s0_sd
    estimate = int(own[_ESTIMATE])
    rest = first + 5 * n_par
    r1, r2 = best1, best2
    free1, free2, free3 = m1 > 1, m2 > 1 and i_fast >= 0, axis3[2] < axis3[3] and i_f >= 0
    if free1:
        _spread(M1, m1, axis1, sd1, first + 5 * i_slow, out, scratch)
        out[rest] = _bits(M1, m1, _I1, prior1, scratch)
        if estimate == 0:
            r1 = mean1
        elif estimate == 1:
            r1 = _quantile(M1, m1, axis1, 0.5, scratch)
        else:
            for i in range(m1):
                scratch[M1, i] /= scratch[_S1, i]
            r1 = _mode(M1, m1, axis1, scratch)
    rest += 1
    if free2:
        at = first + 5 * i_fast
        _spread(M2, m2, axis2, sd2, at, out, scratch)
        for k in range(at + 1, at + 5):
            out[k] = exp(out[k])
        out[rest] = _bits(M2, m2, _I2, prior2, scratch)
        if estimate == 0:
            r2 = mean2
        elif estimate == 1:
            r2 = exp(_quantile(M2, m2, axis2, 0.5, scratch))
        else:
            # The lattice is one of ln D*; the density of D* itself has a factor 1/D*.
            for j in range(m2):
                scratch[M2, j] /= scratch[_S2, j] * scratch[_R2, j]
            r2 = exp(_mode(M2, m2, axis2, scratch))
            r2 = max(r2, APART * r1)
    rest += 1 if i_fast >= 0 else 0
    if free3:
        _spread(M3, _FRACTIONS, axis3, sd_f, first + 5 * i_f, out, scratch)
        out[rest] = _bits(M3, _FRACTIONS, _I3, prior3, scratch)
        if estimate == 0:
            f = mean_f
        elif estimate == 1:
            f = _quantile(M3, _FRACTIONS, axis3, 0.5, scratch)
        else:
            for k in range(_FRACTIONS):
                scratch[M3, k] /= scratch[_S3, k]
            f = _mode(M3, _FRACTIONS, axis3, scratch)
    rest += 1 if i_f >= 0 else 0
    out[i_slow] = r1
    if i_f >= 0:
        out[i_f] = f
    if i_fast >= 0:
        out[i_fast] = r2
    if i_fast >= 0 and i_f >= 0:
        flow = scratch[SUMS, 8] if free2 or free3 else f * r2
        out[rest] = flow if estimate == 0 else f * r2
        if free2 or free3:
            out[rest + 1] = math.sqrt(max(scratch[SUMS, 10] - flow * flow, 0.0))
        if sd_f > 0.0 and sd2 > 0.0 and free2 and free3:
            out[rest + 2] = (scratch[SUMS, 8] - mean_f * mean2) / (sd_f * sd2)
        if sd_f > 0.0 and sd1 > 0.0 and free1 and free3:
            out[rest + 3] = (scratch[SUMS, 7] - mean_f * mean1) / (sd_f * sd1)
        if sd1 > 0.0 and sd2 > 0.0 and free1 and free2:
            out[rest + 4] = (scratch[SUMS, 9] - mean1 * mean2) / (sd1 * sd2)
        rest += 5
    out[rest] = math.sqrt(spread)
    evidence = math.log(total) + own[_CONSTANT]
    if variance > 0.0:
        evidence -= 0.5 * (own[_N_B] - 1.0) * math.log(2.0 * math.pi * variance)
        evidence -= (norm - top) * inverse
    else:
        evidence += own[_POWER_CONSTANT] - power * math.log(0.5 * residual)
    out[rest + 1] = evidence
    out[n_par] = squared_residual(b, root_weight, measured, r1, r2, (1.0 - f) * s0, f * s0)
    return 0
