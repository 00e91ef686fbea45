"""The posterior of a sum of two decays on a lattice that covers where it is not negligible.

For given rates r1, r2 and fraction f the signal is S0 phi with phi = (1-f) e1 + f e2, so S0 is
integrated out in closed form. With c = <y, phi> and q = <phi, phi>,

    <y - S0 phi, y - S0 phi> = <y, y> - c^2/q + q (S0 - c/q)^2,

so S0 is normal with the mean c/q and the variance sigma^2/q, and the likelihood of (r1, r2, f) is
q^(-1/2) exp((c^2/q - <y, y>) / (2 sigma^2)). An unknown noise variance has a scaled inverse
chi-squared prior (with 0 degrees of freedom: Jeffreys' prior) and is integrated out, too: the
exponential becomes a power (`variance`). Inner products of decays come from the series of the
protocol (`ivimkit.kernels.two_decays.atoms.moments`), so a lattice anywhere costs no more than a
fixed one.

The lattice is uniform in r1, ln r2 and f. On a smooth density that has died away at its ends such
a rule converges exponentially once the spacing is below the width of the density.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.two_decays.atoms import moments
from ivimkit.kernels.two_decays.fitted_decays import MIN_RATE_RATIO
from ivimkit.kernels.two_decays.lattice.axes import (
    Axis,
    Extent,
    axis_between,
    fill_rates,
    node,
    place_among_knots,
)
from ivimkit.kernels.two_decays.lattice.locate import fraction_range
from ivimkit.kernels.two_decays.lattice.prior_knots import Prior
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    CROSS_PRODUCT,
    FAST_KNOT,
    FAST_MARGINAL,
    FAST_NORM,
    FAST_PART,
    FAST_PRODUCT,
    FAST_RATE,
    FAST_SQUARE,
    FAST_STEP,
    FAST_SUM,
    FLOW_SQUARE,
    FRACTION,
    FRACTION_FAST,
    FRACTION_KNOT,
    FRACTION_MARGINAL,
    FRACTION_PART,
    FRACTION_SLOW,
    FRACTION_SQUARE,
    FRACTION_STEP,
    FRACTION_SUM,
    GAIN,
    HIGH_FRACTION,
    INVERSE_NORM,
    LOGIT,
    LOW_FRACTION,
    N_FRACTIONS,
    ROW_LENGTH,
    S0_SQUARE,
    S0_SUM,
    SLOW_FAST,
    SLOW_KNOT,
    SLOW_MARGINAL,
    SLOW_NORM,
    SLOW_PART,
    SLOW_PRODUCT,
    SLOW_RATE,
    SLOW_SQUARE,
    SLOW_STEP,
    SLOW_SUM,
    SUMS,
    TOTAL,
    VALUE,
)

__all__ = ["N_LOG_SUMS", "integrate"]

N_LOG_SUMS = 10
"""Sums of 1, x, y, z, xx, xy, xz, yy, yz and zz with x = ln r1, y = ln r2 and z = logit f."""

# A fraction or rate nearer to 0 or 1 is treated as this far away, so that its logarithm is finite.
_MIN_RATE = 1e-7
_MIN_FRACTION = 1e-6
# Logarithm of the density of a component of a prior, per unit of the logarithms, below which it is
# negligible.
_MIN_LOG_DENSITY = -60.0


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
    """Multiply scratch[VALUE] by the likelihood at all fractions.

    c = p1 + f (p2 - p1) is linear in f and q = <phi, phi> quadratic, with the coefficients dg and
    gg; the name `q` below is 1/q. Values are relative to the best fit, whose gain is `top`. A
    fraction with c <= 0 would have S0 <= 0 and counts 0.
    """
    dp, dg, gg = p2 - p1, 2.0 * (g12 - g11), g11 - 2.0 * g12 + g22
    if power > 0.0:
        for k in range(N_FRACTIONS):
            f = scratch[FRACTION, k]
            c = p1 + f * dp
            q = 1.0 / (g11 + f * (dg + f * gg))
            drop = (top - c * c * q) * inverse
            value = exp(-power * log(1.0 + (drop if drop > 0.0 else 0.0)))
            scratch[VALUE, k] *= value * math.sqrt(q) if c > 0.0 else 0.0
    else:
        for k in range(N_FRACTIONS):
            f = scratch[FRACTION, k]
            c = p1 + f * dp
            q = 1.0 / (g11 + f * (dg + f * gg))
            value = exp((c * c * q - top) * inverse)
            scratch[VALUE, k] *= value * math.sqrt(q) if c > 0.0 else 0.0


@finite
def _totals(
    p1: float,
    p2: float,
    g11: float,
    g12: float,
    g22: float,
    scratch: NDArray[np.float64],
) -> tuple[float, float, float, float, float, float, float]:
    """Add scratch[VALUE] to the marginal of the fraction; return its sum and moments.

    They are those of 1, f, f^2, S0, S0^2, 1/q and the gain c^2/q.
    """
    dp, dg, gg = p2 - p1, 2.0 * (g12 - g11), g11 - 2.0 * g12 + g22
    total = first = second = signal = square = norm = gain = 0.0
    for k in range(N_FRACTIONS):
        f = scratch[FRACTION, k]
        value = scratch[VALUE, k]
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
        scratch[FRACTION_MARGINAL, k] += value
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
    """Write the prior at a pair of nodes and all knots of the fraction to `column`.

    Bilinear between the four knots of the rates around the pair.
    """
    row = int(scratch[SLOW_KNOT, i]) * n_fast + int(scratch[FAST_KNOT, j])
    s, t = scratch[SLOW_PART, i], scratch[FAST_PART, j]
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
    """Add scratch[VALUE] of a pair to the knots around its nodes, weighted by their nearness.

    The transpose of the interpolation in `_column`: so the integral of likelihood times prior is
    the sum over the knots of density times `basis`, and linear in the density.
    """
    row = int(scratch[SLOW_KNOT, i]) * n_fast + int(scratch[FAST_KNOT, j])
    s, t = scratch[SLOW_PART, i], scratch[FAST_PART, j]
    down = row + n_fast if s > 0.0 else row
    right = 1 if t > 0.0 else 0
    n = basis.shape[1]
    for k in range(n):
        column[k] = 0.0
    for k in range(N_FRACTIONS):
        index, part = int(scratch[FRACTION_KNOT, k]), scratch[FRACTION_PART, k]
        column[index] += (1.0 - part) * scratch[VALUE, k]
        if part > 0.0:
            column[index + 1] += part * scratch[VALUE, k]
    for k in range(n):
        value = column[k]
        basis[row, k] += (1.0 - s) * (1.0 - t) * value
        basis[row + right, k] += (1.0 - s) * t * value
        basis[down, k] += s * (1.0 - t) * value
        basis[down + right, k] += s * t * value


@finite
def _mixture_values(
    x: float,
    y: float,
    area: float,
    components: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> None:
    """Write the prior, a mixture of Gaussians, at a pair and all fractions to scratch[VALUE].

    At a given pair the exponent of a component is a parabola in z = logit f,
    -(p + 2 q z + r z^2) / 2 with r = P33, and its summit says whether it matters at all.
    """
    for k in range(N_FRACTIONS):
        scratch[VALUE, k] = 0.0
    for n in range(components.shape[0]):
        a, b, c = x - components[n, 1], y - components[n, 2], components[n, 3]
        linear = components[n, 6] * a + components[n, 8] * b
        curve = components[n, 9]
        at_mean = components[n, 0] - 0.5 * (
            a * (components[n, 4] * a + 2.0 * components[n, 5] * b) + components[n, 7] * b * b
        )
        summit = at_mean + (0.5 * linear * linear / curve if curve > 0.0 else 0.0)
        if summit < _MIN_LOG_DENSITY:
            continue
        for k in range(N_FRACTIONS):
            z = scratch[LOGIT, k] - c
            scratch[VALUE, k] += exp(at_mean - z * (linear + 0.5 * curve * z))
    for k in range(N_FRACTIONS):
        scratch[VALUE, k] *= area * scratch[FRACTION_STEP, k]


@device
def _add_log_moments(
    x: float, y: float, scratch: NDArray[np.float64], sums: NDArray[np.float64]
) -> None:
    """Add scratch[VALUE] of a pair to the sums of the logarithms and their products."""
    total = first = second = 0.0
    for k in range(N_FRACTIONS):
        value, z = scratch[VALUE, k], scratch[LOGIT, k]
        total += value
        first += value * z
        second += value * z * z
    sums[0] += total
    sums[1] += total * x
    sums[2] += total * y
    sums[3] += first
    sums[4] += total * x * x
    sums[5] += total * x * y
    sums[6] += first * x
    sums[7] += total * y * y
    sums[8] += first * y
    sums[9] += second


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
    prior: Prior,
    basis: NDArray[np.float64],
    log_sums: NDArray[np.float64],
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
        Gains (squared norms of the explained signal) below this are negligible.
    inverse, power : float
        The likelihood is ``exp((gain - top) inverse)``, or ``(1 + (top - gain) inverse)^-power``
        if `power` is above 0.
    nodes : int
        Number of nodes of each rate that is not fixed.
    best, spread : tuple of float
        Slow rate, logarithm of the fast rate and fraction of the best fit, and the approximate
        width of the peak around them; infinite if it is not known.
    extent : tuple of float
        The box as `locate` returns it, and the ends of the fraction; equal ends fix a parameter.
    prior : Prior
        Its density multiplies the likelihood; without a density it is flat in slow rate, fast rate
        and fraction.
    basis : ndarray, shape (n_slow * n_fast, n_fraction)
        Receives the integral of the likelihood with the interpolation function of each knot; may
        be of size 0.
    log_sums : ndarray, shape (N_LOG_SUMS,)
        Receives sums of the logarithms and their products; may be of size 0.
    scratch : ndarray, shape (N_SCRATCH_ROWS, ROW_LENGTH)
        Receives the sums in row `SUMS` and the marginals in rows `SLOW_MARGINAL`,
        `FAST_MARGINAL` and `FRACTION_MARGINAL`.
    column : ndarray, shape (n_fraction,)
        Scratch.
    table : ndarray
        `ivimkit.kernels.two_decays.atoms.Dictionary.table`.

    Returns
    -------
    tuple of tuple
        The axes of the lattice.
    """
    knots1, knots2, knots3 = prior.slow_knots, prior.fast_knots, prior.fraction_knots
    density = prior.density
    low1, high1, low2, high2, f_first, f_last = extent
    n1 = nodes if low1 < high1 else 1
    n2 = nodes if low2 < high2 else 1
    axis1 = axis_between(low1, high1, best[0], spread[0])
    axis2 = axis_between(low2, high2, best[1], spread[1])
    fill_rates(b, root_weight, signal, axis1, n1, False, SLOW_RATE, scratch, table)
    fill_rates(b, root_weight, signal, axis2, n2, True, FAST_RATE, scratch, table)
    f_low, f_high = f_last, f_first
    for i in range(n1):
        for j in range(n2):
            scratch[LOW_FRACTION + i, j] = 1.0
            scratch[HIGH_FRACTION + i, j] = 0.0
            if scratch[FAST_RATE, j] > MIN_RATE_RATIO * scratch[SLOW_RATE, i]:
                g12, _, _ = moments(table, scratch[SLOW_RATE, i] + scratch[FAST_RATE, j])
                scratch[CROSS_PRODUCT + i, j] = g12
                low, high, _ = fraction_range(
                    scratch[SLOW_PRODUCT, i],
                    scratch[FAST_PRODUCT, j],
                    scratch[SLOW_NORM, i],
                    g12,
                    scratch[FAST_NORM, j],
                    f_first,
                    f_last,
                    limit,
                )
                scratch[LOW_FRACTION + i, j] = low
                scratch[HIGH_FRACTION + i, j] = high
                if low <= high:
                    f_low = min(f_low, low)
                    f_high = max(f_high, high)
    if f_low > f_high:
        f_low, f_high = f_first, f_last
    axis3 = axis_between(f_low, f_high, best[2], spread[2])
    place_among_knots(knots1, axis1, n1, SLOW_KNOT, scratch)
    place_among_knots(knots2, axis2, n2, FAST_KNOT, scratch)
    place_among_knots(knots3, axis3, N_FRACTIONS, FRACTION_KNOT, scratch)
    for k in range(N_FRACTIONS):
        scratch[FRACTION, k] = node(axis3, (k + 0.5) / N_FRACTIONS)
    takes_logs = log_sums.size > 0 or prior.components.shape[0] > 0
    if takes_logs:
        for k in range(N_FRACTIONS):
            f = min(max(scratch[FRACTION, k], _MIN_FRACTION), 1.0 - _MIN_FRACTION)
            scratch[LOGIT, k] = log(f / (1.0 - f))
            # A density of the logit becomes one of f.
            if prior.components.shape[0] > 0 and f_first < f_last:
                scratch[FRACTION_STEP, k] /= f * (1.0 - f)
    for k in range(log_sums.size):
        log_sums[k] = 0.0
    for k in range(ROW_LENGTH):
        scratch[SLOW_MARGINAL, k] = scratch[FAST_MARGINAL, k] = scratch[FRACTION_MARGINAL, k] = 0.0
        scratch[SUMS, k] = 0.0
    for i in range(n1):
        r1 = scratch[SLOW_RATE, i]
        for j in range(n2):
            if scratch[LOW_FRACTION + i, j] > scratch[HIGH_FRACTION + i, j]:
                continue
            p1, p2 = scratch[SLOW_PRODUCT, i], scratch[FAST_PRODUCT, j]
            g11, g12, g22 = (
                scratch[SLOW_NORM, i],
                scratch[CROSS_PRODUCT + i, j],
                scratch[FAST_NORM, j],
            )
            area = scratch[SLOW_STEP, i] * scratch[FAST_STEP, j]
            if prior.components.shape[0] > 0:
                # A density of ln r1 becomes one of r1.
                area /= scratch[SLOW_RATE, i] if n1 > 1 else 1.0
                x, y = log(max(scratch[SLOW_RATE, i], _MIN_RATE)), log(scratch[FAST_RATE, j])
                _mixture_values(x, y, area, prior.components, scratch)
            elif density.size == 0:
                # Flat in the fast rate itself, but the lattice is in its logarithm: d r2 = r2 d ln
                # r2.
                area *= scratch[FAST_RATE, j] if n2 > 1 and basis.size == 0 else 1.0
                for k in range(N_FRACTIONS):
                    scratch[VALUE, k] = area * scratch[FRACTION_STEP, k]
            else:
                _column(i, j, knots2.size, density, scratch, column)
                for k in range(N_FRACTIONS):
                    index, part = int(scratch[FRACTION_KNOT, k]), scratch[FRACTION_PART, k]
                    value = column[index]
                    if part > 0.0:
                        value += part * (column[index + 1] - value)
                    scratch[VALUE, k] = area * scratch[FRACTION_STEP, k] * value
            _likelihood(p1, p2, g11, g12, g22, top, inverse, power, scratch)
            total, first, second, s0, square, norm, gain = _totals(p1, p2, g11, g12, g22, scratch)
            if basis.size > 0:
                _deposit(i, j, knots2.size, scratch, column, basis)
            if log_sums.size > 0:
                x, y = log(max(scratch[SLOW_RATE, i], _MIN_RATE)), log(scratch[FAST_RATE, j])
                _add_log_moments(x, y, scratch, log_sums)
            r2 = scratch[FAST_RATE, j]
            scratch[SLOW_MARGINAL, i] += total
            scratch[FAST_MARGINAL, j] += total
            scratch[SUMS, TOTAL] += total
            scratch[SUMS, SLOW_SUM] += total * r1
            scratch[SUMS, SLOW_SQUARE] += total * r1 * r1
            scratch[SUMS, FRACTION_SUM] += first
            scratch[SUMS, FRACTION_SQUARE] += second
            scratch[SUMS, FAST_SUM] += total * r2
            scratch[SUMS, FAST_SQUARE] += total * r2 * r2
            scratch[SUMS, FRACTION_SLOW] += first * r1
            scratch[SUMS, FRACTION_FAST] += first * r2
            scratch[SUMS, SLOW_FAST] += total * r1 * r2
            scratch[SUMS, FLOW_SQUARE] += second * r2 * r2
            scratch[SUMS, S0_SUM] += s0
            scratch[SUMS, S0_SQUARE] += square
            scratch[SUMS, INVERSE_NORM] += norm
            scratch[SUMS, GAIN] += gain
    return axis1, axis2, axis3
