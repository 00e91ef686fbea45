"""What pairs of decays explain of a signal: all pairs of a row of a lattice at a time.

The fraction f of a pair lies between two bounds. Of the decays (1 - f) e1 + f e2 at these bounds,
called s and t here, each decay between them is phi = (1 - x) s + x t with x from 0 to 1, so that
bounds are always 0 and 1. With the Gram matrix G of s and t and their products (c, d) with
the signal y, take the part of t that is orthogonal to s,

    h = G12 / G11,    w = t - h s,    <w, w> = G22 - h G12,    <w, y> = d - h c.

The best amplitudes are A2 = <w, y> / <w, w> and A1 = c / G11 - h A2, and they explain
T = c^2 / G11 + <w, y> A2 of the squared norm of y. If one is negative, the best decay is at a
bound and explains c^2 / G11 or d^2 / G22.

At any x the gain is <phi, y>^2 / q with q = <phi, phi>. The projection of y on the plane of s and
t is A1 s + A2 t, and its distance from the line of phi is the area between the two over the length
of phi. As the area of s and t is sqrt(G11 <w, w>),

    gain(x) = T - (S x - A2)^2 G11 <w, w> / q(x)    with S = A1 + A2.

So the logarithm of the likelihood is a constant of the pair less the square of a linear function
of x over a quadratic one: numbers of the size of the logarithm itself, for which single precision
is enough, while <phi, y>^2 / q is the small difference of large ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite, inlined
from ivimkit.kernels.exponential import exp, log_single
from ivimkit.kernels.memory import spot
from ivimkit.kernels.two_decays.fitted_decays import MIN_RATE_RATIO
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    CROSS_PRODUCT,
    FAST_DECAY,
    FAST_NORM,
    FAST_PLACE,
    FAST_PRODUCT,
    FAST_RATE,
    LANES,
    ROW,
    SLOW_NORM,
    SLOW_PLACE,
    SLOW_PRODUCT,
    SLOW_RATE,
    WEIGHT,
    WEIGHTED,
)
from ivimkit.kernels.two_decays.lattice.single_rows import (
    BASE,
    CUT,
    DOT,
    DOT_SLOPE,
    HIGH,
    LEAST,
    LOW,
    NORM,
    NORM_CURVE,
    NORM_SLOPE,
    SLOPE,
)

__all__ = [
    "Likelihood",
    "fill_gains",
    "fill_pairs",
    "fill_products",
    "log_fall",
    "root_single",
    "weigh_signal",
]

# Share of the squared norm of a decay that is orthogonal to another one, below which the two are
# one decay.
_MIN_ORTHOGONAL = 1e-10
_FAR = np.float32(1e30)
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


class Likelihood(NamedTuple):
    """How the likelihood follows from the gain, the explained share of the signal's squared norm.

    Parameters
    ----------
    top : float
        Gain of the best fit.
    inverse, power : float
        With the drop d = (top - gain) inverse it is exp(-d), or (1 + d)^-power if `power` is above
        0.
    most : float
        Drops above this are negligible.
    """

    top: float
    inverse: float
    power: float
    most: float


@inlined
def root_single(x: np.float32) -> np.float32:
    """Return the square root in single precision."""
    return np.float32(math.sqrt(x))


@inlined
def log_fall(drop: np.float32, power: np.float32) -> np.float32:
    """Return by how much the logarithm of the likelihood falls with a drop of the gain."""
    return power * log_single(_ONE + drop) if power > _ZERO else drop


@device
def weigh_signal(
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    unit: float,
    decays: NDArray[np.float64],
) -> None:
    """Write the weights and the weighted signal, in a unit that makes its norm 1."""
    for j in range(root_weight.size):
        weight = root_weight[j] * root_weight[j]
        decays[j, WEIGHT] = weight
        decays[j, WEIGHTED] = weight * signal[j] / unit
    # Rows behind the last b-value add nothing to sums.
    for j in range(root_weight.size, decays.shape[0]):
        for k in range(decays.shape[1]):
            decays[j, k] = 0.0


@inlined
def _fill_decays(
    b: NDArray[np.float64],
    first: int,
    rate: int,
    product: int,
    norm: int,
    column: int,
    scratch: NDArray[np.float64],
    decays: NDArray[np.float64],
) -> None:
    """Write the decays of `LANES` rates from `first` on, their products and squared norms."""
    for k in range(LANES):
        scratch[spot(product + first, k)] = 0.0
        scratch[spot(norm + first, k)] = 0.0
    for j in range(b.size):
        bj = b[j]
        weight, weighted = decays[j, WEIGHT], decays[j, WEIGHTED]
        for k in range(LANES):
            decay = exp(-bj * scratch[spot(rate + first, k)])
            decays[j, spot(column + first, k)] = decay
            scratch[spot(product + first, k)] += weighted * decay
            scratch[spot(norm + first, k)] += weight * decay * decay


@device
def fill_products(
    b: NDArray[np.float64],
    n1: int,
    n2: int,
    scratch: NDArray[np.float64],
    decays: NDArray[np.float64],
) -> None:
    """Write rates, their products with the signal and with each other.

    From the places of n1 slow and n2 fast rates, the latter as logarithms. The products of pairs
    are added up for two slow rates and from four b-values at a time: a sum in memory waits for its
    last store, and a decay that is loaded serves twice.
    """
    for block in range(0, n1, LANES):
        for k in range(LANES):
            scratch[spot(SLOW_RATE + block, k)] = scratch[spot(SLOW_PLACE + block, k)]
        _fill_decays(b, block, SLOW_RATE, SLOW_PRODUCT, SLOW_NORM, 0, scratch, decays)
    for block in range(0, n2, LANES):
        for k in range(LANES):
            scratch[spot(FAST_RATE + block, k)] = exp(scratch[spot(FAST_PLACE + block, k)])
        _fill_decays(b, block, FAST_RATE, FAST_PRODUCT, FAST_NORM, FAST_DECAY, scratch, decays)
    for i in range(0, n1, 2):
        for block in range(0, n2, LANES):
            _add_products(i, CROSS_PRODUCT + i * ROW + block, block, scratch, decays)


@inlined
def _add_products(
    i: int,
    at: int,
    first: int,
    scratch: NDArray[np.float64],
    decays: NDArray[np.float64],
) -> None:
    """Write the products of two slow decays with `LANES` fast ones."""
    for k in range(LANES):
        scratch[spot(at, k)] = 0.0
        scratch[spot(at + ROW, k)] = 0.0
    column = FAST_DECAY + first
    for j in range(0, decays.shape[0], 4):
        w0, w1 = decays[j, WEIGHT], decays[j + 1, WEIGHT]
        w2, w3 = decays[j + 2, WEIGHT], decays[j + 3, WEIGHT]
        s0, s1 = w0 * decays[j, i], w1 * decays[j + 1, i]
        s2, s3 = w2 * decays[j + 2, i], w3 * decays[j + 3, i]
        t0, t1 = w0 * decays[j, i + 1], w1 * decays[j + 1, i + 1]
        t2, t3 = w2 * decays[j + 2, i + 1], w3 * decays[j + 3, i + 1]
        for k in range(LANES):
            e0, e1 = decays[j, spot(column, k)], decays[j + 1, spot(column, k)]
            e2, e3 = decays[j + 2, spot(column, k)], decays[j + 3, spot(column, k)]
            scratch[spot(at, k)] += s0 * e0 + s1 * e1 + s2 * e2 + s3 * e3
            scratch[spot(at + ROW, k)] += t0 * e0 + t1 * e1 + t2 * e2 + t3 * e3


@inlined
def _bounded(
    k: int, left: int, right: int, row: int, f_low: float, f_high: float,
    scratch: NDArray[np.float64],
) -> tuple[float, float, float, float, float]:  # fmt: skip
    """Return Gram matrix and products of the decays of a pair at the bounds of the fraction."""
    p1, g11 = scratch[SLOW_PRODUCT + left], scratch[SLOW_NORM + left]
    p2, g22 = scratch[spot(FAST_PRODUCT + right, k)], scratch[spot(FAST_NORM + right, k)]
    g12 = scratch[spot(row, k)]
    apart, curve = g12 - g11, g11 - 2.0 * g12 + g22
    low = g11 + f_low * (2.0 * apart + f_low * curve)
    high = g11 + f_high * (2.0 * apart + f_high * curve)
    cross = g11 + (f_low + f_high) * apart + f_low * f_high * curve
    return low, cross, high, p1 + f_low * (p2 - p1), p1 + f_high * (p2 - p1)


@inlined
def _explained(
    g11: float, g12: float, g22: float, c: float, d: float
) -> tuple[float, float, float, float, float]:
    """Return the gain of a pair, T, A1, A2 and the squared norm <w, w>, 0 for one decay."""
    inverse = 1.0 / g11
    h = g12 * inverse
    rest = g22 - h * g12
    two = rest > _MIN_ORTHOGONAL * g22
    rest = rest if two else 0.0
    over = 1.0 / rest if two else 0.0
    product = d - h * c
    a2 = product * over
    a1 = c * inverse - h * a2
    first = c * c * inverse
    second = d * d / g22
    first = first if c > 0.0 else 0.0
    second = second if d > 0.0 else 0.0
    one = first if first > second else second
    free = c * c * inverse + product * a2
    gain = free if two & (a1 > 0.0) & (a2 > 0.0) else one
    return gain, free if two else one, a1, a2, rest


@finite
def fill_gains(
    n1: int,
    n2: int,
    f_low: float,
    f_high: float,
    likelihood: Likelihood,
    scratch: NDArray[np.float64],
    single: NDArray[np.float32],
) -> None:
    """Write to `LEAST` by how much each pair of a lattice explains more than is negligible.

    In units of the likelihood: then single precision is enough.
    """
    inverse = likelihood.inverse
    limit = likelihood.top - likelihood.most / inverse
    for i in range(n1):
        least = MIN_RATE_RATIO * scratch[SLOW_RATE + i]
        for block in range(0, n2, LANES):
            row = CROSS_PRODUCT + i * ROW + block
            at = LEAST + i * ROW + block
            for k in range(LANES):
                g11, g12, g22, c, d = _bounded(k, i, block, row, f_low, f_high, scratch)
                gain, _, _, _, _ = _explained(g11, g12, g22, c, d)
                gain = gain if scratch[spot(FAST_RATE + block, k)] > least else 0.0
                single[spot(at, k)] = (gain - limit) * inverse


@finite
def fill_pairs(
    n1: int,
    n2: int,
    f_low: float,
    f_high: float,
    centre: float,
    likelihood: Likelihood,
    scratch: NDArray[np.float64],
    single: NDArray[np.float32],
) -> None:
    """Write the numbers of each pair from which its likelihood at any fraction follows.

    The drop of the gain below the best fit, in the unit of the likelihood, is
    BASE + (SLOPE z + CUT)^2 / q with q = NORM + z (NORM_SLOPE + z NORM_CURVE) and z = x - centre,
    and <phi, y> = DOT + z DOT_SLOPE.

    Parameters
    ----------
    n1, n2 : int
        Numbers of slow and of fast rates, whose products are in the scratch.
    f_low, f_high : float
        Bounds of the fraction.
    centre : float
        x of the centre.
    likelihood : Likelihood
        How the likelihood follows from the gain.
    scratch, single : ndarray
        The scratch of a lattice.
    """
    low_end, high_end = np.float32(-centre), np.float32(1.0 - centre)
    top, inverse = likelihood.top, likelihood.inverse
    reach = np.float32(likelihood.most)
    for i in range(n1):
        least_fast = MIN_RATE_RATIO * scratch[SLOW_RATE + i]
        for block in range(0, n2, LANES):
            row = CROSS_PRODUCT + i * ROW + block
            at = i * ROW + block
            for k in range(LANES):
                g11, g12, g22, c, d = _bounded(k, i, block, row, f_low, f_high, scratch)
                gain, free, a1, a2, rest = _explained(g11, g12, g22, c, d)
                s0 = a1 + a2
                apart, curve = g12 - g11, g11 - 2.0 * g12 + g22
                drop = (top - gain) * inverse
                single[spot(LEAST + at, k)] = (
                    drop if scratch[spot(FAST_RATE + block, k)] > least_fast else 1e30
                )
                single[spot(BASE + at, k)] = (top - free) * inverse
                single[spot(SLOPE + at, k)] = s0
                single[spot(CUT + at, k)] = s0 * centre - a2
                single[spot(HIGH + at, k)] = g11 * rest * inverse
                single[spot(NORM + at, k)] = g11 + centre * (2.0 * apart + centre * curve)
                single[spot(NORM_SLOPE + at, k)] = 2.0 * (apart + centre * curve)
                single[spot(NORM_CURVE + at, k)] = curve
                single[spot(DOT + at, k)] = c + centre * (d - c)
                single[spot(DOT_SLOPE + at, k)] = d - c
            for k in range(LANES):
                # The drop is below K + BASE where (SLOPE z + CUT)^2 < K q: between two roots.
                root = root_single(single[spot(HIGH + at, k)])
                slope, cut = single[spot(SLOPE + at, k)] * root, single[spot(CUT + at, k)] * root
                left = reach - single[spot(BASE + at, k)]
                square = slope * slope - left * single[spot(NORM_CURVE + at, k)]
                half = slope * cut - _HALF * left * single[spot(NORM_SLOPE + at, k)]
                constant = cut * cut - left * single[spot(NORM + at, k)]
                inner = half * half - square * constant
                width = root_single(inner if inner > _ZERO else _ZERO)
                over = _ONE / square if square > _ZERO else _ZERO
                low = (-half - width) * over if square > _ZERO else low_end
                high = (-half + width) * over if square > _ZERO else high_end
                low = low if low > low_end else low_end
                high = high if high < high_end else high_end
                seen = single[spot(LEAST + at, k)] < reach
                single[spot(SLOPE + at, k)] = slope
                single[spot(CUT + at, k)] = cut
                single[spot(LOW + at, k)] = low if seen else _FAR
                single[spot(HIGH + at, k)] = high if seen else -_FAR
