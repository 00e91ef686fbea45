"""Find the box of rates outside which the posterior is negligible, and its approximate width."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite, inlined
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.memory import spot
from ivimkit.kernels.two_decays.atoms import moments
from ivimkit.kernels.two_decays.lattice.axes import Extent, axis_between, fill_axis
from ivimkit.kernels.two_decays.lattice.pairs import (
    Likelihood,
    fill_gains,
    fill_pairs,
    fill_products,
)
from ivimkit.kernels.two_decays.lattice.quantiles import quantile
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    FAST_MARGINAL,
    FAST_PLACE,
    FAST_RATE,
    FAST_STEP,
    FRACTION_MARGINAL,
    LANES,
    ROW,
    Room,
    SLOW_MARGINAL,
    SLOW_PLACE,
    SLOW_STEP,
)
from ivimkit.kernels.two_decays.lattice.single_rows import (
    FAST_REACHED,
    HIGH,
    LEAST,
    LOW,
    REACH,
    REACH_INNER,
    REACH_OUTER,
    SLOW_REACHED,
)

__all__ = ["MAX_LOG_DROP", "N_COARSE_NODES", "bulk", "curvature", "locate"]

N_COARSE_NODES = LANES
"""Nodes per rate of the coarse lattices that locate the posterior."""
MAX_LOG_DROP = 10.5
"""The posterior is cut off where its profile has fallen by exp(-MAX_LOG_DROP) from the best fit."""
# Number of coarse lattices at most.
_MAX_LEVELS = 16
# A box of which a coarse lattice keeps more than this share is not made smaller any more.
_MAX_KEPT_AREA = 0.7
# Distance of the quartiles of a normal distribution, in standard deviations.
_QUARTILE_DISTANCE = 1.349
# Determinant of a 2 x 2 matrix, relative to the product of its diagonal, below which it is
# singular.
_MIN_DETERMINANT = 1e-10
# Less than any gain.
_NO_GAIN = np.float32(-1e30)
_ZERO, _EIGHTH, _ONE = np.float32(0.0), np.float32(0.125), np.float32(1.0)


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


@inlined
def _above(left: np.float32, here: np.float32, right: np.float32) -> np.float32:
    """Return how far the parabola through three neighbours rises above the middle one.

    It is (left - right)^2 / (8 (left + right)) for the falls to both sides, as in
    `profile.find_profile`; 0 if its summit is not near.
    """
    lean, curve = left - right, here + here - left - right
    lean = lean if lean > _ZERO else -lean
    rise = _EIGHTH * lean * lean / curve
    return rise if lean < curve + curve else _ZERO


@finite
def _reach(n1: int, n2: int, gains: NDArray[np.float32], single: NDArray[np.float32]) -> None:
    """Write the largest gain of each slow and each fast rate of a coarse lattice.

    That of a pair is the summit of the parabolas through it and its neighbours. The gains begin
    behind one number of anything.
    """
    for k in range(LANES):
        single[FAST_REACHED + k] = _NO_GAIN
        single[REACH_INNER + k] = _ONE if 0 < k and k < n2 - 1 else _ZERO
        single[REACH_OUTER + k] = _ZERO if k < n2 else _NO_GAIN
    for i in range(n1):
        # At the edges a row is its own neighbour: then the parabola adds nothing.
        inner = 0 < i and i < n1 - 1
        at = 1 + i * ROW
        before, behind = (at - ROW, at + ROW) if inner else (at, at)
        for k in range(LANES):
            here = gains[spot(at, k)]
            across = _above(gains[spot(before, k)], here, gains[spot(behind, k)])
            # At the ends one neighbour is any number: the choice drops it.
            along = _above(gains[spot(at - 1, k)], here, gains[spot(at + 1, k)])
            along = along if single[REACH_INNER + k] > _ZERO else _ZERO
            single[REACH + k] = here + across + along + single[REACH_OUTER + k]
        largest = _NO_GAIN
        for k in range(LANES):
            value = single[REACH + k]
            largest = value if value > largest else largest
        single[SLOW_REACHED + i] = largest
        for k in range(LANES):
            value, kept = single[REACH + k], single[FAST_REACHED + k]
            single[FAST_REACHED + k] = value if value > kept else kept


@inlined
def _coarse(
    b: NDArray[np.float64], box: Extent, room: Room
) -> tuple[int, int]:
    """Lay a coarse lattice on a box; return how many nodes its rates have."""
    low1, high1, low2, high2, _, _ = box
    n1 = N_COARSE_NODES if low1 < high1 else 1
    n2 = N_COARSE_NODES if low2 < high2 else 1
    fill_axis(axis_between(low1, high1, low1, math.inf), n1, SLOW_PLACE, SLOW_STEP, room.rows)
    fill_axis(axis_between(low2, high2, low2, math.inf), n2, FAST_PLACE, FAST_STEP, room.rows)
    fill_products(b, n1, n2, room.rows, room.decays)
    return n1, n2


@device
def _kept(
    n: int, best: float, low: float, high: float, row: int, single: NDArray[np.float32]
) -> tuple[float, float]:  # fmt: skip
    """Return the part of an axis, in units of its length, whose nodes reach it.

    The node of the best fit is always part of it, and half a step is added on each side.
    """
    first = last = 0
    if n > 1:
        first = last = min(max(int(n * (best - low) / (high - low)), 0), n - 1)
    for i in range(n):
        if single[row + i] > _ZERO:
            first = min(first, i)
            last = max(last, i)
    return max((first - 0.5) / n, 0.0), min((last + 1.5) / n, 1.0)


@device
def _look_around(
    b: NDArray[np.float64],
    best1: float,
    log2: float,
    limit: float,
    inverse: float,
    box: Extent,
    room: Room,
) -> tuple[float, float, float, float]:
    """Return the part of a box, in units of its sides, that a coarse lattice cannot exclude."""
    low1, high1, low2, high2, f_low, f_high = box
    n1, n2 = _coarse(b, box, room)
    single = room.single
    fill_gains(n1, n2, f_low, f_high, limit, inverse, room.rows, single)
    _reach(n1, n2, single[LEAST - 1 :], single)
    first1, last1 = _kept(n1, best1, low1, high1, SLOW_REACHED, single)
    first2, last2 = _kept(n2, log2, low2, high2, FAST_REACHED, single)
    return first1, last1, first2, last2


@device
def bulk(
    b: NDArray[np.float64],
    likelihood: Likelihood,
    extent: Extent,
    room: Room,
) -> tuple[float, float, float, float, float, float]:
    """Return medians and widths of r1, ln r2 and f from a coarse lattice on the box.

    A width is the distance between the quartiles over that of a standard normal distribution, plus
    a part of a step, which the lattice cannot resolve.
    """
    low1, high1, low2, high2, f_low, f_high = extent
    n1, n2 = _coarse(b, extent, room)
    scratch, single = room.rows, room.single
    fill_pairs(n1, n2, f_low, f_high, 0.0, likelihood, scratch, single)
    power = likelihood.power
    for k in range(ROW):
        scratch[SLOW_MARGINAL + k] = scratch[FAST_MARGINAL + k] = 0.0
        scratch[FRACTION_MARGINAL + k] = 0.0
    total = span = 0.0
    for i in range(n1):
        for j in range(n2):
            at = i * ROW + j
            low, high = float(single[LOW + at]), float(single[HIGH + at])
            if low > high:
                continue
            drop = max(float(single[LEAST + at]), 0.0)
            weight = exp(-power * log(1.0 + drop)) if power > 0.0 else exp(-drop)
            if n2 > 1:
                weight *= scratch[FAST_RATE + j]
            half = 0.5 * (high - low)
            middle = min(max(int((low + half) * ROW), 0), ROW - 1)
            scratch[SLOW_MARGINAL + i] += weight
            scratch[FAST_MARGINAL + j] += weight
            scratch[FRACTION_MARGINAL + middle] += weight
            total += weight
            span += weight * half * (f_high - f_low)
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
    wide3 = quantile(FRACTION_MARGINAL, ROW, axis3, 0.75, scratch) - quantile(
        FRACTION_MARGINAL, ROW, axis3, 0.25, scratch
    )
    return (
        quantile(SLOW_MARGINAL, n1, axis1, 0.5, scratch),
        wide1 / _QUARTILE_DISTANCE + 0.3 * (high1 - low1) / n1,
        quantile(FAST_MARGINAL, n2, axis2, 0.5, scratch),
        wide2 / _QUARTILE_DISTANCE + 0.3 * (high2 - low2) / n2,
        quantile(FRACTION_MARGINAL, ROW, axis3, 0.5, scratch),
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
    best1: float,
    best2: float,
    reach1: float,
    reach2: float,
    limit: float,
    inverse: float,
    extent: Extent,
    room: Room,
) -> tuple[float, float, float, float, int]:
    """Return the box of rates outside which all pairs explain too little of the signal.

    Parameters
    ----------
    b : ndarray, shape (n_b,)
        b-values in s/mm^2.
    best1, best2 : float
        Rates of the best fit, mm^2/s.
    reach1, reach2 : float
        Half sides of the first box around the best fit, mm^2/s and in the logarithm.
    limit : float
        Gains (shares of the squared norm of the signal that are explained) below this are
        negligible.
    inverse : float
        The unit of drops of the likelihood.
    extent : tuple of float
        Limits of the box; equal ends fix a rate.
    room : Room
        Scratch, with the weighted signal (`pairs.weigh_signal`).

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
        first1, last1, first2, last2 = _look_around(
            b, best1, log2, limit, inverse, box, room
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
