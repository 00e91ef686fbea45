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

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.two_decays.fit import CONVERGED, MERGED, MIN_RATE_RATIO, UNFINISHED, Fit
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

__all__ = ["LANES", "SCRATCH", "begin", "has_ended", "pass_over", "read", "step"]

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


@inlined
def _terms(
    bj: float, w: float, signal: float, rates: tuple[float, float, float, float]
) -> tuple[float, ...]:
    """Return what one b-value adds to the sums.

    Products of the residual with e_k, b e_k and b^2 e_k, its square, and the Gram matrix of the
    decays with the weights 1, b and b^2, in the order in which `step` reads them.
    """
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
def _amplitudes(
    q1: float, q2: float, g11: float, g12: float, g22: float, a1: float, a2: float,
    f_low: float, f_high: float,
) -> tuple[float, float, float, bool, float, float, float]:  # fmt: skip
    """Return how the amplitudes change, inside their bounds.

    In addition to these d1 and d2: the inverse determinant of the decays; whether the amplitudes
    are free; and if not, the direction along which they can move together, with its inverse
    squared norm (0 in the corner, where both amplitudes are 0). S0 has no bound here except 0, so
    the polygon of `amplitudes.solve_amplitudes` is a cone with two edges; both are computed, and
    the one that explains more is taken.
    """
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
    return d1, d2, inverse, inside, z1, z2, over


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


@device
def step(
    state: NDArray[np.float64],
    f_low: float,
    f_high: float,
    r1_low: float,
    r1_high: float,
    r2_low: float,
    r2_high: float,
) -> None:
    """Do in every lane what `ivimkit.kernels.two_decays.descent.descend` does after a pass.

    Parameters
    ----------
    state : ndarray, shape (SIZE,)
        Of the descents, with the sums of a pass.
    f_low, f_high, r1_low, r1_high, r2_low, r2_high : float
        Bounds of the fraction, of the slow and of the fast rate. S0 has no bound except 0.
    """
    for k in range(LANES):
        q1 = state[SCRATCH + 0 * LANES + k]
        q2 = state[SCRATCH + 1 * LANES + k]
        qb1 = state[SCRATCH + 2 * LANES + k]
        qb2 = state[SCRATCH + 3 * LANES + k]
        qbb1 = state[SCRATCH + 4 * LANES + k]
        qbb2 = state[SCRATCH + 5 * LANES + k]
        cost = state[SCRATCH + 6 * LANES + k]
        g11 = state[SCRATCH + 7 * LANES + k]
        g12 = state[SCRATCH + 8 * LANES + k]
        g22 = state[SCRATCH + 9 * LANES + k]
        gb11 = state[SCRATCH + 10 * LANES + k]
        gb12 = state[SCRATCH + 11 * LANES + k]
        gb22 = state[SCRATCH + 12 * LANES + k]
        gbb11 = state[SCRATCH + 13 * LANES + k]
        gbb12 = state[SCRATCH + 14 * LANES + k]
        gbb22 = state[SCRATCH + 15 * LANES + k]
        a1 = state[_A1 + k]
        a2 = state[_A2 + k]
        best = state[_BEST + k]
        damping = state[_DAMPING + k]
        count = state[_COUNT + k] + 1.0
        energy = cost if count == 1.0 else state[_ENERGY + k]
        noise = ROUNDING_SHARE * energy
        d1, d2, inverse, inside, z1, z2, over = _amplitudes(
            q1, q2, g11, g12, g22, a1, a2, f_low, f_high
        )
        cost += d1 * (g11 * d1 + g12 * d2 - 2.0 * q1) + d2 * (g12 * d1 + g22 * d2 - 2.0 * q2)
        rejected = cost > best + noise
        # Slope and Hessian of the projected cost at the new amplitudes (`newton`).
        settled = (best - cost <= MAX_SETTLED_ROUNDINGS * noise) & (count > 2.0) & (damping == 0.0)
        slow = state[_SLOWLY + k]
        slowly = (damping > 0.0) & (best - cost < MIN_DAMPED_GAIN * cost)
        slow_new = slow + 1.0 if slowly else 0.0
        slow = slow if rejected else slow_new
        x1 = state[_R1 + k]
        x2 = state[_R2 + k]
        y1 = a1 + d1
        y2 = a2 + d2
        g1, g2, c11, c12, c21, c22, m11, m12, m22, n11, n22 = second_order(
            y1, y2, d1, d2, qb1, qb2, qbb1, qbb2, gb11, gb12, gb22, gbb11, gbb12, gbb22
        )
        # On an edge the amplitudes respond along z alone: t = -z (z.c) / (z.G z).
        k1 = -(z1 * c11 + z2 * c21) * over
        k2 = -(z1 * c12 + z2 * c22) * over
        f11, f12, f21, f22 = response(g11, g12, g22, inverse, c11, c12, c21, c22)
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
        damping_new = 0.1 * damping if damping > 1e-3 else 0.0
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
        damping_new = 1e-3 if bent & (damping_new < 1e-3) else damping_new
        # A rejected step returns to the last accepted point.
        more = 10.0 * damping if 10.0 * damping > 0.01 else 0.01
        damping = more if rejected else damping_new
        best = best if rejected else cost
        x1 = state[_X1 + k] if rejected else x1
        x2 = state[_X2 + k] if rejected else x2
        y1 = state[_Y1 + k] if rejected else y1
        y2 = state[_Y2 + k] if rejected else y2
        g1 = state[_G1 + k] if rejected else g1
        g2 = state[_G2 + k] if rejected else g2
        h11 = state[_H11 + k] if rejected else h11
        h12 = state[_H12 + k] if rejected else h12
        h22 = state[_H22 + k] if rejected else h22
        t11 = state[_T11 + k] if rejected else t11
        t12 = state[_T12 + k] if rejected else t12
        t21 = state[_T21 + k] if rejected else t21
        t22 = state[_T22 + k] if rejected else t22
        m11 = state[_M11 + k] if rejected else m11
        m12 = state[_M12 + k] if rejected else m12
        m22 = state[_M22 + k] if rejected else m22
        # The Newton step, on the box.
        d1, d2 = _box_step(
            g1, g2, h11 * (1.0 + damping), h12, h22 * (1.0 + damping),
            r1_low - x1, r1_high - x1, *_in_logarithm(x2, r2_low, r2_high),
        )  # fmt: skip
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
        # How the descent ends. Later assignments win: the order is that of the tests in `descend`,
        # last one first.
        free = damping_after == 0.0
        known1 = state[_KNOWN1 + k]
        known2 = state[_KNOWN2 + k]
        off1 = r1 - known1
        off2 = r2 - known2
        off1 = off1 if off1 > 0.0 else -off1
        off2 = off2 if off2 > 0.0 else -off2
        same = (off1 < SAME_SLOW_TOLERANCE * known1) & (off2 < SAME_FAST_TOLERANCE * known2)
        hopeless = free & (best - MAX_PROMISED_GAINS * gain > state[_LIMIT + k])
        long1 = d1 if d1 > 0.0 else -d1
        long2 = d2x if d2x > 0.0 else -d2x
        small = (long1 <= STEP_TOLERANCE * x1) & (long2 <= STEP_TOLERANCE * x2)
        there = free & (small | (2.0 * gain <= GAIN_TOLERANCE * best))
        end = _UNFINISHED if count >= MAX_ITERATIONS else _RUNNING
        end = _CONVERGED if there else end
        end = _UNFINISHED if same | hopeless else end
        end = _MERGED if r2 < MIN_RATE_RATIO * r1 else end
        stepped = there & (not (same | hopeless)) & (not (r2 < MIN_RATE_RATIO * r1))
        stopped = (not rejected) & (settled | (not (move1 | move2)))
        end = _CONVERGED if stopped else end
        crawling = (not rejected) & (slow == MAX_DAMPED_STEPS)
        end = _UNFINISHED if crawling else end
        stuck = rejected & (damping > 1e8)
        end = _CONVERGED if stuck else end
        s0 = a1 + a2
        slack = 0.0 if inside else BOUND_TOLERANCE * s0
        good = (s0 >= 0.0) & (f_low * s0 - slack <= a2) & (a2 <= f_high * s0 + slack)
        stepped = stepped & (not stopped) & (not crawling) & (not stuck) & good
        lower = best - 2.0 * gain
        lower = lower if lower > 0.0 else 0.0
        best = lower if stepped else best
        x1 = r1 if stepped else x1
        x2 = r2 if stepped else x2
        y1 = a1 if stepped else y1
        y2 = a2 if stepped else y2
        # Detectability of the amplitudes.
        free1 = 1.0 if (r1_low < x1) & (x1 < r1_high) else 0.0
        free2 = 1.0 if (r2_low < x2) & (x2 < r2_high) else 0.0
        seen1, seen2 = detectability(
            g11, g12, g22,
            -free1 * y1 * gb11, -free2 * y2 * gb12, -free1 * y1 * gb12, -free2 * y2 * gb22,
            free1 * m11, free1 * free2 * m12, free2 * m22, y1, y2,
        )  # fmt: skip
        state[_SEEN1 + k] = seen1
        state[_SEEN2 + k] = seen2
        state[_R1 + k] = r1
        state[_R2 + k] = r2
        state[_A1 + k] = a1
        state[_A2 + k] = a2
        state[_X1 + k] = x1
        state[_X2 + k] = x2
        state[_Y1 + k] = y1
        state[_Y2 + k] = y2
        state[_G1 + k] = g1
        state[_G2 + k] = g2
        state[_H11 + k] = h11
        state[_H12 + k] = h12
        state[_H22 + k] = h22
        state[_T11 + k] = t11
        state[_T12 + k] = t12
        state[_T21 + k] = t21
        state[_T22 + k] = t22
        state[_M11 + k] = m11
        state[_M12 + k] = m12
        state[_M22 + k] = m22
        state[_BEST + k] = best
        state[_DAMPING + k] = damping_after
        state[_ENERGY + k] = energy
        state[_COUNT + k] = count
        state[_SLOWLY + k] = slow
        state[_END + k] = end


@inlined
def begin(
    state: NDArray[np.float64],
    k: int,
    r1: float,
    r2: float,
    known1: float,
    known2: float,
    limit: float,
) -> None:
    """Begin a descent in lane `k`, with the arguments of `descent.descend`."""
    state[_R1 + k] = r1
    state[_R2 + k] = r2
    state[_A1 + k] = 0.0
    state[_A2 + k] = 0.0
    state[_BEST + k] = math.inf
    state[_DAMPING + k] = 0.0
    state[_COUNT + k] = 0.0
    state[_SLOWLY + k] = 0.0
    state[_KNOWN1 + k] = known1
    state[_KNOWN2 + k] = known2
    state[_LIMIT + k] = limit


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
