"""Find the box of rates outside which the posterior is negligible, and its approximate width."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite, inlined
from ivimkit.kernels.exponential import exp_single, log
from ivimkit.kernels.memory import spot
from ivimkit.kernels.two_decays.atoms import moments
from ivimkit.kernels.two_decays.lattice.axes import Extent, axis_between, fill_axis
from ivimkit.kernels.two_decays.lattice.pairs import (
    Likelihood,
    fill_gains,
    fill_products,
    log_fall,
)
from ivimkit.kernels.two_decays.lattice.quantiles import quantile
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    FAST_MARGINAL,
    FAST_PLACE,
    FAST_RATE,
    FAST_STEP,
    LANES,
    ROW,
    SLOW_MARGINAL,
    SLOW_PLACE,
    SLOW_STEP,
    Room,
)
from ivimkit.kernels.two_decays.lattice.single_rows import (
    FAST_REACHED,
    LEAST,
    REACH,
    REACH_INNER,
    REACH_OUTER,
    SLOW_REACHED,
)

__all__ = ["MAX_LOG_DROP", "MAX_TAILED_DROP", "N_COARSE_NODES", "Region", "curvature", "locate"]

N_COARSE_NODES = LANES
"""Nodes per rate of the coarse lattices that locate the posterior."""
MAX_LOG_DROP = 9.0
"""The posterior is cut off where its profile is exp(-MAX_LOG_DROP) of that of the best fit."""
MAX_TAILED_DROP = 10.5
"""The same where the noise variance is integrated out: such a density has more in its tails."""
# Number of coarse lattices at most.
_MAX_LEVELS = 16
# A box of which a coarse lattice keeps more than this share is not divided again.
_MIN_KEPT_AREA = 0.4
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


class Region(NamedTuple):
    """Where the posterior of the rates is: ends of r1 and ln r2, and about its median and width.

    Widths are infinite for rates that are fixed; `levels` is how many coarse lattices it took.
    """

    low1: float
    high1: float
    low2: float
    high2: float
    centre1: float
    width1: float
    centre2: float
    width2: float
    levels: int


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
        single[REACH_INNER + k] = _ONE if k > 0 and k < n2 - 1 else _ZERO
        single[REACH_OUTER + k] = _ZERO if k < n2 else _NO_GAIN
    for i in range(n1):
        # At the edges a row is its own neighbour: then the parabola adds nothing.
        inner = i > 0 and i < n1 - 1
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
def _coarse(b: NDArray[np.float64], box: Extent, room: Room) -> tuple[int, int]:
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

    The node of the best fit is always part of it. The part ends half a step behind where a line
    between the last node that reaches the limit and the next one crosses it: a rounding then moves
    the ends by as little.
    """
    first = last = 0
    if n > 1:
        first = last = min(max(int(n * (best - low) / (high - low)), 0), n - 1)
    for i in range(n):
        if single[row + i] > _ZERO:
            first = min(first, i)
            last = max(last, i)
    start, end = float(first), last + 1.0
    if first > 0:
        start -= _crossing(single[row + first], single[row + first - 1])
    if last < n - 1:
        end += _crossing(single[row + last], single[row + last + 1])
    return (start / n if first > 0 else 0.0), (end / n if last < n - 1 else 1.0)


@inlined
def _crossing(above: np.float32, below: np.float32) -> float:
    """Return the part of the way to a node at which the limit is crossed, half of it at least.

    It is 1 if the limit is not crossed.
    """
    part = float(above / (above - below)) if above > _ZERO and above > below else 1.0
    return max(part, 0.5)


@device
def _look_around(
    b: NDArray[np.float64],
    best1: float,
    log2: float,
    likelihood: Likelihood,
    box: Extent,
    room: Room,
) -> tuple[float, float, float, float]:
    """Return the part of a box, in units of its sides, that a coarse lattice cannot exclude."""
    low1, high1, low2, high2, f_low, f_high = box
    n1, n2 = _coarse(b, box, room)
    single = room.single
    fill_gains(n1, n2, f_low, f_high, likelihood, room.rows, single)
    _reach(n1, n2, single[LEAST - 1 :], single)
    first1, last1 = _kept(n1, best1, low1, high1, SLOW_REACHED, single)
    first2, last2 = _kept(n2, log2, low2, high2, FAST_REACHED, single)
    return first1, last1, first2, last2


@finite
def _weigh(
    n1: int,
    n2: int,
    power: np.float32,
    most: np.float32,
    scratch: NDArray[np.float64],
    single: NDArray[np.float32],
) -> None:
    """Write the marginals of the rates on a coarse lattice to the scratch.

    The profile over the fraction stands for the integral over it.
    """
    for k in range(LANES):
        single[FAST_REACHED + k] = _ZERO
        # Equal steps of ln r2 are longer in r2 where it is large.
        single[REACH_INNER + k] = (scratch[FAST_RATE + k] if n2 > 1 else 1.0) if k < n2 else 0.0
    for i in range(n1):
        at = LEAST + i * ROW
        for k in range(LANES):
            drop = most - single[spot(at, k)]
            drop = drop if drop > _ZERO else _ZERO
            single[REACH + k] = exp_single(-log_fall(drop, power)) * single[REACH_INNER + k]
        total = _ZERO
        for k in range(LANES):
            total += single[REACH + k]
            single[FAST_REACHED + k] += single[REACH + k]
        scratch[SLOW_MARGINAL + i] = total
    for k in range(LANES):
        scratch[FAST_MARGINAL + k] = single[FAST_REACHED + k]


@device
def _bulk(
    row: int, n: int, low: float, high: float, scratch: NDArray[np.float64]
) -> tuple[float, float]:
    """Return median and width of a marginal on a coarse lattice.

    The width is the distance between the quartiles over that of a standard normal distribution,
    plus a part of a step, which the lattice cannot resolve.
    """
    if not low < high:
        return low, math.inf
    axis = axis_between(low, high, low, math.inf)
    apart = quantile(row, n, axis, 0.75, scratch) - quantile(row, n, axis, 0.25, scratch)
    width = apart / _QUARTILE_DISTANCE + 0.3 * (high - low) / n
    return quantile(row, n, axis, 0.5, scratch), width


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
    likelihood: Likelihood,
    extent: Extent,
    room: Room,
) -> Region:
    """Return the box of rates outside which all pairs explain too little of the signal.

    Parameters
    ----------
    b : ndarray, shape (n_b,)
        b-values in s/mm^2.
    best1, best2 : float
        Rates of the best fit, mm^2/s.
    reach1, reach2 : float
        Half sides of the first box around the best fit, mm^2/s and in the logarithm.
    likelihood : Likelihood
        How the likelihood follows from the gain.
    extent : tuple of float
        Limits of the box; equal ends fix a rate.
    room : Room
        Scratch, with the weighted signal (`pairs.weigh_signal`).

    Returns
    -------
    Region
    """
    least1, most1, least2, most2, f_low, f_high = extent
    log2 = log(best2)
    low1, high1 = max(best1 - reach1, least1), min(best1 + reach1, most1)
    low2, high2 = max(log2 - reach2, least2), min(log2 + reach2, most2)
    if not (low1 < high1 and low2 < high2):
        low1, high1, low2, high2 = least1, most1, least2, most2
    grows = True
    first1 = first2 = 0.0
    last1 = last2 = 1.0
    levels = 0
    while levels < _MAX_LEVELS:
        levels += 1
        box = (low1, high1, low2, high2, f_low, f_high)
        first1, last1, first2, last2 = _look_around(b, best1, log2, likelihood, box, room)
        if grows:
            wide1 = _widened(low1, high1, first1, last1, least1, most1)
            wide2 = _widened(low2, high2, first2, last2, least2, most2)
            if wide1 != (low1, high1) or wide2 != (low2, high2):
                low1, high1 = wide1
                low2, high2 = wide2
                continue
            grows = False
        if (last1 - first1) * (last2 - first2) > _MIN_KEPT_AREA or levels == _MAX_LEVELS:
            break
        low1, high1 = low1 + first1 * (high1 - low1), low1 + last1 * (high1 - low1)
        low2, high2 = low2 + first2 * (high2 - low2), low2 + last2 * (high2 - low2)
    n1, n2 = (N_COARSE_NODES if low1 < high1 else 1), (N_COARSE_NODES if low2 < high2 else 1)
    most, power = np.float32(likelihood.most), np.float32(likelihood.power)
    _weigh(n1, n2, power, most, room.rows, room.single)
    centre1, width1 = _bulk(SLOW_MARGINAL, n1, low1, high1, room.rows)
    centre2, width2 = _bulk(FAST_MARGINAL, n2, low2, high2, room.rows)
    side1, side2 = high1 - low1, high2 - low2
    return Region(
        low1 + first1 * side1, low1 + last1 * side1, low2 + first2 * side2, low2 + last2 * side2,
        centre1, width1, centre2, width2, levels,
    )  # fmt: skip
