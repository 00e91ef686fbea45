"""The descent of `ivimkit.kernels.two_decays.descent` for many voxels, one in each SIMD lane.

One voxel alone leaves most of a processor idle: sums over a few dozen b-values end in reductions
from vectors to numbers, and the step behind them waits for its own divisions. Here the innermost
loops run over lanes, in each of which one voxel descends. Nothing in them branches: what `descend`
decides, these loops compute both ways and choose, so the compiler makes vector instructions of
them. Step by step, they do the same as `descend`, whose formulas are derived in
`ivimkit.kernels.two_decays.newton`; only the inner products of the decays are summed here, as
reading their series would be a gather.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.two_decays.fitted_decays import (
    CONVERGED,
    MERGED,
    MIN_RATE_RATIO,
    UNFINISHED,
    Box,
    Fit,
)
from ivimkit.kernels.two_decays.newton import (
    BOUND_TOLERANCE,
    GAIN_TOLERANCE,
    MAX_DAMPED_STEPS,
    MAX_INVERSE_DETERMINANT,
    MAX_ITERATIONS,
    MAX_PROMISED_GAINS,
    MAX_SETTLED_ROUNDINGS,
    MAX_STEP,
    MIN_DAMPED_GAIN,
    MIN_RATIO_TO_CROSS,
    ROUNDING_SHARE,
    SAME_FAST_TOLERANCE,
    SAME_SLOW_TOLERANCE,
    STEP_TOLERANCE,
    detectability,
    promised,
    response,
    second_order,
)

__all__ = ["LANES", "SCRATCH", "Start", "begin", "has_ended", "pass_over", "read", "step"]

LANES = 16
"""Voxels of a batch. The compiler does not vectorise shorter loops."""
# Where the rows of LANES numbers begin in the flat array of a state. As they are constants, the
# compiler sees that the rows do not overlap and does not check that at run time.
_R1 = 0 * LANES
_R2 = 1 * LANES
_A1 = 2 * LANES
_A2 = 3 * LANES
_X1 = 4 * LANES
_X2 = 5 * LANES
_Y1 = 6 * LANES
_Y2 = 7 * LANES
_G1 = 8 * LANES
_G2 = 9 * LANES
_H11 = 10 * LANES
_H12 = 11 * LANES
_H22 = 12 * LANES
_T11 = 13 * LANES
_T12 = 14 * LANES
_T21 = 15 * LANES
_T22 = 16 * LANES
_M11 = 17 * LANES
_M12 = 18 * LANES
_M22 = 19 * LANES
_BEST = 20 * LANES
_DAMPING = 21 * LANES
_ENERGY = 22 * LANES
_COUNT = 23 * LANES
_SLOWLY = 24 * LANES
_KNOWN1 = 25 * LANES
_KNOWN2 = 26 * LANES
_LIMIT = 27 * LANES
_SEEN1 = 28 * LANES
_SEEN2 = 29 * LANES
_END = 30 * LANES
SCRATCH = 31 * LANES
"""Where the rows of sums begin; they are unused between a step and the next pass."""
_SUMS = 16
SIZE = SCRATCH + _SUMS * LANES
"""Numbers in a state."""
# Ends as floats, as a state is an array of floats.
_RUNNING = -1.0
_CONVERGED, _MERGED, _UNFINISHED = float(CONVERGED), float(MERGED), float(UNFINISHED)


class Start(NamedTuple):
    """Rates at which a descent begins, and what ends it early: as for `descent.descend`."""

    slow: float
    fast: float
    known_slow: float
    known_fast: float
    limit: float


class _Sums(NamedTuple):
    """Sums over the b-values, in the order of their rows.

    Products of the residual with e_k (q), b e_k (qb) and b^2 e_k (qbb), its square (cost), and the
    Gram matrix of the decays with the weights 1 (g), b (gb) and b^2 (gbb).
    """

    q1: float
    q2: float
    qb1: float
    qb2: float
    qbb1: float
    qbb2: float
    cost: float
    g11: float
    g12: float
    g22: float
    gb11: float
    gb12: float
    gb22: float
    gbb11: float
    gbb12: float
    gbb22: float


class _Change(NamedTuple):
    """How the amplitudes change to their best values at the rates of a pass.

    Parameters
    ----------
    d1, d2 : float
        Their changes.
    inverse : float
        The inverse determinant of the decays.
    inside : bool
        Whether the amplitudes are free.
    z1, z2, over : float
        If they are not, the direction along which they can move together, with its inverse squared
        norm (0 in the corner, where both amplitudes are 0).
    """

    d1: float
    d2: float
    inverse: float
    inside: bool
    z1: float
    z2: float
    over: float


class _Point(NamedTuple):
    """Rates x and their best amplitudes y, with half the cost around them as a parabola.

    Slope g and Hessian h by r1 and ln r2; t, how the amplitudes follow r1 and r2; the Gauss-Newton
    part m of the Hessian by r1 and r2.
    """

    x1: float
    x2: float
    y1: float
    y2: float
    g1: float
    g2: float
    h11: float
    h12: float
    h22: float
    t11: float
    t12: float
    t21: float
    t22: float
    m11: float
    m12: float
    m22: float


class _Trial(NamedTuple):
    """Rates r and amplitudes a of the next pass.

    In addition: the steps to them in r1 and in r2, and by how much the parabola promises that half
    the cost falls.
    """

    r1: float
    r2: float
    a1: float
    a2: float
    step1: float
    step2: float
    gain: float


@inlined
def _terms(
    bj: float, w: float, signal: float, rates: tuple[float, float, float, float]
) -> tuple[float, ...]:
    """Return what one b-value adds to the sums, in the order of `_Sums`."""
    r1, r2, a1, a2 = rates
    e1 = w * exp(-bj * r1)
    e2 = w * exp(-bj * r2)
    residual = signal - a1 * e1 - a2 * e2
    x1 = e1 * residual
    x2 = e2 * residual
    g11 = e1 * e1
    g12 = e1 * e2
    g22 = e2 * e2
    bb = bj * bj
    return (
        x1,
        x2,
        bj * x1,
        bj * x2,
        bb * x1,
        bb * x2,
        residual * residual,
        g11,
        g12,
        g22,
        bj * g11,
        bj * g12,
        bj * g22,
        bb * g11,
        bb * g12,
        bb * g22,
    )


@inlined
def _plus(s: tuple[float, ...], t: tuple[float, ...]) -> tuple[float, ...]:
    return (
        s[0] + t[0], s[1] + t[1], s[2] + t[2], s[3] + t[3],
        s[4] + t[4], s[5] + t[5], s[6] + t[6], s[7] + t[7],
        s[8] + t[8], s[9] + t[9], s[10] + t[10], s[11] + t[11],
        s[12] + t[12], s[13] + t[13], s[14] + t[14], s[15] + t[15],
    )  # fmt: skip


@inlined
def _add(state: NDArray[np.float64], k: int, s: tuple[float, ...]) -> None:
    state[SCRATCH + 0 * LANES + k] += s[0]
    state[SCRATCH + 1 * LANES + k] += s[1]
    state[SCRATCH + 2 * LANES + k] += s[2]
    state[SCRATCH + 3 * LANES + k] += s[3]
    state[SCRATCH + 4 * LANES + k] += s[4]
    state[SCRATCH + 5 * LANES + k] += s[5]
    state[SCRATCH + 6 * LANES + k] += s[6]
    state[SCRATCH + 7 * LANES + k] += s[7]
    state[SCRATCH + 8 * LANES + k] += s[8]
    state[SCRATCH + 9 * LANES + k] += s[9]
    state[SCRATCH + 10 * LANES + k] += s[10]
    state[SCRATCH + 11 * LANES + k] += s[11]
    state[SCRATCH + 12 * LANES + k] += s[12]
    state[SCRATCH + 13 * LANES + k] += s[13]
    state[SCRATCH + 14 * LANES + k] += s[14]
    state[SCRATCH + 15 * LANES + k] += s[15]


@device
def pass_over(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    n_b: int,
    state: NDArray[np.float64],
) -> None:
    """Sum what the next step of every lane needs over the b-values.

    Parameters
    ----------
    b, root_weight : ndarray, shape (>= n_b,)
        b-values in s/mm^2 and square roots of the weights.
    signals : ndarray, shape (>= n_b, LANES)
        The signal of a voxel in each column, times the root of the weight.
    n_b : int
        Number of b-values; the rest is padding.
    state : ndarray, shape (SIZE,)
        Of the descents.
    """
    for k in range(_SUMS * LANES):
        state[SCRATCH + k] = 0.0
    # Four b-values at a time: a sum that is kept in memory depends on its last store in every
    # step.
    whole = n_b - n_b % 4
    for j in range(0, whole, 4):
        b0, b1, b2, b3 = b[j], b[j + 1], b[j + 2], b[j + 3]
        w0, w1, w2, w3 = root_weight[j], root_weight[j + 1], root_weight[j + 2], root_weight[j + 3]
        for k in range(LANES):
            rates = state[_R1 + k], state[_R2 + k], state[_A1 + k], state[_A2 + k]
            s = _terms(b0, w0, signals[j, k], rates)
            t = _terms(b1, w1, signals[j + 1, k], rates)
            u = _terms(b2, w2, signals[j + 2, k], rates)
            v = _terms(b3, w3, signals[j + 3, k], rates)
            _add(state, k, _plus(_plus(s, t), _plus(u, v)))
    for j in range(whole, n_b):
        b0, w0 = b[j], root_weight[j]
        for k in range(LANES):
            rates = state[_R1 + k], state[_R2 + k], state[_A1 + k], state[_A2 + k]
            _add(state, k, _terms(b0, w0, signals[j, k], rates))


@inlined
def _inside(value: float, low: float, high: float) -> float:
    """Return the value, or the bound that it exceeds."""
    value = value if value > low else low
    return value if value < high else high


@inlined
def _read_sums(state: NDArray[np.float64], k: int) -> _Sums:
    """Return the sums of the last pass in lane `k`."""
    return _Sums(
        state[SCRATCH + 0 * LANES + k],
        state[SCRATCH + 1 * LANES + k],
        state[SCRATCH + 2 * LANES + k],
        state[SCRATCH + 3 * LANES + k],
        state[SCRATCH + 4 * LANES + k],
        state[SCRATCH + 5 * LANES + k],
        state[SCRATCH + 6 * LANES + k],
        state[SCRATCH + 7 * LANES + k],
        state[SCRATCH + 8 * LANES + k],
        state[SCRATCH + 9 * LANES + k],
        state[SCRATCH + 10 * LANES + k],
        state[SCRATCH + 11 * LANES + k],
        state[SCRATCH + 12 * LANES + k],
        state[SCRATCH + 13 * LANES + k],
        state[SCRATCH + 14 * LANES + k],
        state[SCRATCH + 15 * LANES + k],
    )


@inlined
def _on_edge(
    f: float, g11: float, g12: float, g22: float, p1: float, p2: float
) -> tuple[float, float, float]:
    """Return what the best S0 with a given fraction explains, that S0, and the decay's norm.

    The decay is e = (1 - f) e1 + f e2 and S0 = max(<e, s> / <e, e>, 0); the norm is 1 / <e, e>.
    """
    k = 1.0 - f
    norm = k * k * g11 + 2.0 * k * f * g12 + f * f * g22
    dot = k * p1 + f * p2
    inverse = 1.0 / norm if norm > 0.0 else 0.0
    s0 = dot * inverse
    s0 = s0 if s0 > 0.0 else 0.0
    return s0 * (2.0 * dot - s0 * norm), s0, inverse


@inlined
def _change(sums: _Sums, a1: float, a2: float, box: Box) -> _Change:
    """Return how the amplitudes change to the best ones inside their bounds.

    S0 has no bound here except 0, so the polygon of `amplitudes.solve_amplitudes` is a cone with
    two edges; both are computed, and the one that explains more is taken.
    """
    q1, q2, g11, g12, g22 = sums.q1, sums.q2, sums.g11, sums.g12, sums.g22
    f_low, f_high = box.f_low, box.f_high
    inverse = 1.0 / (g11 * g22 - g12 * g12)
    d1 = (g22 * q1 - g12 * q2) * inverse
    d2 = (g11 * q2 - g12 * q1) * inverse
    s0 = a1 + d1 + a2 + d2
    fast = a2 + d2
    inside = (
        (s0 > 0.0)
        & (f_low * s0 < fast)
        & (fast < f_high * s0)
        & (inverse * g11 * g22 < MAX_INVERSE_DETERMINANT)
        & (inverse > 0.0)
    )
    p1 = q1 + g11 * a1 + g12 * a2
    p2 = q2 + g12 * a1 + g22 * a2
    gain_low, s0_low, over_low = _on_edge(f_low, g11, g12, g22, p1, p2)
    gain_high, s0_high, over_high = _on_edge(f_high, g11, g12, g22, p1, p2)
    high = gain_high > gain_low
    s0 = s0_high if high else s0_low
    over = over_high if high else over_low
    over = over if s0 > 0.0 else 0.0
    z2 = f_high if high else f_low
    z1 = 1.0 - z2
    d1 = d1 if inside else z1 * s0 - a1
    d2 = d2 if inside else z2 * s0 - a2
    return _Change(d1, d2, inverse, inside, z1, z2, over)


@inlined
def _cost_after(sums: _Sums, change: _Change) -> float:
    """Return the cost with the changed amplitudes: |r - d1 e1 - d2 e2|^2."""
    d1, d2, g12 = change.d1, change.d2, sums.g12
    cost = sums.cost
    cost += d1 * (sums.g11 * d1 + g12 * d2 - 2.0 * sums.q1) + d2 * (
        g12 * d1 + sums.g22 * d2 - 2.0 * sums.q2
    )
    return cost


@inlined
def _in_logarithm(rate: float, low: float, high: float) -> tuple[float, float]:
    """Return the bounds of a step of the fast rate, which goes to r (2 + d) / (2 - d).

    A bound x is reached at d = 2 (x - r) / (x + r); both ends have one division in common.
    """
    over = 2.0 / ((low + rate) * (high + rate))
    down = (low - rate) * (high + rate) * over
    up = (high - rate) * (low + rate) * over
    return down if down > -MAX_STEP else -MAX_STEP, up if up < MAX_STEP else MAX_STEP


@inlined
def _box_step(
    g1: float, g2: float, h11: float, h12: float, h22: float,
    low1: float, high1: float, low2: float, high2: float,
) -> tuple[float, float]:  # fmt: skip
    """Minimise g.d + d.H.d / 2 over a box, like `ivimkit.kernels.two_decays.descent._box_step`."""
    det = 1.0 / (h11 * h22 - h12 * h12)
    d1 = -(h22 * g1 - h12 * g2) * det
    d2 = -(h11 * g2 - h12 * g1) * det
    in1 = (low1 <= d1) & (d1 <= high1)
    in2 = (low2 <= d2) & (d2 <= high2)
    over = 1.0 / (h11 * h22)
    x1 = _inside(d1, low1, high1)
    x2 = _inside(-(g2 + h12 * x1) * h11 * over, low2, high2)
    y2 = _inside(d2, low2, high2)
    y1 = _inside(-(g1 + h12 * y2) * h22 * over, low1, high1)
    value_x = g1 * x1 + g2 * x2 + 0.5 * (h11 * x1 * x1 + h22 * x2 * x2) + h12 * x1 * x2
    value_y = g1 * y1 + g2 * y2 + 0.5 * (h11 * y1 * y1 + h22 * y2 * y2) + h12 * y1 * y2
    use_x = (in2 & (not in1)) | ((not in1) & (not in2) & (value_x <= value_y))
    free = in1 & in2
    x1 = x1 if use_x else y1
    x2 = x2 if use_x else y2
    return d1 if free else x1, d2 if free else x2


@inlined
def _point(
    rates: tuple[float, float], amplitudes: tuple[float, float], sums: _Sums, change: _Change
) -> _Point:
    """Return slope and Hessian of the projected cost at the rates of a pass (`newton`)."""
    x1, x2 = rates
    y1, y2 = amplitudes
    z1, z2, over, inside = change.z1, change.z2, change.over, change.inside
    g1, g2, c11, c12, c21, c22, m11, m12, m22, n11, n22 = second_order(
        y1, y2, change.d1, change.d2, sums.qb1, sums.qb2, sums.qbb1, sums.qbb2,
        sums.gb11, sums.gb12, sums.gb22, sums.gbb11, sums.gbb12, sums.gbb22,
    )  # fmt: skip
    # On an edge the amplitudes respond along z alone: t = -z (z.c) / (z.G z).
    k1 = -(z1 * c11 + z2 * c21) * over
    k2 = -(z1 * c12 + z2 * c22) * over
    f11, f12, f21, f22 = response(sums.g11, sums.g12, sums.g22, change.inverse, c11, c12, c21, c22)
    t11 = f11 if inside else z1 * k1
    t12 = f12 if inside else z1 * k2
    t21 = f21 if inside else z2 * k1
    t22 = f22 if inside else z2 * k2
    h11 = m11 + n11 + c11 * t11 + c21 * t21
    h12 = m12 + c11 * t12 + c21 * t22
    h22 = m22 + n22 + c12 * t12 + c22 * t22
    # In ln r2: d/dx = r2 d/dr2, d2/dx2 = r2^2 d2/dr2^2 + r2 d/dr2.
    h12 *= x2
    h22 = x2 * x2 * h22 + x2 * g2
    g2 *= x2
    return _Point(x1, x2, y1, y2, g1, g2, h11, h12, h22, t11, t12, t21, t22, m11, m12, m22)


@inlined
def _convex(point: _Point, box: Box) -> tuple[_Point, bool, bool]:
    """Return the point with a parabola that has a minimum on the box.

    In addition: whether a rate can move, and whether the Hessian was not positive definite. A rate
    that is at the bound to which it goes, or that of an absent decay, stays: its slope becomes 0
    and its row of the Hessian that of the unit matrix.
    """
    x1, x2, y1, y2, g1, g2, h11, h12, h22, t11, t12, t21, t22, m11, m12, m22 = point
    _, _, _, _, r2_low, r2_high, r1_low, r1_high = box
    down1 = g1 >= 0.0
    down2 = g2 >= 0.0
    move1 = (y1 > 0.0) & ((down1 & (r1_low < x1)) | ((not down1) & (x1 < r1_high)))
    move2 = (y2 > 0.0) & ((down2 & (r2_low < x2)) | ((not down2) & (x2 < r2_high)))
    g1 = g1 if move1 else 0.0
    g2 = g2 if move2 else 0.0
    h12 = h12 if move1 & move2 else 0.0
    h11 = h11 if move1 else 1.0
    h22 = h22 if move2 else 1.0
    scale1 = m11 if move1 else 1.0
    scale2 = x2 * x2 * m22 if move2 else 1.0
    # Where the Hessian is not positive definite, a multiple of the Gauss-Newton diagonal lifts
    # its lowest scaled eigenvalue to 1e-3, see `descent.descend`.
    bent = (h11 < 1e-10 * scale1) | (h11 * h22 - h12 * h12 < 1e-10 * scale1 * scale2)
    over = 1.0 / (scale1 * scale2)
    n11 = h11 * scale2 * over
    n22 = h22 * scale1 * over
    half = 0.5 * (n11 - n22)
    lowest = 0.5 * (n11 + n22) - math.sqrt(half * half + h12 * h12 * over)
    lift = 1e-3 - lowest if bent else 0.0
    h11 += lift * scale1
    h22 += lift * scale2
    convex = _Point(x1, x2, y1, y2, g1, g2, h11, h12, h22, t11, t12, t21, t22, m11, m12, m22)
    return convex, move1 | move2, bent


@inlined
def _kept_if(rejected: bool, state: NDArray[np.float64], k: int, point: _Point) -> _Point:
    """Return the point, or the last accepted one if a step was rejected."""
    return _Point(
        state[_X1 + k] if rejected else point.x1,
        state[_X2 + k] if rejected else point.x2,
        state[_Y1 + k] if rejected else point.y1,
        state[_Y2 + k] if rejected else point.y2,
        state[_G1 + k] if rejected else point.g1,
        state[_G2 + k] if rejected else point.g2,
        state[_H11 + k] if rejected else point.h11,
        state[_H12 + k] if rejected else point.h12,
        state[_H22 + k] if rejected else point.h22,
        state[_T11 + k] if rejected else point.t11,
        state[_T12 + k] if rejected else point.t12,
        state[_T21 + k] if rejected else point.t21,
        state[_T22 + k] if rejected else point.t22,
        state[_M11 + k] if rejected else point.m11,
        state[_M12 + k] if rejected else point.m12,
        state[_M22 + k] if rejected else point.m22,
    )


@inlined
def _keep(state: NDArray[np.float64], k: int, point: _Point) -> None:
    """Write the point to the state."""
    state[_X1 + k] = point.x1
    state[_X2 + k] = point.x2
    state[_Y1 + k] = point.y1
    state[_Y2 + k] = point.y2
    state[_G1 + k] = point.g1
    state[_G2 + k] = point.g2
    state[_H11 + k] = point.h11
    state[_H12 + k] = point.h12
    state[_H22 + k] = point.h22
    state[_T11 + k] = point.t11
    state[_T12 + k] = point.t12
    state[_T21 + k] = point.t21
    state[_T22 + k] = point.t22
    state[_M11 + k] = point.m11
    state[_M12 + k] = point.m12
    state[_M22 + k] = point.m22


@inlined
def _newton(point: _Point, damping: float, box: Box) -> tuple[_Trial, float]:
    """Return where the Newton step on the box goes, and the damping that it leaves."""
    x1, x2, y1, y2, g1, g2, h11, h12, h22, t11, t12, t21, t22, _, _, _ = point
    _, _, _, _, r2_low, r2_high, r1_low, r1_high = box
    d1, d2 = _box_step(
        g1, g2, h11 * (1.0 + damping), h12, h22 * (1.0 + damping),
        r1_low - x1, r1_high - x1, *_in_logarithm(x2, r2_low, r2_high),
    )  # fmt: skip
    # Rates that are far apart meet half way at most.
    crossing = (x1 + d1 > x2 * (1.0 + d2)) & (x2 > MIN_RATIO_TO_CROSS * x1)
    cut = 0.5 * (x2 - x1) / (d1 - x2 * d2)
    cut = cut if crossing else 1.0
    d1 *= cut
    d2 *= cut
    damping_after = 1e-3 if crossing & (damping < 1e-3) else damping
    gain = promised(g1, g2, h11, h12, h22, d1, d2)
    r1 = _inside(x1 + d1, r1_low, r1_high)
    r2 = x2 * (2.0 + d2) / (2.0 - d2)
    r2 = r2_low if r2 <= r2_low * (1.0 + BOUND_TOLERANCE) else r2
    r2 = r2_high if r2 >= r2_high * (1.0 - BOUND_TOLERANCE) else r2
    d2x = d2 * x2
    a1 = y1 + t11 * d1 + t12 * d2x
    a2 = y2 + t21 * d1 + t22 * d2x
    return _Trial(r1, r2, a1, a2, d1, d2x, gain), damping_after


@inlined
def _end_of_trial(
    state: NDArray[np.float64], k: int, point: _Point, trial: _Trial, best: float,
    damping: float, count: float,
) -> tuple[float, bool]:  # fmt: skip
    """Return how the descent ends by what the next step promises, and whether at a minimum."""
    free = damping == 0.0
    known1 = state[_KNOWN1 + k]
    known2 = state[_KNOWN2 + k]
    off1 = trial.r1 - known1
    off2 = trial.r2 - known2
    off1 = off1 if off1 > 0.0 else -off1
    off2 = off2 if off2 > 0.0 else -off2
    same = (off1 < SAME_SLOW_TOLERANCE * known1) & (off2 < SAME_FAST_TOLERANCE * known2)
    hopeless = free & (best - MAX_PROMISED_GAINS * trial.gain > state[_LIMIT + k])
    long1 = trial.step1 if trial.step1 > 0.0 else -trial.step1
    long2 = trial.step2 if trial.step2 > 0.0 else -trial.step2
    small = (long1 <= STEP_TOLERANCE * point.x1) & (long2 <= STEP_TOLERANCE * point.x2)
    there = free & (small | (2.0 * trial.gain <= GAIN_TOLERANCE * best))
    merged = trial.r2 < MIN_RATE_RATIO * trial.r1
    # Later assignments win: the order is that of the tests in `descend`, last one first.
    end = _UNFINISHED if count >= MAX_ITERATIONS else _RUNNING
    end = _CONVERGED if there else end
    end = _UNFINISHED if same | hopeless else end
    end = _MERGED if merged else end
    return end, there & (not (same | hopeless)) & (not merged)


@inlined
def _last_step(
    stepped: bool, inside: bool, point: _Point, trial: _Trial, best: float, box: Box
) -> tuple[_Point, float]:
    """Return where the descent is and its cost, after a last step that keeps to the bounds."""
    x1, x2, y1, y2, g1, g2, h11, h12, h22, t11, t12, t21, t22, m11, m12, m22 = point
    a1, a2 = trial.a1, trial.a2
    s0 = a1 + a2
    # On an edge, rounding must not decide on which side of it the last step ends.
    slack = 0.0 if inside else BOUND_TOLERANCE * s0
    good = (s0 >= 0.0) & (box.f_low * s0 - slack <= a2) & (a2 <= box.f_high * s0 + slack)
    stepped = stepped & good
    lower = best - 2.0 * trial.gain
    lower = lower if lower > 0.0 else 0.0
    best = lower if stepped else best
    x1 = trial.r1 if stepped else x1
    x2 = trial.r2 if stepped else x2
    y1 = a1 if stepped else y1
    y2 = a2 if stepped else y2
    return _Point(x1, x2, y1, y2, g1, g2, h11, h12, h22, t11, t12, t21, t22, m11, m12, m22), best


@inlined
def _seen(point: _Point, sums: _Sums, box: Box) -> tuple[float, float]:
    """Return the detectability of the amplitudes; a rate at its bound is treated as known."""
    x1, x2, y1, y2 = point.x1, point.x2, point.y1, point.y2
    free1 = 1.0 if (box.slow_low < x1) & (x1 < box.slow_high) else 0.0
    free2 = 1.0 if (box.fast_low < x2) & (x2 < box.fast_high) else 0.0
    return detectability(
        sums.g11, sums.g12, sums.g22,
        -free1 * y1 * sums.gb11, -free2 * y2 * sums.gb12,
        -free1 * y1 * sums.gb12, -free2 * y2 * sums.gb22,
        free1 * point.m11, free1 * free2 * point.m12, free2 * point.m22, y1, y2,
    )  # fmt: skip


@device
def step(state: NDArray[np.float64], box: Box) -> None:
    """Do in every lane what `ivimkit.kernels.two_decays.descent.descend` does after a pass.

    Parameters
    ----------
    state : ndarray, shape (SIZE,)
        Of the descents, with the sums of a pass.
    box : Box
        Bounds. S0 has no bound except 0.
    """
    for k in range(LANES):
        sums = _read_sums(state, k)
        count = state[_COUNT + k] + 1.0
        energy = sums.cost if count == 1.0 else state[_ENERGY + k]
        noise = ROUNDING_SHARE * energy
        best = state[_BEST + k]
        damping = state[_DAMPING + k]
        # The best amplitudes at the rates of the pass, and whether they lower the cost.
        a1, a2 = state[_A1 + k], state[_A2 + k]
        change = _change(sums, a1, a2, box)
        cost = _cost_after(sums, change)
        rejected = cost > best + noise
        settled = (best - cost <= MAX_SETTLED_ROUNDINGS * noise) & (count > 2.0) & (damping == 0.0)
        slow = state[_SLOWLY + k]
        slowly = (damping > 0.0) & (best - cost < MIN_DAMPED_GAIN * cost)
        slow_new = slow + 1.0 if slowly else 0.0
        slow = slow if rejected else slow_new
        # The parabola there; a rejected step returns to the last accepted point.
        rates = state[_R1 + k], state[_R2 + k]
        here, moves, bent = _convex(
            _point(rates, (a1 + change.d1, a2 + change.d2), sums, change), box
        )
        damping_new = 0.1 * damping if damping > 1e-3 else 0.0
        damping_new = 1e-3 if bent & (damping_new < 1e-3) else damping_new
        more = 10.0 * damping if 10.0 * damping > 0.01 else 0.01
        damping = more if rejected else damping_new
        best = best if rejected else cost
        point = _kept_if(rejected, state, k, here)
        trial, damping_after = _newton(point, damping, box)
        # How the descent ends, again last test first.
        end, there = _end_of_trial(state, k, point, trial, best, damping_after, count)
        stopped = (not rejected) & (settled | (not moves))
        end = _CONVERGED if stopped else end
        crawling = (not rejected) & (slow == MAX_DAMPED_STEPS)
        end = _UNFINISHED if crawling else end
        stuck = rejected & (damping > 1e8)
        end = _CONVERGED if stuck else end
        stepped = there & (not stopped) & (not crawling) & (not stuck)
        point, best = _last_step(stepped, change.inside, point, trial, best, box)
        seen1, seen2 = _seen(point, sums, box)
        state[_SEEN1 + k] = seen1
        state[_SEEN2 + k] = seen2
        state[_R1 + k] = trial.r1
        state[_R2 + k] = trial.r2
        state[_A1 + k] = trial.a1
        state[_A2 + k] = trial.a2
        _keep(state, k, point)
        state[_BEST + k] = best
        state[_DAMPING + k] = damping_after
        state[_ENERGY + k] = energy
        state[_COUNT + k] = count
        state[_SLOWLY + k] = slow
        state[_END + k] = end


@inlined
def begin(state: NDArray[np.float64], k: int, start: Start) -> None:
    """Begin a descent in lane `k`."""
    state[_R1 + k] = start.slow
    state[_R2 + k] = start.fast
    state[_A1 + k] = 0.0
    state[_A2 + k] = 0.0
    state[_BEST + k] = math.inf
    state[_DAMPING + k] = 0.0
    state[_COUNT + k] = 0.0
    state[_SLOWLY + k] = 0.0
    state[_KNOWN1 + k] = start.known_slow
    state[_KNOWN2 + k] = start.known_fast
    state[_LIMIT + k] = start.limit


@inlined
def has_ended(state: NDArray[np.float64], k: int) -> bool:
    """Return whether the last step ended the descent in lane `k`."""
    return bool(state[_END + k] != _RUNNING)


@inlined
def read(state: NDArray[np.float64], k: int) -> tuple[Fit, float]:
    """Return what the descent in lane `k` found, and the squared norm of the signal."""
    fit = Fit(
        state[_X1 + k],
        state[_X2 + k],
        state[_Y1 + k],
        state[_Y2 + k],
        state[_BEST + k],
        state[_SEEN1 + k],
        state[_SEEN2 + k],
        int(state[_COUNT + k]),
        int(state[_END + k]),
    )
    return fit, state[_ENERGY + k]
