"""Least squares for the fast rate alone: amplitudes and slow rate are known.

With S0, f and D given, S(b) = a1 exp(-b r1) + a2 exp(-b r2) has one unknown. The slow decay is
subtracted from the signal once. Inner products of the remainder with the dictionary's fast decays
find the basins, and Newton steps in ln r2 finish each: one exponential per b-value and pass.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.memory import padded_in_kernel
from ivimkit.kernels.precision import data_loop, in_single
from ivimkit.kernels.two_decays.atoms import MOMENTS, NORMS, RATES, moments
from ivimkit.kernels.two_decays.fitted_decays import CONVERGED, UNFINISHED, Box, Fit, ordered
from ivimkit.kernels.two_decays.newton import (
    BOUND_TOLERANCE,
    GAIN_TOLERANCE,
    MAX_ITERATIONS,
    MAX_PROMISED_GAINS,
    MAX_SETTLED_ROUNDINGS,
    MAX_STEP,
    ROUNDING_SHARE,
    STEP_TOLERANCE,
    detectability,
)
from ivimkit.kernels.two_decays.option_positions import N_FAST, N_SLOW
from ivimkit.kernels.voxel import Voxel

__all__ = ["fit_rate", "rate_scratch"]

# A decay of the dictionary that leaves more than this many times the cost of the best fit cannot
# beat it.
_MAX_COST_RATIO = 1.3
# Curvature, relative to the Gauss-Newton one, below which the Newton step is not trusted.
_MIN_CONVEXITY = 1e-3
# Factor by which a step that raised the cost is shortened.
_STEP_REDUCTION = 0.25
# Shortest step that is still tried.
_MIN_STEP = 1e-12

in_single(__name__, ROUNDING_SHARE=1e-6, MAX_SETTLED_ROUNDINGS=0.0)
_Minimum: TypeAlias = tuple[float, float, int, int]
"""Rate, cost, iterations, end: 0 converged, 2 not."""


@data_loop
@inlined
def _take_off(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    amplitude: float,
    rate: float,
    remainder: NDArray[np.float64],
) -> tuple[float, float]:
    """Write the signal less a decay to `remainder`; return squared norms before and after."""
    before = after = 0.0
    for j in range(b.size):
        w = root_weight[j]
        whole = signal[j]
        rest = whole - amplitude * exp(-b[j] * rate)
        remainder[j] = rest
        whole *= w
        rest *= w
        before += whole * whole
        after += rest * rest
    return before, after


@data_loop
@inlined
def _weigh(
    n: int,
    amplitude: float,
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    remainder: NDArray[np.float64],
    gains: NDArray[np.float64],
) -> None:
    """Write to `gains` what each fast decay explains of the remainder.

    With its amplitude given, a decay e lowers the squared norm of the remainder s from <s, s> to
    <s - a e, s - a e>: it explains 2 a <s, e> - a^2 <e, e> = 2 a (<s, e> - a <e, e> / 2).
    """
    first = int(table[MOMENTS, 2]) - n
    column = padded_in_kernel(n1)
    for k in range(n2):
        gains[k] = -0.5 * amplitude * table[NORMS, column + k]
    # Four rows at a time, as in `ivimkit.kernels.two_decays.profile.project`.
    for j in range(0, n, 4):
        s0 = remainder[j]
        s1 = remainder[j + 1] if j + 1 < n else 0.0
        s2 = remainder[j + 2] if j + 2 < n else 0.0
        s3 = remainder[j + 3] if j + 3 < n else 0.0
        row = first + j
        for k in range(n2):
            gains[k] += (s0 * table[row, column + k] + s1 * table[row + 1, column + k]) + (
                s2 * table[row + 2, column + k] + s3 * table[row + 3, column + k]
            )
    for k in range(n2):
        gains[k] *= 2.0 * amplitude


@data_loop
@inlined
def _sums(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    amplitude: float,
    rate: float,
    remainder: NDArray[np.float64],
) -> tuple[float, float, float, float]:
    """Return inner products of the residual with b e and b^2 e, of b e with itself, and cost."""
    first = second = norm = cost = 0.0
    for j in range(b.size):
        w = root_weight[j]
        e = w * exp(-b[j] * rate)
        residual = w * remainder[j] - amplitude * e
        e *= b[j]
        x = e * residual
        first += x
        second += b[j] * x
        norm += e * e
        cost += residual * residual
    return first, second, norm, cost


@device
def _descend(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    amplitude: float,
    rate: float,
    low: float,
    high: float,
    noise: float,
    limit: float,
    remainder: NDArray[np.float64],
) -> _Minimum:
    """Go from a rate to the nearest minimum inside its bounds.

    A descent on the way to a minimum above `limit` ends early; costs that differ by less than
    `noise` are treated as equal.
    """
    # In x = ln r, half the cost F has the slope r a <b e, r> and the curvature
    # r^2 (a^2 <b e, b e> - a <b^2 e, r>) + slope, the last term because d2/dx2 = r^2 d2/dr2 + r
    # d/dr (r alone is the rate, r in an inner product the residual). `newton` is the Gauss-Newton
    # part. A step d is taken as the factor (2 + d) / (2 - d), see `descent`; bounds are solved for
    # d.
    best = math.inf
    x = rate
    g = h = d = 0.0
    convex = True
    iterations = 0
    while iterations < MAX_ITERATIONS:
        iterations += 1
        first, second, norm, cost = _sums(b, root_weight, amplitude, rate, remainder)
        if cost > best + noise:
            d *= _STEP_REDUCTION
            convex = False
            if abs(d) < _MIN_STEP:
                return x, best, iterations, CONVERGED
        else:
            settled = best - cost <= MAX_SETTLED_ROUNDINGS * noise and iterations > 2 and convex
            best = cost
            x = rate
            scale = amplitude * x
            g = scale * first
            newton = scale * scale * norm
            h = newton - scale * x * second + g
            if settled or not newton > 0.0:
                return x, best, iterations, CONVERGED
            convex = h >= _MIN_CONVEXITY * newton
            # Where F is not convex, its curvature with the sign reversed sets the step length.
            h = h if convex else max(-h, _MIN_CONVEXITY * newton)
            # The same bounds as in `ivimkit.kernels.two_decays.descent.descend`.
            d = min(
                max(-g / h, max(2.0 * (low - x) / (low + x), -MAX_STEP)),
                min(2.0 * (high - x) / (high + x), MAX_STEP),
            )
            if d == 0.0:
                return x, best, iterations, CONVERGED
        gain = -d * (g + 0.5 * h * d)
        rate = x * (2.0 + d) / (2.0 - d)
        if rate <= low * (1.0 + BOUND_TOLERANCE):
            rate = low
        elif rate >= high * (1.0 - BOUND_TOLERANCE):
            rate = high
        if convex:
            if abs(d) <= STEP_TOLERANCE or 2.0 * gain <= GAIN_TOLERANCE * best:
                return rate, max(best - 2.0 * gain, 0.0), iterations, CONVERGED
            if best - MAX_PROMISED_GAINS * gain > limit:
                break
    return x, best, iterations, UNFINISHED


@inlined
def _start(
    j: int,
    n1: int,
    n2: int,
    low: float,
    high: float,
    table: NDArray[np.float64],
    gains: NDArray[np.float64],
) -> float:
    """Return the top of a parabola through the gains of the j-th fast decay and its neighbours.

    The rate stays at the ends of the dictionary, where a basin at a bound would be lost, and where
    the gains have no summit.
    """
    column = padded_in_kernel(n1) + j
    rate: float = table[RATES, column]
    if 0 < j < n2 - 1:
        here = gains[j]
        left, right = here - gains[j - 1], here - gains[j + 1]
        shift = 0.5 * (left - right) / (left + right) if min(left, right) > 0.0 else 0.0
        before, after = table[RATES, column - 1], table[RATES, column + 1]
        rate += 0.5 * shift * (after - before + shift * (before - 2.0 * rate + after))
    return min(max(rate, low), high)


@inlined
def _is_promising(j: int, n2: int, gains: NDArray[np.float64]) -> bool:
    """Return whether there may be a basin at the j-th fast decay.

    Every summit of the gains is one. Next to a summit at an end of the dictionary another one may
    be hidden.
    """
    here = gains[j]
    left = j == 0 or here > gains[j - 1]
    right = j == n2 - 1 or here >= gains[j + 1]
    return (left and right) or (j == 1 and not left) or (j == n2 - 2 and not right)


@inlined
def _seen(
    r1: float, r2: float, a1: float, a2: float, free: bool, table: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the detectability of both decays, as `descent.descend` does."""
    g11, _, _ = moments(table, r1 + r1)
    g12, gb12, _ = moments(table, r1 + r2)
    g22, gb22, gbb22 = moments(table, r2 + r2)
    slope = a2 if free else 0.0
    seen1, seen2 = detectability(
        g11, g12, g22, 0.0, -slope * gb12, 0.0, -slope * gb22, 0.0, 0.0, slope * slope * gbb22,
        a1, a2,
    )  # fmt: skip
    return seen1, seen2


def rate_scratch(n_b: int, n_fast: int) -> int:
    """Return how many numbers of scratch `fit_rate` needs."""
    return n_b + n_fast


@device
def fit_rate(voxel: Voxel, box: Box) -> Fit:
    """Find the global least-squares optimum of the fast rate inside its bounds.

    With f = 0 the signal does not depend on the fast rate: the first one of the dictionary above
    the slow rate is returned.

    Parameters
    ----------
    voxel : Voxel
        As for `ivimkit.kernels.two_decays.search.global_fit`, with scratch of `rate_scratch`.
    box : Box
        Bounds; those of S0, f and the slow rate are equal, those of the fast rate may be.

    Returns
    -------
    Fit
    """
    b, root_weight, signal, table = voxel.x[0], voxel.root_weight, voxel.signal, voxel.table
    n1, n2 = int(voxel.options[N_SLOW]), int(voxel.options[N_FAST])
    remainder = voxel.work[: b.size]
    gains = voxel.work[b.size : b.size + n2]
    _, s0, _, f, low, high, r1, _ = ordered(box)
    a2 = f * s0
    a1 = s0 - a2
    energy, rest = _take_off(b, root_weight, signal, a1, r1, remainder)
    noise = ROUNDING_SHARE * energy
    if a2 == 0.0 or low == high:
        r2 = low
        column = padded_in_kernel(n1)
        for k in range(n2):
            if table[RATES, column + k] < r1:
                r2 = min(max(table[RATES, column + min(k + 1, n2 - 1)], low), high)
        _, _, _, cost = _sums(b, root_weight, a2, r2, remainder)
        seen1, seen2 = _seen(r1, r2, a1, a2, False, table)
        # In single precision only the cost is a float32.
        return Fit(r1, r2, a1, a2, np.float64(cost), seen1, seen2, 1, CONVERGED)
    _weigh(b.size, a2, n1, n2, table, remainder, gains)
    top = 0
    for j in range(1, n2):
        if gains[j] > gains[top]:
            top = j
    begin = _start(top, n1, n2, low, high, table, gains)
    r2, cost, iterations, end = _descend(
        b, root_weight, a2, begin, low, high, noise, math.inf, remainder
    )
    enough = rest - _MAX_COST_RATIO * cost
    for j in range(n2):
        if j != top and gains[j] > enough and _is_promising(j, n2, gains):
            begin = _start(j, n1, n2, low, high, table, gains)
            other, other_cost, more, other_end = _descend(
                b, root_weight, a2, begin, low, high, noise, cost, remainder
            )
            iterations += more
            if other_cost < cost:
                r2, cost, end = other, other_cost, other_end
    seen1, seen2 = _seen(r1, r2, a1, a2, low < r2 < high, table)
    return Fit(r1, r2, a1, a2, cost, seen1, seen2, iterations, end)
