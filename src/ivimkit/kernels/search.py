"""The global half of a two-pool fit: find the basin, refine, and prove that nothing was missed."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.amplitudes import solve_amplitudes
from ivimkit.kernels.device import device, finite
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.two_pools import descend, refine

__all__ = ["global_fit", "settle"]

Fit: TypeAlias = tuple[float, float, float, float, float, float, float, int, int]

# Squared amplitude over its variance below which a pool is too faint for one start to be enough.
_DOUBT = 20.0
# A pair of decays that leaves this many times the cost of the best fit does not beat it.
_HOPELESS = 1.3


@device
def _project(
    signal: NDArray[np.float64], table: NDArray[np.float64], n: int, work: NDArray[np.float64]
) -> None:
    """Write the inner products of the signal with all decays to work[:n]."""
    start = table.size - signal.size * n
    for k in range(n):
        work[k] = 0.0
    for j in range(signal.size):
        sj = signal[j]
        decays = table[start + j * n : start + (j + 1) * n]
        for k in range(n):
            work[k] += sj * decays[k]


@finite
def _gains(
    table: NDArray[np.float64],
    n1: int,
    n2: int,
    j: int,
    f_low: float,
    f_high: float,
    work: NDArray[np.float64],
    gains: NDArray[np.float64],
) -> None:
    """Write to gains[1:] what the j-th fast decay explains with each slow one.

    The amplitudes stay inside their cone: either both generators of the cone take part, or the
    better one does alone.
    """
    padded = (n1 + 7) // 8 * 8
    row = 2 * (padded + (n2 + 7) // 8 * 8) + j * padded
    block = padded * n2
    # Slices, because an index that is a sum could be negative for all the compiler knows, and
    # negative indices cost a gather in place of a load.
    inverse_high = table[row : row + padded]
    inverse_cross = table[row + block : row + block + padded]
    inverse_low = table[row + 2 * block : row + 2 * block + padded]
    single_low = table[row + 3 * block : row + 3 * block + padded]
    single_high = table[row + 4 * block : row + 4 * block + padded]
    inner = gains[1:]
    p2 = work[padded + j]
    for i in range(n1):
        p1 = work[i]
        low = (1.0 - f_low) * p1 + f_low * p2
        high = (1.0 - f_high) * p1 + f_high * p2
        x = inverse_high[i] * low - inverse_cross[i] * high
        y = inverse_low[i] * high - inverse_cross[i] * low
        both = x * low + y * high
        low = low if low > 0.0 else 0.0
        high = high if high > 0.0 else 0.0
        one_low = low * low * single_low[i]
        one_high = high * high * single_high[i]
        one = one_low if one_low > one_high else one_high
        least = x if x < y else y
        inner[i] = both if least > 0.0 else one


@finite
def _peak(n1: int, gains: NDArray[np.float64]) -> float:
    """Return the highest gain along the slow rates, a parabola laid through each summit."""
    gains[0] = gains[n1 + 1] = 1e300
    inner = gains[1:]
    after = gains[2:]
    top = 0.0
    for i in range(n1):
        gain = inner[i]
        left = gain - gains[i]
        right = gain - after[i]
        least = left if left < right else right
        summit = gain + 0.125 * (left - right) * (left - right) / (left + right)
        gain = summit if least > 0.0 else gain
        top = gain if gain > top else top
    return top


@device
def _peak_rate(n1: int, gains: NDArray[np.float64], table: NDArray[np.float64]) -> float:
    """Return the slow rate at the highest gain, between the rates of the dictionary."""
    best = 0
    for i in range(n1):
        if gains[1 + i] > gains[1 + best]:
            best = i
    if best == 0 or best == n1 - 1:
        return table[best]
    left = gains[1 + best] - gains[best]
    right = gains[1 + best] - gains[2 + best]
    if left + right <= 0.0:
        return table[best]
    shift = 0.5 * (left - right) / (left + right)
    if shift > 0.0:
        return table[best] + shift * (table[best + 1] - table[best])
    return table[best] + shift * (table[best] - table[best - 1])


@device
def _project_with(
    b: NDArray[np.float64],
    signal: NDArray[np.float64],
    rate: float,
    table: NDArray[np.float64],
    n: int,
    work: NDArray[np.float64],
) -> None:
    """As `_project`, and the inner products with the decay of `rate` to work[n:2n]."""
    start = table.size - signal.size * n
    other = work[n : 2 * n]
    for k in range(n):
        work[k] = 0.0
        other[k] = 0.0
    for j in range(signal.size):
        sj = signal[j]
        e = exp(-b[j] * rate)
        decays = table[start + j * n : start + (j + 1) * n]
        for k in range(n):
            work[k] += sj * decays[k]
            other[k] += e * decays[k]


@device
def _own_products(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    rate: float,
) -> tuple[float, float]:
    """Return the squared norm of a decay and its inner product with the signal."""
    norm = dot = 0.0
    for j in range(b.size):
        e = exp(-b[j] * rate)
        w = root_weight[j] * root_weight[j] * e
        norm += w * e
        dot += w * signal[j]
    return norm, dot


@device
def _best_partner(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    known: float,
    known_is_slow: bool,
    table: NDArray[np.float64],
    n: int,
    first: int,
    last: int,
    f_low: float,
    f_high: float,
    s0_low: float,
    s0_high: float,
    work: NDArray[np.float64],
) -> tuple[int, float]:
    """Return the decay in table[first:last] that goes best with a decay of known rate."""
    _project_with(b, signal, known, table, n, work)
    norm, dot = _own_products(b, root_weight, signal, known)
    best = -math.inf
    partner = first
    for k in range(first, last):
        g11, g12, g22, p1, p2 = norm, work[n + k], table[n + k], dot, work[k]
        if not known_is_slow:
            g11, g22, p1, p2 = g22, g11, p2, p1
        elif table[k] < known:
            continue
        a1, a2, _, _, _ = solve_amplitudes(g11, g12, g22, p1, p2, f_low, f_high, s0_low, s0_high)
        gain = a1 * (2.0 * p1 - a1 * g11 - 2.0 * a2 * g12) + a2 * (2.0 * p2 - a2 * g22)
        if gain > best:
            best = gain
            partner = k
    return partner, best


@device
def _entering(
    b: NDArray[np.float64],
    signal: NDArray[np.float64],
    rate: float,
    amplitude: float,
    table: NDArray[np.float64],
    n: int,
    first: int,
    last: int,
    faster: bool,
    work: NDArray[np.float64],
) -> tuple[int, float]:
    """Return the decay that would lower the cost of a one-pool fit most, and its slope squared.

    For a sum of decays with positive amplitudes this is the optimality condition: if no decay has
    a positive inner product with the residual, no second pool can improve the fit.
    """
    _project_with(b, signal, rate, table, n, work)
    best = -math.inf
    entering = first
    for k in range(first, last):
        if (table[k] > 1.02 * rate) if faster else (1.02 * table[k] < rate):
            slope = (work[k] - amplitude * work[n + k]) / math.sqrt(table[n + k])
            if slope > best:
                best = slope
                entering = k
    return entering, best * best if best > 0.0 else -1.0


@device
def settle(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    fit: Fit,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> Fit:
    """Finish a fit whose two rates have become one: refit that pool alone.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    fit : tuple
        As `refine` returns it.
    lower, upper : ndarray, shape (4,)
        Bounds of S0, f, fast rate, slow rate.

    Returns
    -------
    tuple
        As `refine` returns it.
    """
    r1, r2, _, _, _, _, _, iterations, end = fit
    if end != 1:
        return fit
    if lower[1] == 0.0 and r1 < upper[3]:
        low1, high1, low2, high2, f = lower[3], upper[3], r2, r2, 0.0
    elif upper[1] == 1.0:
        low1, high1, low2, high2, f = r1, r1, lower[2], upper[2], 1.0
    elif lower[1] == 0.0:
        low1, high1, low2, high2, f = lower[3], upper[3], r2, r2, 0.0
    else:
        # The bounds on f want both pools: the rates stay as close as they came.
        return fit[0], fit[1], fit[2], fit[3], fit[4], fit[5], fit[6], iterations, 0
    one = refine(
        b, root_weight, signal, r1, r2, low1, high1, low2, high2, f, f, lower[0], upper[0]
    )
    return one[0], one[1], one[2], one[3], one[4], one[5], one[6], iterations + one[7], one[8]


@device
def _better(first: Fit, second: Fit) -> Fit:
    """Return the fit with the lower cost, with the iterations of both."""
    n = first[7] + second[7]
    f = second if second[4] < first[4] and second[8] != 2 else first
    return f[0], f[1], f[2], f[3], f[4], f[5], f[6], n, f[8]


@device
def _start(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[float, float]:
    """Return a good pair where a rate is known, or S0 is bounded: no profile, any bounds."""
    n1_padded = (n1 + 7) // 8 * 8
    n = n1_padded + (n2 + 7) // 8 * 8
    r1, r2 = lower[3], lower[2]
    if lower[2] == upper[2]:
        if lower[3] < upper[3]:
            k, _ = _best_partner(
                b, root_weight, signal, r2, False, table, n, 0, n1,
                lower[1], upper[1], lower[0], upper[0], work,
            )  # fmt: skip
            r1 = table[k]
        return r1, r2
    best = -math.inf
    for i in range(n1):
        known = lower[3] if lower[3] == upper[3] else table[i]
        k, gain = _best_partner(
            b, root_weight, signal, known, True, table, n, n1_padded, n1_padded + n2,
            lower[1], upper[1], lower[0], upper[0], work,
        )  # fmt: skip
        if gain > best:
            best = gain
            r1 = known
            r2 = table[k]
        if lower[3] == upper[3]:
            break
    return r1, r2


@device
def _all_basins(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    n1: int,
    n2: int,
    degrees: float,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> Fit:
    """Refine from the best pair of decays and from every other one that may lead further down."""
    n1_padded = (n1 + 7) // 8 * 8
    n = n1_padded + (n2 + 7) // 8 * 8
    profile = work[2 * n :]
    gains = work[2 * n + n2 :]
    _project(signal, table, n, work)
    first = 0
    for j in range(n2):
        _gains(table, n1, n2, j, lower[1], upper[1], work, gains)
        profile[j] = _peak(n1, gains)
        if profile[j] > profile[first]:
            first = j
    _gains(table, n1, n2, first, lower[1], upper[1], work, gains)
    best = refine(
        b, root_weight, signal,
        min(max(_peak_rate(n1, gains, table), lower[3]), upper[3]), table[n1_padded + first],
        lower[3], upper[3], lower[2], upper[2], lower[1], upper[1], lower[0], upper[0],
    )  # fmt: skip
    # Where the noise hides one of the pools, the summits of the profile may be hidden too, and a
    # few more starts make sure.
    doubtful = min(best[5], best[6]) * max(degrees, 1.0) < _DOUBT * best[4]
    enough = -_HOPELESS * best[4]
    for j in range(b.size):
        enough += (root_weight[j] * signal[j]) ** 2
    for j in range(n2):
        summit = (j == 0 or profile[j] > profile[j - 1]) and (
            j == n2 - 1 or profile[j] >= profile[j + 1]
        )
        if j != first and profile[j] > enough and (summit or (doubtful and j % 3 == 1)):
            _gains(table, n1, n2, j, lower[1], upper[1], work, gains)
            both = best[2] > 0.0 and best[3] > 0.0 and best[8] == 0
            other = descend(
                b, root_weight, signal,
                min(max(_peak_rate(n1, gains, table), lower[3]), upper[3]), table[n1_padded + j],
                lower[3], upper[3], lower[2], upper[2], lower[1], upper[1], lower[0], upper[0],
                best[0] if both else -1.0, best[1] if both else -1.0,
            )  # fmt: skip
            best = _better(best, other)
    return best


@device
def global_fit(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    n1: int,
    n2: int,
    degrees: float,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> Fit:
    """Find the global least-squares optimum of a two-pool signal inside its bounds.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    lower, upper : ndarray, shape (4,)
        Bounds of S0, f, fast rate, slow rate; equal bounds fix a parameter.
    n1, n2 : int
        Number of slow and of fast rates in the dictionary.
    degrees : float
        Degrees of freedom of the residual.
    table : ndarray
        `ivimkit.kernels.atoms.Dictionary.table`.
    work : ndarray
        Scratch of `ivimkit.kernels.atoms.Dictionary.n_work`.

    Returns
    -------
    tuple
        As `ivimkit.kernels.two_pools.refine` returns it.
    """
    n1_padded = (n1 + 7) // 8 * 8
    n = n1_padded + (n2 + 7) // 8 * 8
    in_table = (lower[3] < upper[3] or table[0] == lower[3]) and (
        lower[2] < upper[2] or table[n1_padded] == lower[2]
    )
    if in_table and lower[0] == 0.0 and upper[0] == math.inf:
        best = _all_basins(b, root_weight, signal, lower, upper, n1, n2, degrees, table, work)
    else:
        r1, r2 = _start(b, root_weight, signal, lower, upper, n1, n2, table, work)
        best = refine(
            b, root_weight, signal, r1, r2,
            lower[3], upper[3], lower[2], upper[2], lower[1], upper[1], lower[0], upper[0],
        )  # fmt: skip
    best = settle(b, root_weight, signal, best, lower, upper)
    r1, r2, a1, a2, cost, seen1, seen2, iterations, end = best
    one_slow = a2 == 0.0 and upper[1] > 0.0
    one_fast = a1 == 0.0 and lower[1] < 1.0 and not one_slow
    if not (one_slow or one_fast):
        return best
    # One pool is left. Either that is optimal, or the slope says which pool is missing.
    if one_slow:
        k, slope = _entering(b, signal, r1, a1, table, n, n1_padded, n1_padded + n2, True, work)
        if lower[2] < upper[2]:
            r2 = min(max(table[k], lower[2]), upper[2])
    else:
        k, slope = _entering(b, signal, r2, a2, table, n, 0, n1, False, work)
        if lower[3] < upper[3]:
            r1 = min(max(table[k], lower[3]), upper[3])
    best = r1, r2, a1, a2, cost, seen1, seen2, iterations, end
    if slope > 1e-6 * cost:
        other = refine(
            b, root_weight, signal, r1, r2,
            lower[3], upper[3], lower[2], upper[2], lower[1], upper[1], lower[0], upper[0],
        )  # fmt: skip
        best = _better(best, settle(b, root_weight, signal, other, lower, upper))
    return best
