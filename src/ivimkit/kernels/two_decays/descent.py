"""Least squares for S(b) = a1 exp(-b r1) + a2 exp(-b r2): local refinement by variable projection.

The amplitudes are eliminated (`amplitudes`), which leaves two rates. Their minimum is found by
Newton steps with the exact Hessian of the projected cost; bounds on the rates are an active set
(the quadratic model is minimised on the box), not a clipping of the step. One pass over the
b-values gives what depends on the signal: seven sums. The Gram matrix of the two decays and its
derivatives depend on the rates alone and come from `ivimkit.kernels.two_decays.atoms.moments`. The
formulas of slope and Hessian are derived in `ivimkit.kernels.two_decays.newton`.

References
----------
Golub GH, Pereyra V. Separable nonlinear least squares: the variable projection method and its
applications. Inverse Problems 2003;19:R1. doi:10.1088/0266-5611/19/2/201
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.precision import data_loop, in_single
from ivimkit.kernels.two_decays.amplitudes import solve_amplitudes
from ivimkit.kernels.two_decays.atoms import moments
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

__all__ = ["descend", "refine", "squared_residual"]

# Number of first passes whose cost is not exact.
_N_INEXACT_PASSES = 0

# In single precision the first cost is inexact: before anything of the signal is explained, it is
# the difference of large numbers; those after it are sums of small squares.
in_single(__name__, ROUNDING_SHARE=1e-6, MAX_SETTLED_ROUNDINGS=0.0, _N_INEXACT_PASSES=1)


@data_loop
@inlined
def _sums(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    r1: float,
    r2: float,
    a1: float,
    a2: float,
) -> tuple[float, float, float, float, float, float, float]:
    """Return the inner products of the residual with e, b e and b^2 e of both decays, and cost."""
    q1 = q2 = qb1 = qb2 = qbb1 = qbb2 = cost = 0.0
    for j in range(b.size):
        bj = b[j]
        w = root_weight[j]
        e1 = w * exp(-bj * r1)
        e2 = w * exp(-bj * r2)
        residual = w * signal[j] - a1 * e1 - a2 * e2
        x1 = e1 * residual
        x2 = e2 * residual
        q1 += x1
        q2 += x2
        x1 *= bj
        x2 *= bj
        qb1 += x1
        qb2 += x2
        qbb1 += bj * x1
        qbb2 += bj * x2
        cost += residual * residual
    return q1, q2, qb1, qb2, qbb1, qbb2, cost


@inlined
def _box_step(
    g1: float,
    g2: float,
    h11: float,
    h12: float,
    h22: float,
    low1: float,
    high1: float,
    low2: float,
    high2: float,
) -> tuple[float, float]:
    """Minimise g.d + d.H.d / 2 over a box around 0, H positive definite.

    The free minimum is -H^-1 g. With d1 held at x1, setting the slope by d2 to 0 gives
    d2 = -(g2 + h12 x1) / h22, clipped to its bounds, as a parabola in one variable may be.
    """
    det = h11 * h22 - h12 * h12
    d1 = -(h22 * g1 - h12 * g2) / det
    d2 = -(h11 * g2 - h12 * g1) / det
    in1 = low1 <= d1 <= high1
    in2 = low2 <= d2 <= high2
    if in1 and in2:
        return d1, d2
    # The minimum lies on an edge whose bound the free minimum violates.
    x1 = min(max(d1, low1), high1)
    x2 = min(max(-(g2 + h12 * x1) / h22, low2), high2)
    y2 = min(max(d2, low2), high2)
    y1 = min(max(-(g1 + h12 * y2) / h11, low1), high1)
    if in2:
        return x1, x2
    if in1:
        return y1, y2
    value_x = g1 * x1 + g2 * x2 + 0.5 * (h11 * x1 * x1 + h22 * x2 * x2) + h12 * x1 * x2
    value_y = g1 * y1 + g2 * y2 + 0.5 * (h11 * y1 * y1 + h22 * y2 * y2) + h12 * y1 * y2
    return (x1, x2) if value_x <= value_y else (y1, y2)


@device
def descend(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    r1: float,
    r2: float,
    box: Box,
    known1: float,
    known2: float,
    limit: float,
    table: NDArray[np.float64],
) -> Fit:
    """Go from the rates (r1, r2) to the nearest least-squares minimum inside the bounds.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    r1, r2 : float
        Starting rates in mm^2/s, inside their bounds, r2 > r1.
    box : tuple of float
        Lower and upper bounds of S0, f, r2, r1; equal bounds fix a parameter. The lower bound of
        r2 is above 0.
    known1, known2 : float
        Rates of a minimum found before, which need not be found again; negative without one.
    limit : float
        Cost to beat, infinite without one: a descent that is on the way to a minimum above it
        ends early.
    table : ndarray, shape (n_rows, n)
        `ivimkit.kernels.two_decays.atoms.Dictionary.table`.

    Returns
    -------
    r1, r2, a1, a2 : float
        Rates and amplitudes at the minimum.
    cost : float
        Weighted sum of squares.
    seen1, seen2 : float
        Squared amplitudes over their variances, for a noise variance of 1.
    iterations : int
        Passes over the b-values.
    end : int
        0: converged; 1: the two rates have merged; 2: not converged, crawling along a flat valley,
        or on the way to the known minimum or to one above the limit.
    """
    s0_low, s0_high, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    a1 = a2 = 0.0
    best = math.inf
    damping = 0.0
    noise = 0.0
    # What a step needs, and the point to which a rejected step returns.
    x1, x2, y1, y2 = r1, r2, a1, a2
    g1 = g2 = h11 = h12 = h22 = 0.0
    t11 = t12 = t21 = t22 = 0.0
    m11 = m12 = m22 = gb11 = gb12 = gb22 = g11 = g12 = g22 = 0.0
    end = UNFINISHED
    iterations = 0
    slow = 0
    while iterations < MAX_ITERATIONS:
        iterations += 1
        q1, q2, qb1, qb2, qbb1, qbb2, cost = _sums(b, root_weight, signal, r1, r2, a1, a2)
        g11, gb11, gbb11 = moments(table, r1 + r1)
        g12, gb12, gbb12 = moments(table, r1 + r2)
        g22, gb22, gbb22 = moments(table, r2 + r2)
        if iterations == 1:
            noise = ROUNDING_SHARE * cost
        # The best amplitudes solve G (a + d) = p with p = <e, s> = q + G a, so G d = q = <e, r>:
        # solving for the change d keeps digits that p - G a would cancel.
        inverse = 1.0 / (g11 * g22 - g12 * g12)
        d1 = (g22 * q1 - g12 * q2) * inverse
        d2 = (g11 * q2 - g12 * q1) * inverse
        free = 2
        z1 = z2 = 0.0
        s0 = a1 + d1 + a2 + d2
        fast = a2 + d2
        inside = s0_low < s0 < s0_high and f_low * s0 < fast < f_high * s0
        if not (inside and inverse * g11 * g22 < MAX_INVERSE_DETERMINANT and inverse > 0.0):
            p1 = q1 + g11 * a1 + g12 * a2
            p2 = q2 + g12 * a1 + g22 * a2
            n1, n2, free, z1, z2 = solve_amplitudes(
                g11, g12, g22, p1, p2, f_low, f_high, s0_low, s0_high
            )
            d1 = n1 - a1
            d2 = n2 - a2
        # |r - d1 e1 - d2 e2|^2 = |r|^2 - 2 d.q + d.G d: the cost at the new amplitudes.
        cost += d1 * (g11 * d1 + g12 * d2 - 2.0 * q1) + d2 * (g12 * d1 + g22 * d2 - 2.0 * q2)
        if cost > best + noise:
            damping = max(10.0 * damping, 0.01)
            if damping > 1e8:
                end = CONVERGED
                break
        else:
            settled = (
                best - cost <= MAX_SETTLED_ROUNDINGS * noise and iterations > 2 and damping == 0.0
            )
            # On a curved valley floor the steps are short and gain next to nothing.
            slow = slow + 1 if damping > 0.0 and best - cost < MIN_DAMPED_GAIN * cost else 0
            best = cost
            damping = 0.1 * damping if damping > 1e-3 else 0.0
            x1, x2 = r1, r2
            y1 = a1 + d1
            y2 = a2 + d2
            g1, g2, c11, c12, c21, c22, m11, m12, m22, n11, n22 = second_order(
                y1, y2, d1, d2, qb1, qb2, qbb1, qbb2, gb11, gb12, gb22, gbb11, gbb12, gbb22
            )
            if free == 2:
                t11, t12, t21, t22 = response(g11, g12, g22, inverse, c11, c12, c21, c22)
            elif free == 1:
                # On an edge the amplitudes move along z only: the response is -G^-1 c with G and
                # c projected on z, that is t = -z (z.c) / (z.G z).
                norm = z1 * z1 * g11 + 2.0 * z1 * z2 * g12 + z2 * z2 * g22
                k1 = -(z1 * c11 + z2 * c21) / norm
                k2 = -(z1 * c12 + z2 * c22) / norm
                t11, t12, t21, t22 = z1 * k1, z1 * k2, z2 * k1, z2 * k2
            else:
                t11 = t12 = t21 = t22 = 0.0
            # Hessian of the projected cost: F_rr + c^T t, see `newton`.
            h11 = m11 + n11 + c11 * t11 + c21 * t21
            h12 = m12 + c11 * t12 + c21 * t22
            h22 = m22 + n22 + c12 * t12 + c22 * t22
            # In x = ln r2, d/dx = r2 d/dr2 and d2/dx2 = r2^2 d2/dr2^2 + r2 d/dr2. The valley is
            # rounder in ln r2, as D* spans a factor of ten and more.
            h12 *= x2
            h22 = x2 * x2 * h22 + x2 * g2
            g2 *= x2
            # A rate stays where its bound holds it back or where it has no amplitude.
            move1 = y1 > 0.0 and (r1_low if g1 >= 0.0 else x1) < (x1 if g1 >= 0.0 else r1_high)
            move2 = y2 > 0.0 and (r2_low if g2 >= 0.0 else x2) < (x2 if g2 >= 0.0 else r2_high)
            if not move1:
                g1 = h12 = 0.0
                h11 = 1.0
            if not move2:
                g2 = h12 = 0.0
                h22 = 1.0
            scale1 = m11 if move1 else 1.0
            scale2 = x2 * x2 * m22 if move2 else 1.0
            if h11 < 1e-10 * scale1 or h11 * h22 - h12 * h12 < 1e-10 * scale1 * scale2:
                # Not convex: add a multiple of the Gauss-Newton diagonal D, with which the lowest
                # eigenvalue of D^-1/2 H D^-1/2 becomes 1e-3. Of a 2 x 2 matrix the eigenvalues are
                # the mean of the diagonal plus or minus sqrt(half its difference^2 + h12^2).
                lowest = 0.5 * (h11 / scale1 + h22 / scale2) - math.sqrt(
                    0.25 * (h11 / scale1 - h22 / scale2) ** 2 + h12 * h12 / (scale1 * scale2)
                )
                damping = max(damping, 1e-3)
                h11 += (1e-3 - lowest) * scale1
                h22 += (1e-3 - lowest) * scale2
            if slow == MAX_DAMPED_STEPS:
                break
            if settled or (iterations > _N_INEXACT_PASSES and not (move1 or move2)):
                end = CONVERGED
                break
        # A step from x2 to x2 (2 + d) / (2 - d) reaches a bound r at d = 2 (r - x2) / (r + x2).
        s11 = h11 * (1.0 + damping)
        s22 = h22 * (1.0 + damping)
        d1, d2 = _box_step(
            g1,
            g2,
            s11,
            h12,
            s22,
            r1_low - x1,
            r1_high - x1,
            max(2.0 * (r2_low - x2) / (r2_low + x2), -MAX_STEP),
            min(2.0 * (r2_high - x2) / (r2_high + x2), MAX_STEP),
        )
        if x1 + d1 > x2 * (1.0 + d2) and x2 > MIN_RATIO_TO_CROSS * x1:
            # Rates far from each other would cross: shorten the step to half of the way to where
            # they meet. To first order the distance closes by d1 - x2 d2.
            cut = 0.5 * (x2 - x1) / (d1 - x2 * d2)
            d1 *= cut
            d2 *= cut
            damping = max(damping, 1e-3)
        gain = promised(g1, g2, h11, h12, h22, d1, d2)
        r1 = min(max(x1 + d1, r1_low), r1_high)
        # (2 + d) / (2 - d) = 1 + d + d^2 / 2 + d^3 / 4 + ... agrees with exp(d) to second order,
        # which is all that a quadratic model determines, and needs no exponential.
        r2 = x2 * (2.0 + d2) / (2.0 - d2)
        if r2 <= r2_low * (1.0 + BOUND_TOLERANCE):
            r2 = r2_low
        elif r2 >= r2_high * (1.0 - BOUND_TOLERANCE):
            r2 = r2_high
        # The amplitudes follow to first order, so that the next pass has a small residual.
        d2 *= x2
        a1 = y1 + t11 * d1 + t12 * d2
        a2 = y2 + t21 * d1 + t22 * d2
        if r2 < MIN_RATE_RATIO * r1:
            end = MERGED
            break
        same = (
            abs(r1 - known1) < SAME_SLOW_TOLERANCE * known1
            and abs(r2 - known2) < SAME_FAST_TOLERANCE * known2
        )
        if same and iterations > _N_INEXACT_PASSES:
            break
        if damping == 0.0 and best - MAX_PROMISED_GAINS * gain > limit:
            break
        small = abs(d1) <= STEP_TOLERANCE * x1 and abs(d2) <= STEP_TOLERANCE * x2
        if (
            damping == 0.0
            and iterations > _N_INEXACT_PASSES
            and (small or 2.0 * gain <= GAIN_TOLERANCE * best)
        ):
            s0 = a1 + a2
            end = CONVERGED
            # On an edge, rounding must not decide on which side of it the last step ends.
            slack = BOUND_TOLERANCE * s0 if free < 2 else 0.0
            low, high = f_low * s0 - slack, f_high * s0 + slack
            if s0_low - slack <= s0 <= s0_high + slack and low <= a2 <= high:
                x1, x2, y1, y2 = r1, r2, a1, a2
                best = max(best - 2.0 * gain, 0.0)
            break
    free1 = 1.0 if r1_low < x1 < r1_high else 0.0
    free2 = 1.0 if r2_low < x2 < r2_high else 0.0
    seen1, seen2 = detectability(
        g11, g12, g22,
        -free1 * y1 * gb11, -free2 * y2 * gb12, -free1 * y1 * gb12, -free2 * y2 * gb22,
        free1 * m11, free1 * free2 * m12, free2 * m22, y1, y2,
    )  # fmt: skip
    return Fit(x1, x2, y1, y2, best, seen1, seen2, iterations, end)


@device
def refine(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    r1: float,
    r2: float,
    box: Box,
    table: NDArray[np.float64],
) -> Fit:
    """Go from the rates (r1, r2) to the nearest minimum: `descend` without a known minimum."""
    return descend(b, root_weight, signal, r1, r2, box, -1.0, -1.0, math.inf, table)


@data_loop
@device
def squared_residual(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    r1: float,
    r2: float,
    a1: float,
    a2: float,
) -> float:
    """Return the weighted sum of squares of a sum of two decays with given parameters."""
    cost = 0.0
    for j in range(b.size):
        residual = signal[j] - a1 * exp(-b[j] * r1) - a2 * exp(-b[j] * r2)
        residual *= root_weight[j]
        cost += residual * residual
    return cost
