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
from ivimkit.kernels.pools import EXTRA
from ivimkit.kernels.two_pools import APART, Box, Fit, squared_residual

__all__ = ["SCRATCH", "WIDTH", "integrate", "locate", "posterior_voxel"]

WIDTH = 32
"""Numbers per row of scratch, and nodes of the fraction."""
_NODES = 24
# Nodes of the lattices that look for the posterior.
_COARSE = 16
# The posterior is cut off where its profile has fallen by exp(-TAIL) from the best fit.
TAIL = 10.5
_MAX_LEVELS = 16
# A box that keeps more than this share of its area is not made smaller any more.
_ENOUGH = 0.7
# The box to begin with, in units of what the curvature at the best fit says.
_FIRST = 1.3
# Squared amplitude over its variance above which that curvature is worth listening to.
_CLEAR = 40.0
# Relative determinant below which two decays are one.
_PARALLEL = 1e-10
# The range of the fraction is computed from a parabola; this much wider it is safe.
_MARGIN = 1.15

# Rows of scratch: rates, their products with the signal, norms, position among the knots of the
# prior (index and part of the way to the next), marginal.
_R1, _P1, _G1, _I1, _T1 = 0, 1, 2, 3, 4
_R2, _P2, _G2, _I2, _T2 = 5, 6, 7, 8, 9
_F, _I3, _T3 = 10, 11, 12
M1, M2, M3 = 13, 14, 15
"""Rows of the marginals of slow rate, logarithm of the fast rate and fraction."""
_COLUMN, _VALUE = 16, 17
SUMS = 18
"""Row of the sums that `integrate` returns."""
_CROSS = 20
_LOW = _CROSS + _NODES
_HIGH = _LOW + _NODES
SCRATCH = _HIGH + _NODES
"""Number of rows of scratch."""

Extent = tuple[float, float, float, float, float, float]
"""Lower and upper end of slow rate, logarithm of the fast rate, and fraction."""


@device
def _fill(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    low: float,
    high: float,
    n: int,
    logarithmic: bool,
    row: int,
    scratch: NDArray[np.float64],
    table: NDArray[np.float64],
) -> None:
    """Write n rates in the middle of equal cells, their products with the signal, their norms."""
    step = (high - low) / n
    for i in range(n):
        x = low + (i + 0.5) * step
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
    """Return the fractions whose gain is above the limit (a lower end above the upper one if
    there are none) and the best gain of a pair of rates."""
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
def _reach(
    best: tuple[float, float, float, float], gap: float, table: NDArray[np.float64]
) -> tuple[float, float]:
    """Return how far slow rate and logarithm of the fast rate go until the cost rises by `gap`.

    From the Gauss-Newton matrix of the cost with the amplitudes eliminated; infinite if it is
    singular.
    """
    r1, r2, a1, a2 = best
    g11, b11, bb11 = moments(table, r1 + r1)
    g12, b12, bb12 = moments(table, r1 + r2)
    g22, b22, bb22 = moments(table, r2 + r2)
    det = g11 * g22 - g12 * g12
    if not det > _PARALLEL * g11 * g22:
        return math.inf, math.inf
    k1, k2 = a1, a2 * r2
    h11 = k1 * k1 * (bb11 - (b11 * b11 * g22 - 2.0 * b11 * b12 * g12 + b12 * b12 * g11) / det)
    h22 = k2 * k2 * (bb22 - (b12 * b12 * g22 - 2.0 * b12 * b22 * g12 + b22 * b22 * g11) / det)
    h12 = (
        k1
        * k2
        * (bb12 - (b11 * b12 * g22 - (b11 * b22 + b12 * b12) * g12 + b12 * b22 * g11) / det)
    )
    if h22 <= 0.0:
        return (math.sqrt(gap / h11) if h11 > 0.0 else math.inf), math.inf
    if h11 <= 0.0:
        return math.inf, math.sqrt(gap / h22)
    determinant = h11 * h22 - h12 * h12
    if not determinant > _PARALLEL * h11 * h22:
        return math.inf, math.inf
    return math.sqrt(gap * h22 / determinant), math.sqrt(gap * h11 / determinant)


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
    _fill(b, root_weight, signal, low1, high1, n1, False, _R1, scratch, table)
    _fill(b, root_weight, signal, low2, high2, n2, True, _R2, scratch, table)
    for i in range(n1):
        for j in range(n2):
            scratch[_CROSS + i, j] = -1e300
            if scratch[_R2, j] > scratch[_R1, i]:
                g12, _, _ = moments(table, scratch[_R1, i] + scratch[_R2, j])
                _, _, scratch[_CROSS + i, j] = _fraction_range(
                    scratch[_P1, i],
                    scratch[_P2, j],
                    scratch[_G1, i],
                    g12,
                    scratch[_G2, j],
                    f_low,
                    f_high,
                    limit,
                )
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
    best: tuple[float, float, float, float],
    gap: float,
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
    best : tuple of float
        Rates (mm^2/s) and amplitudes of the best fit.
    gap : float
        Rise of the cost within which the best fit is a guide to where to look first; infinite
        to look everywhere.
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
    log2 = log(best[1])
    reach1, reach2 = _reach(best, gap, table)
    low1, high1 = max(best[0] - _FIRST * reach1, least1), min(best[0] + _FIRST * reach1, most1)
    low2, high2 = max(log2 - _FIRST * reach2, least2), min(log2 + _FIRST * reach2, most2)
    if not (low1 < high1 and low2 < high2):
        low1, high1, low2, high2 = least1, most1, least2, most2
    grows = True
    levels = 0
    while levels < _MAX_LEVELS:
        levels += 1
        box = (low1, high1, low2, high2, f_low, f_high)
        first1, last1, first2, last2 = _look(
            b, root_weight, signal, best[0], log2, limit, box, scratch, table
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
    knots: NDArray[np.float64],
    low: float,
    step: float,
    n: int,
    row: int,
    scratch: NDArray[np.float64],
) -> None:
    """Write where among the knots of the prior each node is."""
    for i in range(n):
        index, part = _knot(knots, low + (i + 0.5) * step)
        scratch[row, i] = index
        scratch[row + 1, i] = part


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
        for k in range(WIDTH):
            f = scratch[_F, k]
            c = p1 + f * dp
            q = 1.0 / (g11 + f * (dg + f * gg))
            drop = (top - c * c * q) * inverse
            value = exp(-power * log(1.0 + (drop if drop > 0.0 else 0.0)))
            scratch[_VALUE, k] *= value * math.sqrt(q) if c > 0.0 else 0.0
    else:
        for k in range(WIDTH):
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
) -> tuple[float, float, float, float, float, float]:
    """Add scratch[_VALUE] to the marginal of the fraction; return its sum and moments.

    They are those of 1, f, f^2, S0, S0^2 and 1/q.
    """
    dp, dg, gg = p2 - p1, 2.0 * (g12 - g11), g11 - 2.0 * g12 + g22
    total = first = second = signal = square = norm = 0.0
    for k in range(WIDTH):
        f = scratch[_F, k]
        value = scratch[_VALUE, k]
        q = 1.0 / (g11 + f * (dg + f * gg))
        s0 = (p1 + f * dp) * q
        total += value
        first += value * f
        second += value * f * f
        signal += value * s0
        square += value * s0 * s0
        norm += value * q
        scratch[M3, k] += value
    return total, first, second, signal, square, norm


@device
def _column(
    i: int,
    j: int,
    n_fast: int,
    density: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> None:
    """Write the prior at a pair of nodes and all knots of the fraction to scratch[_COLUMN]."""
    row = int(scratch[_I1, i]) * n_fast + int(scratch[_I2, j])
    s, t = scratch[_T1, i], scratch[_T2, j]
    down = row + n_fast if s > 0.0 else row
    right = 1 if t > 0.0 else 0
    for k in range(density.shape[1]):
        scratch[_COLUMN, k] = (1.0 - s) * (
            (1.0 - t) * density[row, k] + t * density[row + right, k]
        ) + s * ((1.0 - t) * density[down, k] + t * density[down + right, k])


@device
def _deposit(
    i: int,
    j: int,
    n_fast: int,
    scratch: NDArray[np.float64],
    basis: NDArray[np.float64],
) -> None:
    """Add scratch[_VALUE] of a pair to the knots around its nodes, by their nearness."""
    row = int(scratch[_I1, i]) * n_fast + int(scratch[_I2, j])
    s, t = scratch[_T1, i], scratch[_T2, j]
    down = row + n_fast if s > 0.0 else row
    right = 1 if t > 0.0 else 0
    n = basis.shape[1]
    for k in range(n):
        scratch[_COLUMN, k] = 0.0
    for k in range(WIDTH):
        index, part = int(scratch[_I3, k]), scratch[_T3, k]
        scratch[_COLUMN, index] += (1.0 - part) * scratch[_VALUE, k]
        if part > 0.0:
            scratch[_COLUMN, index + 1] += part * scratch[_VALUE, k]
    for k in range(n):
        value = scratch[_COLUMN, k]
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
    extent: Extent,
    knots1: NDArray[np.float64],
    knots2: NDArray[np.float64],
    knots3: NDArray[np.float64],
    density: NDArray[np.float64],
    basis: NDArray[np.float64],
    scratch: NDArray[np.float64],
    table: NDArray[np.float64],
) -> Extent:
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
        S0^2, 1/q in row `SUMS` and the marginals in rows `M1`, `M2`, `M3`.
    table : ndarray
        `ivimkit.kernels.atoms.Dictionary.table`.

    Returns
    -------
    tuple of float
        The extent, with the range of the fraction that was needed.
    """
    low1, high1, low2, high2, f_first, f_last = extent
    n1 = _NODES if low1 < high1 else 1
    n2 = _NODES if low2 < high2 else 1
    _fill(b, root_weight, signal, low1, high1, n1, False, _R1, scratch, table)
    _fill(b, root_weight, signal, low2, high2, n2, True, _R2, scratch, table)
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
    step3 = (f_high - f_low) / WIDTH
    _place(knots1, low1, (high1 - low1) / n1, n1, _I1, scratch)
    _place(knots2, low2, (high2 - low2) / n2, n2, _I2, scratch)
    _place(knots3, f_low, step3, WIDTH, _I3, scratch)
    for k in range(WIDTH):
        scratch[_F, k] = f_low + (k + 0.5) * step3
        scratch[M1, k] = scratch[M2, k] = scratch[M3, k] = 0.0
        scratch[SUMS, k] = 0.0
    for i in range(n1):
        r1 = scratch[_R1, i]
        for j in range(n2):
            if scratch[_LOW + i, j] > scratch[_HIGH + i, j]:
                continue
            p1, p2 = scratch[_P1, i], scratch[_P2, j]
            g11, g12, g22 = scratch[_G1, i], scratch[_CROSS + i, j], scratch[_G2, j]
            if density.size == 0:
                # Flat in the fast rate itself, and the lattice is one of its logarithm.
                value = scratch[_R2, j] if n2 > 1 and basis.size == 0 else 1.0
                for k in range(WIDTH):
                    scratch[_VALUE, k] = value
            else:
                _column(i, j, knots2.size, density, scratch)
                for k in range(WIDTH):
                    index, part = int(scratch[_I3, k]), scratch[_T3, k]
                    value = scratch[_COLUMN, index]
                    if part > 0.0:
                        value += part * (scratch[_COLUMN, index + 1] - value)
                    scratch[_VALUE, k] = value
            _likelihood(p1, p2, g11, g12, g22, top, inverse, power, scratch)
            total, first, second, s0, square, norm = _totals(p1, p2, g11, g12, g22, scratch)
            if basis.size > 0:
                _deposit(i, j, knots2.size, scratch, basis)
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
    return low1, high1, low2, high2, f_low, f_high


@device
def marginal_quantile(
    row: int, n: int, low: float, high: float, share: float, scratch: NDArray[np.float64]
) -> float:
    """Return where a marginal has the share `share` of its mass below.

    The mass up to the ends of the cells is known; between them it follows the cubic whose slopes
    at both ends are the densities there, the means of the two cells that meet.
    """
    total = 0.0
    for i in range(n):
        total += scratch[row, i]
    wanted = share * total
    step = (high - low) / n
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
    return low + (i + 0.5 * (first + last)) * step


@device
def marginal_mode(
    row: int, n: int, low: float, high: float, scratch: NDArray[np.float64]
) -> float:
    """Return where a marginal is highest, by the parabola through its three highest nodes."""
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
    return low + (best + 0.5 + shift) * (high - low) / n


@device
def marginal_bits(
    row: int,
    n: int,
    low: float,
    high: float,
    knots: NDArray[np.float64],
    prior: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> float:
    """Return the Kullback-Leibler divergence of a marginal from that of the prior, in bits."""
    total = 0.0
    for i in range(n):
        total += scratch[row, i]
    step = (high - low) / n
    bits = 0.0
    for i in range(n):
        share = scratch[row, i] / total
        index, part = _knot(knots, low + (i + 0.5) * step)
        expected = prior[index]
        if part > 0.0:
            expected += part * (prior[index + 1] - expected)
        if share > 0.0 and expected > 0.0:
            bits += share * math.log2(share / (expected * step))
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
_KNOTS, _FLAT, _CONSTANT, _POWER_CONSTANT, _BASIS, _ARRAYS = 5, 8, 9, 10, 11, 12


@device
def posterior_voxel(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    sigma: float,
    fit: Fit,
    box: Box,
    n_par: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Replace the best fit in `out` by what the posterior says.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    sigma : float
        Noise of one volume, a.u.; NaN if it is not known.
    fit : tuple
        As `ivimkit.kernels.search.global_fit` returns it.
    box : tuple of float
        Bounds as `ivimkit.kernels.pools.pool_bounds` returns them.
    n_par : int
        Number of parameters of the model.
    options : ndarray
        As `ivimkit.methods.bayes.posterior_options` makes them.
    table : ndarray
        `ivimkit.kernels.atoms.Dictionary.table`.
    work : ndarray
        Scratch.
    out : ndarray, shape (n_par + 2 + n_extras,)
        Holds the parameters of the best fit and its cost; receives the estimates, their cost and
        number of lattices, and `ivimkit.methods.bayes.Bayes.extras`; or, if the options ask for
        it, the integrals of the likelihood with each knot's function in place of the extras.
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
    clear = min(fit[5], fit[6]) * max(options[6], 1.0) > _CLEAR * cost
    gap = top - limit if clear else math.inf
    low1, high1, low2, high2, levels = locate(
        b,
        root_weight,
        signal,
        (best1, best2, fit[2], fit[3]),
        gap,
        limit,
        extent,
        scratch,
        table,
    )
    low1, high1, low2, high2, low3, high3 = integrate(
        b,
        root_weight,
        signal,
        top,
        limit,
        inverse,
        power,
        (low1, high1, low2, high2, f_low, f_high),
        knots1,
        knots2,
        knots3,
        density,
        basis,
        scratch,
        table,
    )
    out[n_par + 1] = levels
    total = scratch[SUMS, 0]
    if basis_size > 0:
        for i in range(basis.shape[0]):
            for k in range(n3):
                basis[i, k] /= total
        return

    for k in range(1, 14):
        scratch[SUMS, k] /= total
    m1 = _NODES if low1 < high1 else 1
    m2 = _NODES if low2 < high2 else 1
    mean1, mean_f, mean2 = scratch[SUMS, 1], scratch[SUMS, 3], scratch[SUMS, 5]
    sd1 = math.sqrt(max(scratch[SUMS, 2] - mean1 * mean1, 0.0))
    sd_f = math.sqrt(max(scratch[SUMS, 4] - mean_f * mean_f, 0.0))
    sd2 = math.sqrt(max(scratch[SUMS, 6] - mean2 * mean2, 0.0))
    s0 = scratch[SUMS, 11]
    spread = variance if variance > 0.0 else residual / max(2.0 * power - 2.0, 1.0)
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
    r1, r2, f = best1, best2, out[i_f] if i_f >= 0 else 0.0
    free1, free2, free3 = m1 > 1, m2 > 1 and i_fast >= 0, low3 < high3 and i_f >= 0
    if free1:
        at = first + 5 * i_slow
        out[at] = sd1
        out[at + 1] = marginal_quantile(M1, m1, low1, high1, 0.025, scratch)
        out[at + 2] = marginal_quantile(M1, m1, low1, high1, 0.975, scratch)
        out[at + 3] = marginal_quantile(M1, m1, low1, high1, 0.25, scratch)
        out[at + 4] = marginal_quantile(M1, m1, low1, high1, 0.75, scratch)
        out[rest] = marginal_bits(M1, m1, low1, high1, knots1, prior1, scratch)
        if estimate == 0:
            r1 = mean1
        elif estimate == 1:
            r1 = marginal_quantile(M1, m1, low1, high1, 0.5, scratch)
        else:
            r1 = marginal_mode(M1, m1, low1, high1, scratch)
    rest += 1
    if free2:
        at = first + 5 * i_fast
        out[at] = sd2
        out[at + 1] = exp(marginal_quantile(M2, m2, low2, high2, 0.025, scratch))
        out[at + 2] = exp(marginal_quantile(M2, m2, low2, high2, 0.975, scratch))
        out[at + 3] = exp(marginal_quantile(M2, m2, low2, high2, 0.25, scratch))
        out[at + 4] = exp(marginal_quantile(M2, m2, low2, high2, 0.75, scratch))
        out[rest] = marginal_bits(M2, m2, low2, high2, knots2, prior2, scratch)
        if estimate == 0:
            r2 = mean2
        elif estimate == 1:
            r2 = exp(marginal_quantile(M2, m2, low2, high2, 0.5, scratch))
        else:
            # The lattice is one of ln D*; the density of D* itself has a factor 1/D*.
            for j in range(m2):
                scratch[M2, j] /= exp(low2 + (j + 0.5) * (high2 - low2) / m2)
            r2 = exp(marginal_mode(M2, m2, low2, high2, scratch))
            r2 = max(r2, APART * r1)
    rest += 1 if i_fast >= 0 else 0
    if free3:
        at = first + 5 * i_f
        out[at] = sd_f
        out[at + 1] = marginal_quantile(M3, WIDTH, low3, high3, 0.025, scratch)
        out[at + 2] = marginal_quantile(M3, WIDTH, low3, high3, 0.975, scratch)
        out[at + 3] = marginal_quantile(M3, WIDTH, low3, high3, 0.25, scratch)
        out[at + 4] = marginal_quantile(M3, WIDTH, low3, high3, 0.75, scratch)
        out[rest] = marginal_bits(M3, WIDTH, low3, high3, knots3, prior3, scratch)
        if estimate == 0:
            f = mean_f
        elif estimate == 1:
            f = marginal_quantile(M3, WIDTH, low3, high3, 0.5, scratch)
        else:
            f = marginal_mode(M3, WIDTH, low3, high3, scratch)
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
    cell = (high1 - low1) / m1 if m1 > 1 else 1.0
    cell *= (high2 - low2) / m2 if m2 > 1 else 1.0
    cell *= (high3 - low3) / WIDTH if low3 < high3 else 1.0 / WIDTH
    evidence = math.log(total * cell) + own[_CONSTANT]
    if variance > 0.0:
        evidence -= 0.5 * (own[_N_B] - 1.0) * math.log(2.0 * math.pi * variance)
        evidence -= (norm - top) * inverse
    else:
        evidence += own[_POWER_CONSTANT] - power * math.log(0.5 * residual)
    out[rest + 1] = evidence
    out[n_par] = squared_residual(b, root_weight, signal, r1, r2, (1.0 - f) * s0, f * s0)
