"""The profile over the fast rates of the dictionary, and where a descent begins.

The gain of a pair of decays is the part of the squared norm of the signal that the pair explains
with its best amplitudes; the cost is the squared norm less the gain. The profile is the gain of
every fast rate with its best slow rate: each of its summits is a candidate basin.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import finite, inlined
from ivimkit.kernels.memory import padded_in_kernel
from ivimkit.kernels.precision import data_loop
from ivimkit.kernels.two_decays.atoms import FIRST_TERM, MOMENTS, RATES
from ivimkit.kernels.two_decays.fitted_decays import MIN_RATE_RATIO, Box

__all__ = [
    "PLACE_IN_WORK",
    "SIGNAL_ROW",
    "Place",
    "above",
    "find_profile",
    "has_profile",
    "highest",
    "is_promising",
    "pair_start",
    "project",
    "search_rows",
    "search_rows_in_kernel",
    "slow_half_start",
]

# Rows of the scratch array. All of it is indexed by row and column: the compiler cannot exclude
# that an index that is a sum is negative, and negative indices cost a gather instead of a load.
SIGNAL_ROW = 0
_FAST_ROW = 1
_PROFILE_ROW = 2
_GAINS_ROW = 3
Place: TypeAlias = tuple[int, int, int, int, int, int]
"""Where the gains of a voxel's pairs are in an array: the first row, rows per slow and per fast
rate, row of the profile; the first column, columns per fast rate."""
PLACE_IN_WORK: Place = (_GAINS_ROW + 1, 1, 0, _PROFILE_ROW, 0, 1)


def search_rows(n1: int) -> int:
    """Return how many rows of scratch, as long as those of the table, a search needs."""
    return _GAINS_ROW + 2 * n1 + 3


search_rows_in_kernel = inlined(search_rows)
"""The same, compiled."""


@data_loop
@inlined
def project(
    signal: NDArray[np.float64], table: NDArray[np.float64], work: NDArray[np.float64]
) -> None:
    """Write the inner products of the signal with all decays to work[SIGNAL_ROW]."""
    first = int(table[MOMENTS, 2]) - signal.size
    n = signal.size
    for k in range(table.shape[1]):
        work[SIGNAL_ROW, k] = 0.0
    # Four rows at a time: a sum that is kept in memory depends on its last store in every step.
    # Rows behind the last decay are multiplied by 0.
    for j in range(0, n, 4):
        s0 = signal[j]
        s1 = signal[j + 1] if j + 1 < n else 0.0
        s2 = signal[j + 2] if j + 2 < n else 0.0
        s3 = signal[j + 3] if j + 3 < n else 0.0
        row = first + j
        for k in range(table.shape[1]):
            work[SIGNAL_ROW, k] += (s0 * table[row, k] + s1 * table[row + 1, k]) + (
                s2 * table[row + 2, k] + s3 * table[row + 3, k]
            )


@data_loop
@finite
def find_profile(
    table: NDArray[np.float64],
    n1: int,
    n2: int,
    f_low: float,
    f_high: float,
    work: NDArray[np.float64],
) -> None:
    """Write to work[_PROFILE_ROW] what each fast decay explains with the best slow rate.

    The amplitudes of a pair stay inside their cone: either both generators of the cone take
    part, or the better one does alone. Between the slow rates of the dictionary a parabola is
    laid through the summit (up to the next rate), so that a coarse dictionary does not hide a
    basin.
    """
    # Amplitudes with f between its bounds and S0 >= 0 are x u + y v with x, y >= 0, where the
    # generators u and v are the decays mixed with f_low and with f_high. With p their products
    # with the signal and G their Gram matrix, (x, y) = G^-1 p explains p.G^-1 p. The first three
    # blocks of the table are the elements of G^-1, the off-diagonal one with its sign reversed.
    # If x or y is negative, the optimum is on an edge of the cone, where one generator u explains
    # (p_u)^2 / |u|^2 if p_u > 0 and nothing otherwise; the last two blocks are 1 / |u|^2.
    n1_padded = padded_in_kernel(n1)
    tops = _GAINS_ROW + n1 + 2
    for j in range(n2):
        work[tops, j] = 0.0
        work[_FAST_ROW, j] = work[SIGNAL_ROW, n1_padded + j]
        work[_GAINS_ROW, j] = 1e300
        work[_GAINS_ROW + n1 + 1, j] = 1e300
    for i in range(n1):
        p1 = work[SIGNAL_ROW, i]
        row = FIRST_TERM + i
        for j in range(n2):
            p2 = work[_FAST_ROW, j]
            low = (1.0 - f_low) * p1 + f_low * p2
            high = (1.0 - f_high) * p1 + f_high * p2
            x = table[row, j] * low - table[row + n1, j] * high
            y = table[row + 2 * n1, j] * high - table[row + n1, j] * low
            both = x * low + y * high
            low = low if low > 0.0 else 0.0
            high = high if high > 0.0 else 0.0
            one_low = low * low * table[row + 3 * n1, j]
            one_high = high * high * table[row + 4 * n1, j]
            one = one_low if one_low > one_high else one_high
            least = x if x < y else y
            work[_GAINS_ROW + 1 + i, j] = both if least > 0.0 else one
    # The parabola through the gain g and its neighbours g - left and g - right has its top at the
    # shift (left - right) / (2 (left + right)) of a grid step, (left - right)^2 / (8 (left +
    # right)) above g. |left - right| < 2 (left + right) keeps the top within one step. The rows
    # before the first and behind the last slow rate contain 1e300, so `left + right` is then
    # negative there.
    for i in range(n1):
        for j in range(n2):
            gain = work[_GAINS_ROW + 1 + i, j]
            left = gain - work[_GAINS_ROW + i, j]
            right = gain - work[_GAINS_ROW + 2 + i, j]
            lean = left - right if left > right else right - left
            summit = gain + 0.125 * lean * lean / (left + right)
            gain = summit if lean < 2.0 * (left + right) else gain
            # One row per step: where the same place is read and written, the compiler writes with
            # a mask, and the next read waits for it.
            top = work[tops + i, j]
            work[tops + 1 + i, j] = gain if gain > top else top
    for j in range(n2):
        work[_PROFILE_ROW, j] = work[tops + n1, j]


@inlined
def _gain(array: NDArray[np.float64], place: Place, i: int, j: int) -> float:
    """Return what the i-th slow and the j-th fast decay explain together."""
    row, column = place[0] + i * place[1] + j * place[2], place[4] + j * place[5]
    # Unsigned: a signed index might count from the end and is tested for that.
    gain: float = array[np.uint64(row), np.uint64(column)]
    return gain


@inlined
def _height(array: NDArray[np.float64], place: Place, j: int) -> float:
    """Return the profile at its column j."""
    row, column = place[3] + j * place[2], place[4] + j * place[5]
    height: float = array[np.uint64(row), np.uint64(column)]
    return height


@inlined
def highest(n2: int, array: NDArray[np.float64], place: Place) -> int:
    """Return the column in which the profile is highest."""
    first = 0
    for j in range(n2):
        if _height(array, place, j) > _height(array, place, first):
            first = j
    return first


@inlined
def _is_summit(j: int, n2: int, array: NDArray[np.float64], place: Place) -> bool:
    """Return whether the profile is not higher in the columns next to column j."""
    here = _height(array, place, j)
    left = j == 0 or here > _height(array, place, j - 1)
    return left and (j == n2 - 1 or here >= _height(array, place, j + 1))


@inlined
def is_promising(
    j: int, n2: int, doubtful: bool, enough: float, array: NDArray[np.float64], place: Place
) -> bool:
    """Return whether a descent from column j of the profile may lead to a lower cost.

    Every summit that explains `enough` is a candidate basin. Where the noise hides one of the
    compartments, summits may be hidden between the columns too; every third column is then a
    start as well.
    """
    return _height(array, place, j) > enough and (
        _is_summit(j, n2, array, place) or (doubtful and j % 3 == 1)
    )


@inlined
def _between(table: NDArray[np.float64], k: int, shift: float) -> float:
    """Return the rate `shift` columns behind the k-th, on a parabola through its neighbours.

    It is r(s) = r_k + s (r_+ - r_-) / 2 + s^2 (r_- - 2 r_k + r_+) / 2, which passes through all
    three: rates are not evenly spaced, columns are.
    """
    before, here, after = table[RATES, k - 1], table[RATES, k], table[RATES, k + 1]
    rate: float = here + 0.5 * shift * (after - before + shift * (before - 2.0 * here + after))
    return rate


@inlined
def above(slow: float, fast: float, box: Box) -> float:
    """Return a fast rate moved inside its bounds and above a slow one."""
    return min(max(fast, box.fast_low, MIN_RATE_RATIO * slow), box.fast_high)


@inlined
def pair_start(
    n1: int,
    n2: int,
    j: int,
    table: NDArray[np.float64],
    array: NDArray[np.float64],
    place: Place,
    box: Box,
) -> tuple[float, float]:
    """Return the best slow rate for the j-th fast one, between those of the table, and that one.

    On a summit a paraboloid is laid through the gains around the pair, and both rates go to its
    top. At the ends of the dictionary the fast rate stays: a basin at a bound would be lost.
    """
    # In steps of the grid, slopes g and second derivatives h are central differences, and the top
    # is at -h^-1 g: of two variables by Cramer's rule, if h is negative definite (h11 < 0,
    # det > 0); of the slow rate alone otherwise. A top more than one step away is not believed.
    n1_padded = padded_in_kernel(n1)
    best = 0
    for i in range(n1):
        if _gain(array, place, i, j) > _gain(array, place, best, j):
            best = i
    r1: float = table[RATES, best]
    r2: float = table[RATES, n1_padded + j]
    if n1 > 2:
        i = min(max(best, 1), n1 - 2)
        g = _gain(array, place, i, j)
        before, after = _gain(array, place, i - 1, j), _gain(array, place, i + 1, j)
        g1 = 0.5 * (after - before)
        h11 = after + before - 2.0 * g
        shift = -g1 / h11 if h11 < 0.0 else 0.0
        if 0 < j < n2 - 1 and _is_summit(j, n2, array, place):
            left, right = _gain(array, place, i, j - 1), _gain(array, place, i, j + 1)
            g2 = 0.5 * (right - left)
            h22 = right + left - 2.0 * g
            h12 = 0.25 * (_gain(array, place, i + 1, j + 1) - _gain(array, place, i + 1, j - 1))
            h12 -= 0.25 * (_gain(array, place, i - 1, j + 1) - _gain(array, place, i - 1, j - 1))
            det = h11 * h22 - h12 * h12
            shift2 = (h12 * g1 - h11 * g2) / det
            if h11 < 0.0 and det > 0.0 and abs(shift2) < 1.0:
                shift = (h12 * g2 - h22 * g1) / det
                r2 = _between(table, n1_padded + j, shift2)
        if abs(shift) < 1.0:
            r1 = _between(table, i, shift)
    r1 = min(max(r1, box.slow_low), box.slow_high)
    return r1, above(r1, r2, box)


@inlined
def slow_half_start(
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    array: NDArray[np.float64],
    place: Place,
    box: Box,
) -> tuple[float, float]:
    """Return the best pair whose slow rate is in the lower half of the dictionary.

    A fit with a fast tissue decay may hide another basin: a fast compartment with hardly any
    tissue signal, or with a noise floor under it.
    """
    best1 = best2 = 0
    for i in range((n1 + 1) // 2):
        for j in range(n2):
            if _gain(array, place, i, j) > _gain(array, place, best1, best2):
                best1 = i
                best2 = j
    slow: float = min(max(table[RATES, best1], box.slow_low), box.slow_high)
    return slow, above(slow, table[RATES, padded_in_kernel(n1) + best2], box)


@inlined
def has_profile(box: Box, n1: int, table: NDArray[np.float64]) -> bool:
    """Return whether the dictionary was made for these bounds, and S0 has no bound except 0."""
    s0_low, s0_high, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    # In a single-precision table the bounds are rounded.
    real = table.dtype.type
    return (
        (r1_low < r1_high or table[RATES, 0] == real(r1_low))
        and (r2_low < r2_high or table[RATES, padded_in_kernel(n1)] == real(r2_low))
        and (real(f_low) == table[MOMENTS, 4] and real(f_high) == table[MOMENTS, 5])
        and (s0_low == 0.0 and s0_high == math.inf)
    )
