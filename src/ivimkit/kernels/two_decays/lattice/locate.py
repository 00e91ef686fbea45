"""Find the box of rates outside which the posterior is negligible, and its approximate width."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.two_decays.atoms import moments
from ivimkit.kernels.two_decays.lattice.axes import Extent, axis_between, fill_rates
from ivimkit.kernels.two_decays.lattice.quantiles import quantile
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    CROSS_PRODUCT,
    FAST_MARGINAL,
    FAST_NORM,
    FAST_PRODUCT,
    FAST_RATE,
    FRACTION_MARGINAL,
    HIGH_FRACTION,
    LOW_FRACTION,
    N_FRACTIONS,
    ROW_LENGTH,
    SLOW_MARGINAL,
    SLOW_NORM,
    SLOW_PRODUCT,
    SLOW_RATE,
)

__all__ = [
    "MAX_LOG_DROP",
    "N_COARSE_NODES",
    "bulk",
    "curvature",
    "fraction_range",
    "locate",
    "look_around",
]

# Nodes per rate of the coarse lattices that locate the posterior.
N_COARSE_NODES = 12
# The posterior is cut off where its profile has fallen by exp(-MAX_LOG_DROP) from the best fit.
MAX_LOG_DROP = 10.5
# Number of coarse lattices at most.
_MAX_LEVELS = 16
# A box of which a coarse lattice keeps more than this share is not made smaller any more.
_MAX_KEPT_AREA = 0.7
# Distance of the quartiles of a normal distribution, in standard deviations.
_QUARTILE_DISTANCE = 1.349
# Determinant of a 2 x 2 matrix, relative to the product of its diagonal, below which it is
# singular.
_MIN_DETERMINANT = 1e-10
# Safety factor of the range of the fraction, which is computed from a parabola.
_RANGE_MARGIN = 1.15


@finite
def fraction_range(
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

    If all gains are below it, the lower end is above the upper one.
    """
    # The gain is c(f)^2 / q(f) with c = p1 + f (p2 - p1) and q = g11 + 2 f g1 + f^2 g2. Over all f
    # its maximum is that of free amplitudes a = G^-1 p, at f = a2 / (a1 + a2).
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
    if not (det > _MIN_DETERMINANT * g11 * g22 and s0 > 0.0):
        return (f_low, f_high, ends) if ends > limit else (1.0, 0.0, ends)
    f = a2 / s0
    top = (a1 * p1 + a2 * p2) / det
    # Around its summit the gain falls with s0^2 det / q; s0 still lacks the division by det.
    fall = s0 * s0 / (det * (g11 + f * (2.0 * g1 + f * g2)))
    half = _RANGE_MARGIN * math.sqrt((top - limit) / fall) if top > limit else 0.0
    low = f_low if at_low > limit else max(f - half, f_low)
    high = f_high if at_high > limit else min(f + half, f_high)
    gain = top if f_low < f < f_high else ends
    if not gain > limit:
        return 1.0, 0.0, gain
    return low, high, gain


@device
def _summit(left: float, here: float, right: float) -> float:
    """Return how far the parabola through three neighbours rises above the middle one.

    (left - right)^2 / (8 (left + right)) for the falls to both sides, as in
    `profile.find_profile`.
    """
    down_left, down_right = here - left, here - right
    lean = abs(down_left - down_right)
    curve = down_left + down_right
    return 0.125 * lean * lean / curve if lean < 2.0 * curve else 0.0


@device
def curvature(
    best: tuple[float, float, float, float], table: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the standard deviations of r1, ln r2 and f for a noise variance of 1.

    From the Gauss-Newton matrix of the cost at the best fit, the amplitudes eliminated; infinite
    if it is singular. With H^-1 the covariance V of the rates and G that of the amplitudes, f =
    a2 / (a1 + a2) has the gradient w = (-a2, a1) / S0^2 by the amplitudes, which follow the rates
    by t: its variance is w.G^-1 w at given rates, plus (w t) V (w t) from the rates.
    """
    r1, r2, a1, a2 = best
    g11, b11, bb11 = moments(table, r1 + r1)
    g12, b12, bb12 = moments(table, r1 + r2)
    g22, b22, bb22 = moments(table, r2 + r2)
    det = g11 * g22 - g12 * g12
    if not det > _MIN_DETERMINANT * g11 * g22:
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
    if h11 > 0.0 and h22 > 0.0 and determinant > _MIN_DETERMINANT * h11 * h22:
        v11, v12, v22 = h22 / determinant, -h12 / determinant, h11 / determinant
        given += s1 * s1 * v11 + 2.0 * s1 * s2 * v12 + s2 * s2 * v22
        return math.sqrt(v11), math.sqrt(v22), math.sqrt(given)
    if h11 > 0.0 and not h22 > 0.0:
        return 1.0 / math.sqrt(h11), math.inf, math.sqrt(given + s1 * s1 / h11)
    return math.inf, math.inf, math.inf


@device
def look_around(
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
    """Return the part of a box, in units of its sides, that a coarse lattice cannot exclude.

    A node is kept if a parabola through it and its neighbours reaches the limit, and half a step
    is added on each side.
    """
    low1, high1, low2, high2, f_low, f_high = box
    n1 = N_COARSE_NODES if low1 < high1 else 1
    n2 = N_COARSE_NODES if low2 < high2 else 1
    axis1, axis2 = (
        axis_between(low1, high1, low1, math.inf),
        axis_between(low2, high2, low2, math.inf),
    )
    fill_rates(b, root_weight, signal, axis1, n1, False, SLOW_RATE, scratch, table)
    fill_rates(b, root_weight, signal, axis2, n2, True, FAST_RATE, scratch, table)
    for i in range(n1):
        for j in range(n2):
            scratch[CROSS_PRODUCT + i, j] = -1e300
            if scratch[FAST_RATE, j] > scratch[SLOW_RATE, i]:
                g12, _, _ = moments(table, scratch[SLOW_RATE, i] + scratch[FAST_RATE, j])
                low, high, gain = fraction_range(
                    scratch[SLOW_PRODUCT, i],
                    scratch[FAST_PRODUCT, j],
                    scratch[SLOW_NORM, i],
                    g12,
                    scratch[FAST_NORM, j],
                    f_low,
                    f_high,
                    limit,
                )
                scratch[CROSS_PRODUCT + i, j] = gain
                scratch[LOW_FRACTION + i, j] = low
                scratch[HIGH_FRACTION + i, j] = high
    first1 = last1 = first2 = last2 = 0
    if n1 > 1:
        first1 = last1 = min(max(int(n1 * (best1 - low1) / (high1 - low1)), 0), n1 - 1)
    if n2 > 1:
        first2 = last2 = min(max(int(n2 * (log2 - low2) / (high2 - low2)), 0), n2 - 1)
    for i in range(n1):
        for j in range(n2):
            here = gain = scratch[CROSS_PRODUCT + i, j]
            if 0 < i < n1 - 1:
                gain += _summit(
                    scratch[CROSS_PRODUCT + i - 1, j], here, scratch[CROSS_PRODUCT + i + 1, j]
                )
            if 0 < j < n2 - 1:
                gain += _summit(
                    scratch[CROSS_PRODUCT + i, j - 1], here, scratch[CROSS_PRODUCT + i, j + 1]
                )
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
def bulk(
    top: float,
    inverse: float,
    power: float,
    extent: Extent,
    scratch: NDArray[np.float64],
) -> tuple[float, float, float, float, float, float]:
    """Return medians and widths of r1, ln r2 and f on the coarse lattice of `look_around`.

    A width is the distance between the quartiles over that of a standard normal distribution, plus
    a part of a step, which the lattice cannot resolve.
    """
    low1, high1, low2, high2, f_low, f_high = extent
    n1 = N_COARSE_NODES if low1 < high1 else 1
    n2 = N_COARSE_NODES if low2 < high2 else 1
    for k in range(ROW_LENGTH):
        scratch[SLOW_MARGINAL, k] = scratch[FAST_MARGINAL, k] = scratch[FRACTION_MARGINAL, k] = 0.0
    total = span = 0.0
    scale = N_FRACTIONS / (f_high - f_low) if f_low < f_high else 0.0
    for i in range(n1):
        for j in range(n2):
            gain = scratch[CROSS_PRODUCT + i, j]
            if gain <= 0.0 or scratch[LOW_FRACTION + i, j] > scratch[HIGH_FRACTION + i, j]:
                continue
            drop = max(top - gain, 0.0) * inverse
            weight = exp(-power * log(1.0 + drop)) if power > 0.0 else exp(-drop)
            if n2 > 1:
                weight *= scratch[FAST_RATE, j]
            half = 0.5 * (scratch[HIGH_FRACTION + i, j] - scratch[LOW_FRACTION + i, j])
            middle = min(
                int((scratch[LOW_FRACTION + i, j] + half - f_low) * scale), N_FRACTIONS - 1
            )
            scratch[SLOW_MARGINAL, i] += weight
            scratch[FAST_MARGINAL, j] += weight
            scratch[FRACTION_MARGINAL, max(middle, 0)] += weight
            total += weight
            span += weight * half
    if not total > 0.0:
        return low1, math.inf, low2, math.inf, f_low, math.inf
    axis1, axis2 = (
        axis_between(low1, high1, low1, math.inf),
        axis_between(low2, high2, low2, math.inf),
    )
    axis3 = axis_between(f_low, f_high, f_low, math.inf)
    wide1 = quantile(SLOW_MARGINAL, n1, axis1, 0.75, scratch) - quantile(
        SLOW_MARGINAL, n1, axis1, 0.25, scratch
    )
    wide2 = quantile(FAST_MARGINAL, n2, axis2, 0.75, scratch) - quantile(
        FAST_MARGINAL, n2, axis2, 0.25, scratch
    )
    wide3 = quantile(FRACTION_MARGINAL, N_FRACTIONS, axis3, 0.75, scratch) - quantile(
        FRACTION_MARGINAL, N_FRACTIONS, axis3, 0.25, scratch
    )
    return (
        quantile(SLOW_MARGINAL, n1, axis1, 0.5, scratch),
        wide1 / _QUARTILE_DISTANCE + 0.3 * (high1 - low1) / n1,
        quantile(FAST_MARGINAL, n2, axis2, 0.5, scratch),
        wide2 / _QUARTILE_DISTANCE + 0.3 * (high2 - low2) / n2,
        quantile(FRACTION_MARGINAL, N_FRACTIONS, axis3, 0.5, scratch),
        wide3 / _QUARTILE_DISTANCE + span / (total * math.sqrt(2.0 * MAX_LOG_DROP)),
    )


@device
def _widened(
    low: float, high: float, first: float, last: float, least: float, most: float
) -> tuple[float, float]:
    """Return a range extended by its length on the sides that were reached, within limits."""
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
    """Return the box of rates outside which all pairs explain too little of the signal.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    best1, best2 : float
        Rates of the best fit, mm^2/s.
    reach1, reach2 : float
        Half sides of the first box around the best fit, mm^2/s and in the logarithm.
    limit : float
        Gains (squared norms of the explained signal) below this are negligible.
    extent : tuple of float
        Limits of the box; equal ends fix a rate.
    scratch : ndarray, shape (N_SCRATCH_ROWS, ROW_LENGTH)
        Scratch.
    table : ndarray
        `ivimkit.kernels.two_decays.atoms.Dictionary.table`.

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
        first1, last1, first2, last2 = look_around(
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
        if (last1 - first1) * (last2 - first2) > _MAX_KEPT_AREA:
            break
    return low1, high1, low2, high2, levels
