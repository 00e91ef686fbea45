"""The dictionary of decays of a protocol and their inner products, the same for all voxels.

For a given signal only its inner products with each decay are needed; every pair of decays is
then a problem with two unknowns, whose Gram terms are in the table. The rates are spread evenly in
the angle between neighbouring decays, so that every protocol gets an equally dense grid.

As exp(-b r) exp(-b s) = exp(-b (r + s)), the inner product of any two decays is a function of the
sum of their rates alone, g(t) = sum w exp(-b t), and its derivatives are -sum w b exp(-b t) and
sum w b^2 exp(-b t). They are in the table as Taylor series (`moments`).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import inlined
from ivimkit.kernels.memory import aligned, padded

__all__ = [
    "FIRST_TERM",
    "MOMENTS",
    "NORMS",
    "RATES",
    "Dictionary",
    "build_dictionary",
    "even_rates",
    "moments",
]

# Rows of the table.
RATES = 0
NORMS = 1
MOMENTS = 2
"""Row that says where the series start and end; they are in the rows from `FIRST_TERM` on."""
FIRST_TERM = 3
_N_FINE_RATES = 1000
# A series covers 1/16 octave of t + offset and has 8 terms: one cache line. The
# distance x from the middle of its bucket is at most (t + offset) / 32, and successive terms of
# exp(-b x) have the ratio b x / k.
_BUCKET_BITS = 4
_SHIFT = 52 - _BUCKET_BITS
_HALF = 1 << (_SHIFT - 1)
_CENTRE = ~((1 << _SHIFT) - 1)
_N_TERMS = 8
# Rates above this belong to a compartment without signal at any b > 0.
_MAX_SERIES_RATE = 1e3


def even_rates(
    b: NDArray[np.float64], weight: NDArray[np.float64], lower: float, upper: float, n: int
) -> NDArray[np.float64]:
    """Return `n` rates from `lower` to `upper`, evenly spaced in the angle of their decays.

    Parameters
    ----------
    b, weight : ndarray, shape (n_b,)
        b-values in s/mm^2 and weights.
    lower, upper : float
        Range of rates in mm^2/s.
    n : int
        Number of rates; one if the range is a point.

    Returns
    -------
    ndarray, shape (n,)
    """
    if lower == upper or n == 1:
        return np.array([lower])
    floor = max(lower, 1e-3 * upper)
    fine = np.concatenate(
        [
            np.linspace(lower, floor, _N_FINE_RATES // 10, endpoint=False),
            np.geomspace(floor, upper, _N_FINE_RATES),
        ]
    )
    decays = np.sqrt(weight) * np.exp(-np.outer(fine, b))
    decays /= np.linalg.norm(decays, axis=1, keepdims=True)
    steps = np.linalg.norm(np.diff(decays, axis=0), axis=1)
    # The distance of neighbouring unit vectors is the angle between them, so `arc` is the length
    # of the curve that the decays trace on the unit sphere, and equal steps of it are equal
    # angles. A small constant per step separates rates that the protocol hardly distinguishes.
    arc = np.concatenate([[0.0], np.cumsum(steps + 1e-9)])
    rates: NDArray[np.float64] = np.interp(np.linspace(0.0, arc[-1], n), arc, fine)
    return rates


@dataclass(frozen=True)
class Dictionary:
    """Decays of both compartments, their Gram terms and the series of their inner products.

    Parameters
    ----------
    n1, n2 : int
        Number of slow and of fast rates.
    table : ndarray, shape (n_rows, n)
        Row `RATES`: slow rates, then fast rates from column ``padded(n1)`` on; `NORMS`: squared
        norms of their decays; `MOMENTS`: offset, end, first row of the series, signal at b = 0,
        bounds of the fraction that the pair terms are for.
        From `FIRST_TERM` on: five pair terms (slow rate by fast rate), the weighted decays
        (b-value by rate), the series.
    """

    n1: int
    n2: int
    table: NDArray[np.float64]


def _pair_terms(
    gram11: NDArray[np.float64],
    gram12: NDArray[np.float64],
    gram22: NDArray[np.float64],
    f_low: float,
    f_high: float,
    apart: NDArray[np.bool_],
) -> list[NDArray[np.float64]]:
    """Return inverse Gram terms of the two generators (f_low, f_high) of every pair.

    The generator of the fraction f is e = (1 - f) e1 + f e2, and the product of those of f and g
    is (1-f)(1-g) G11 + ((1-f) g + f (1-g)) G12 + f g G22. `profile.find_profile` uses the terms.
    """

    def product(f: float, g: float) -> NDArray[np.float64]:
        return (1 - f) * (1 - g) * gram11 + (f + g - 2 * f * g) * gram12 + f * g * gram22

    low, cross, high = product(f_low, f_low), product(f_low, f_high), product(f_high, f_high)
    low, cross, high = np.broadcast_arrays(low, cross, high)
    det = low * high - cross**2
    good = apart & (det > 1e-12 * low * high)
    inverse = np.where(good, 1.0 / np.where(good, det, 1.0), 0.0)
    single_low = np.where(low > 0, 1.0 / np.where(low > 0, low, 1.0), 0.0)
    single_high = np.where(high > 0, 1.0 / np.where(high > 0, high, 1.0), 0.0)
    # A pair in the wrong order may still be used as one of its decays alone.
    single_low[~apart & (f_low > 0.0)] = 0.0
    single_high[~apart & (f_high < 1.0)] = 0.0
    return [high * inverse, cross * inverse, low * inverse, single_low, single_high]


def _series(
    b: NDArray[np.float64], weight: NDArray[np.float64], t_end: float
) -> tuple[float, NDArray[np.float64]]:
    """Return the offset and the Taylor coefficients of g(t) = sum w exp(-b t), a row a bucket."""
    b_max = float(b.max())
    offset = 2.0 ** math.floor(math.log2(1.0 / b_max)) if b_max > 0.0 else 1.0
    octaves = math.ceil(math.log2((t_end + offset) / offset)) + 1
    edges = (
        offset
        * np.exp2(np.arange(octaves))[:, None]
        * (1.0 + (np.arange(1 << _BUCKET_BITS) + 0.5) / (1 << _BUCKET_BITS))
    )
    centres = edges.ravel() - offset
    decays = weight * np.exp(-np.outer(centres, b))
    rows = [decays @ ((-b) ** k) / math.factorial(k) for k in range(_N_TERMS)]
    return offset, np.stack(rows, axis=1)


def build_dictionary(
    b: NDArray[np.float64],
    weight: NDArray[np.float64],
    slow: tuple[float, float],
    fast: tuple[float, float],
    fraction: tuple[float, float],
    n1: int,
    n2: int,
) -> Dictionary:
    """Compute the dictionary of a protocol.

    Parameters
    ----------
    b, weight : ndarray, shape (n_b,)
        b-values in s/mm^2 and weights (zero for padding).
    slow, fast : tuple of float
        Ranges of the two rates in mm^2/s.
    fraction : tuple of float
        Bounds of the fraction of the fast compartment.
    n1, n2 : int
        Number of rates of each.

    Returns
    -------
    Dictionary
    """
    return _built(b.tobytes(), weight.tobytes(), slow, fast, fraction, n1, n2)


# With other bounds of one rate, those of the other stay.
@functools.lru_cache(maxsize=64)
def _rates(
    b_bytes: bytes, weight_bytes: bytes, lower: float, upper: float, n: int
) -> NDArray[np.float64]:
    return even_rates(np.frombuffer(b_bytes), np.frombuffer(weight_bytes), lower, upper, n)


# A protocol is fitted more than once: the maps and the ADC, region after region.
@functools.lru_cache(maxsize=64)
def _built(
    b_bytes: bytes,
    weight_bytes: bytes,
    slow: tuple[float, float],
    fast: tuple[float, float],
    fraction: tuple[float, float],
    n1: int,
    n2: int,
) -> Dictionary:
    b, weight = np.frombuffer(b_bytes), np.frombuffer(weight_bytes)
    rates1 = _rates(b_bytes, weight_bytes, *slow, n1)
    rates2 = _rates(b_bytes, weight_bytes, *fast, n2)
    n1, n2 = rates1.size, rates2.size
    first, second = slice(0, n1), slice(padded(n1), padded(n1) + n2)
    n = padded(n1) + padded(n2)
    rates = np.zeros(n)
    rates[first] = rates1
    rates[second] = rates2
    used = np.zeros(n)
    used[first] = used[second] = 1.0
    decays = np.exp(-np.outer(b, rates)) * used
    weighted = weight[:, None] * decays
    gram = decays.T @ weighted
    terms = _pair_terms(
        np.diag(gram)[first, None],
        gram[first, second],
        np.diag(gram)[None, second],
        *fraction,
        rates[None, second] > 1.02 * rates[first, None],
    )
    # Instant rates, without signal at any b > 0, need no series.
    longest = [high for high in (slow[1], fast[1]) if high < _MAX_SERIES_RATE]
    t_end = 2.0 * max(longest)
    offset, series = _series(b, weight, t_end)
    rows = FIRST_TERM + 5 * n1 + b.size + series.shape[0]
    table = aligned(rows * n).reshape(rows, n)
    table[RATES] = rates
    table[NORMS] = np.diag(gram)
    row = FIRST_TERM
    for term in terms:
        table[row : row + n1, :n2] = term
        row += n1
    table[row : row + b.size] = weighted
    row += b.size
    table[row:, :_N_TERMS] = series
    table[MOMENTS, :4] = offset, t_end * (1.0 + 1e-6), row, float(weight[b == 0.0].sum())
    table[MOMENTS, 4:6] = fraction
    return Dictionary(n1, n2, table)


@inlined
def moments(table: NDArray[np.float64], t: float) -> tuple[float, float, float]:
    """Return the sums over all b-values of w e, w b e and w b^2 e with e = exp(-b t).

    Parameters
    ----------
    table : ndarray, shape (n_rows, n)
        `Dictionary.table`.
    t : float
        Sum of two rates in mm^2/s, >= 0.

    Returns
    -------
    tuple of float
        With relative errors of about 1e-12, 1e-9 and 1e-7: enough for the Gram matrix of a step,
        whose residual is computed exactly.
    """
    # u = t + offset has its exponent and its first bits as the number of the bucket (`_SHIFT`),
    # and the same bits followed by a 1 are the middle of the bucket (`_CENTRE`, `_HALF`), about
    # which the series is expanded: no logarithm, no division. x is the distance from the middle.
    offset = table[MOMENTS, 0]
    if not t <= table[MOMENTS, 1]:
        # Beyond the end only b = 0 has signal. A NaN must not become a row of the table.
        return (table[MOMENTS, 3], 0.0, 0.0) if t > 0.0 else (t, t, t)
    u = t + offset
    bits = np.float64(u).view(np.int64)
    row = int(table[MOMENTS, 2]) + (
        (bits >> _SHIFT) - (np.float64(offset).view(np.int64) >> _SHIFT)
    )
    x = u - np.int64((bits & _CENTRE) | _HALF).view(np.float64)
    c2, c3, c4 = table[row, 2], table[row, 3], table[row, 4]
    c5, c6, c7 = table[row, 5], table[row, 6], table[row, 7]
    c1 = table[row, 1]
    g = c1 + x * (c2 + x * (c3 + x * (c4 + x * (c5 + x * (c6 + x * c7)))))
    first = c1 + x * (
        2.0 * c2 + x * (3.0 * c3 + x * (4.0 * c4 + x * (5.0 * c5 + x * (6.0 * c6 + x * 7.0 * c7))))
    )
    second = 2.0 * c2 + x * (
        6.0 * c3 + x * (12.0 * c4 + x * (20.0 * c5 + x * (30.0 * c6 + x * 42.0 * c7)))
    )
    return table[row, 0] + x * g, -first, second
