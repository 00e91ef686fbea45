"""The global half of a two-pool fit: find the basin, refine, and look whether one was missed."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.amplitudes import solve_amplitudes
from ivimkit.kernels.atoms import FIRST_TERM, MOMENTS, NORMS, RATES, moments
from ivimkit.kernels.device import device, finite, inlined, pasted
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.two_pools import APART, GONE, Box, Fit, descend, refine
from ivimkit.kernels.two_pools import SINGLE as PASSES

__all__ = [
    "CRAWL",
    "ROUNDS",
    "SINGLE",
    "SINGLE_CONSTANTS",
    "STALLED",
    "Place",
    "alone",
    "better",
    "doubt",
    "global_fit",
    "has_profile",
    "highest",
    "in_fluid",
    "is_done",
    "is_promising",
    "known_rates",
    "missing_pools",
    "ordered",
    "pair_start",
    "persist",
    "project",
    "settle",
    "simpler",
    "slow_half_start",
    "survivor",
]

# Squared amplitude over its variance below which a pool is too faint for one start to be enough,
# and below which a fit with one pool alone is the better place to begin.
_FAINT = 30.0
_FAINTER = 5.0
# A pair of decays that leaves this many times the cost of the best fit does not beat it.
_HOPELESS = 1.3
# Slope squared over cost below which an entering pool gains nothing.
_FLAT = 1e-9
# Share of its upper bound above which a slow rate is that of free fluid.
_FLUID = 0.6
# How often a descent in a flat valley may begin again.
ROUNDS = 16
# Relative gain of such a round below which there is nothing more to gain, and below which the
# descent may count as finished when the rounds are used up.
CRAWL = 1e-9
STALLED = 1e-5
# Costs that differ by less than this share are the same.
_SAME_COST = 1e-11

# Rows of the scratch array. All of it is indexed by row and column: an index that is a sum could
# be negative for all the compiler knows, and negative indices cost a gather in place of a load.
_SIGNAL = 0
_OTHER = 1
_PROFILE = 2
_GAINS = 3

Place: TypeAlias = tuple[int, int, int, int, int, int]
"""Where the gains of a voxel's pairs stand in an array: the first row, rows per slow and per fast
rate, row of the profile; the first column, columns per fast rate."""

_PLACE: Place = (_GAINS + 1, 1, 0, _PROFILE, 0, 1)


@inlined
def project(
    signal: NDArray[np.float64], table: NDArray[np.float64], work: NDArray[np.float64]
) -> None:
    """Write the inner products of the signal with all decays to work[_SIGNAL]."""
    first = int(table[MOMENTS, 2]) - signal.size
    n = signal.size
    for k in range(table.shape[1]):
        work[_SIGNAL, k] = 0.0
    # Four rows at a time: a sum that is kept in memory waits for itself in every step. Behind the
    # last decay there are other rows, which count nothing.
    for j in range(0, n, 4):
        s0 = signal[j]
        s1 = signal[j + 1] if j + 1 < n else 0.0
        s2 = signal[j + 2] if j + 2 < n else 0.0
        s3 = signal[j + 3] if j + 3 < n else 0.0
        row = first + j
        for k in range(table.shape[1]):
            work[_SIGNAL, k] += (s0 * table[row, k] + s1 * table[row + 1, k]) + (
                s2 * table[row + 2, k] + s3 * table[row + 3, k]
            )


@finite
def _find_profile(
    table: NDArray[np.float64],
    n1: int,
    n2: int,
    f_low: float,
    f_high: float,
    work: NDArray[np.float64],
) -> None:
    """Write to work[_PROFILE] what each fast decay explains with the best slow rate.

    The amplitudes of a pair stay inside their cone: either both generators of the cone take
    part, or the better one does alone. Between the slow rates of the dictionary a parabola is
    laid through the summit (up to the next rate), so that a coarse dictionary does not hide a
    basin.
    """
    n1_padded = (n1 + 7) // 8 * 8
    tops = _GAINS + n1 + 2
    for j in range(n2):
        work[tops, j] = 0.0
        work[_OTHER, j] = work[_SIGNAL, n1_padded + j]
        work[_GAINS, j] = 1e300
        work[_GAINS + n1 + 1, j] = 1e300
    for i in range(n1):
        p1 = work[_SIGNAL, i]
        row = FIRST_TERM + i
        for j in range(n2):
            p2 = work[_OTHER, j]
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
            work[_GAINS + 1 + i, j] = both if least > 0.0 else one
    for i in range(n1):
        for j in range(n2):
            gain = work[_GAINS + 1 + i, j]
            left = gain - work[_GAINS + i, j]
            right = gain - work[_GAINS + 2 + i, j]
            lean = left - right if left > right else right - left
            summit = gain + 0.125 * lean * lean / (left + right)
            gain = summit if lean < 2.0 * (left + right) else gain
            # A row each: what is read and written in one place the compiler writes by a mask, and
            # the next read waits for that.
            top = work[tops + i, j]
            work[tops + 1 + i, j] = gain if gain > top else top
    for j in range(n2):
        work[_PROFILE, j] = work[tops + n1, j]


@inlined
def _gain(array: NDArray[np.float64], place: Place, i: int, j: int) -> float:
    """Return what the i-th slow and the j-th fast decay explain together."""
    row, column = place[0] + i * place[1] + j * place[2], place[4] + j * place[5]
    # Without a sign: with one, each might count from the end, and is looked at.
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
    """Return whether the profile is nowhere higher beside its column j."""
    here = _height(array, place, j)
    left = j == 0 or here > _height(array, place, j - 1)
    return left and (j == n2 - 1 or here >= _height(array, place, j + 1))


@inlined
def is_promising(
    j: int, n2: int, doubtful: bool, enough: float, array: NDArray[np.float64], place: Place
) -> bool:
    """Return whether a descent from column j of the profile may lead further down.

    Every summit is a basin of its own, unless what it explains is not `enough`. Where the noise
    hides one of the pools, summits may be hidden too, and spare starts make sure.
    """
    return _height(array, place, j) > enough and (
        _is_summit(j, n2, array, place) or (doubtful and j % 3 == 1)
    )


@inlined
def _between(table: NDArray[np.float64], k: int, shift: float) -> float:
    """Return the rate `shift` columns behind the k-th, on a parabola through its neighbours."""
    before, here, after = table[RATES, k - 1], table[RATES, k], table[RATES, k + 1]
    rate: float = here + 0.5 * shift * (after - before + shift * (before - 2.0 * here + after))
    return rate


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

    On a summit the gains around the pair are taken for a paraboloid, and both rates go to its
    top. At the ends of the dictionary the fast rate stays: a basin at a bound would be lost.
    """
    n1_padded = (n1 + 7) // 8 * 8
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
    r1 = min(max(r1, box[6]), box[7])
    return r1, _above(r1, r2, box)


@inlined
def _dot(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    rate: float,
) -> float:
    """Return the inner product of the signal with the decay of `rate`."""
    total = 0.0
    for j in range(b.size):
        total += root_weight[j] * root_weight[j] * signal[j] * exp(-b[j] * rate)
    return total


@device
def _best_partner(
    known: float,
    dot: float,
    known_is_slow: bool,
    first: int,
    last: int,
    box: Box,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the rate in columns first to last that goes best with a known one, and its gain."""
    norm, _, _ = moments(table, known + known)
    best = -math.inf
    partner = table[RATES, first]
    given = box[0] == box[1] and box[2] == box[3]
    for k in range(first, last):
        rate = table[RATES, k]
        if known_is_slow and rate < known:
            continue
        g11, g22, p1, p2 = norm, table[NORMS, k], dot, work[_SIGNAL, k]
        if not known_is_slow:
            g11, g22, p1, p2 = g22, g11, p2, p1
        g12, _, _ = moments(table, known + rate)
        if given:
            a2 = box[2] * box[0]
            a1 = box[0] - a2
        else:
            a1, a2, _, _, _ = solve_amplitudes(
                g11, g12, g22, p1, p2, box[2], box[3], box[0], box[1]
            )
        gain = a1 * (2.0 * p1 - a1 * g11 - 2.0 * a2 * g12) + a2 * (2.0 * p2 - a2 * g22)
        if gain > best:
            best = gain
            partner = rate
    return partner, best


@inlined
def _entering(
    single: float,
    amplitude: float,
    first: int,
    last: int,
    faster: bool,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the rate that would lower the cost of a one-pool fit most, and its slope squared.

    For a sum of decays with positive amplitudes this is the optimality condition: if no decay has
    a positive inner product with the residual, no second pool can improve the fit.
    """
    best = -math.inf
    entering = table[RATES, first]
    for k in range(first, last):
        rate = table[RATES, k]
        if (rate > APART * single) if faster else (APART * rate < single):
            product, _, _ = moments(table, single + rate)
            slope = (work[_SIGNAL, k] - amplitude * product) / math.sqrt(table[NORMS, k])
            if slope > best:
                best = slope
                entering = rate
    return entering, best * best if best > 0.0 else -1.0


@inlined
def survivor(r1: float, box: Box) -> int:
    """Return which pool is refitted where two have become one: 1 slow, 2 fast, 0 neither.

    The pool that is gone has a rate far from the other, or they would be taken for one again.
    """
    if box[2] == 0.0 and (r1 < box[7] or box[3] < 1.0):
        return 1
    return 2 if box[3] == 1.0 else 0


@inlined
def alone(which: int, box: Box) -> Box:
    """Return the bounds of a fit with one pool: 1 the slow one, 2 the fast one."""
    s0_low, s0_high, _, _, r2_low, r2_high, r1_low, r1_high = box
    if which == 1:
        return s0_low, s0_high, 0.0, 0.0, GONE, GONE, r1_low, r1_high
    return s0_low, s0_high, 1.0, 1.0, r2_low, r2_high, 0.0, 0.0


@device
def settle(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    fit: Fit,
    box: Box,
    table: NDArray[np.float64],
) -> Fit:
    """Finish a fit whose two rates have become one, or did not part: refit that pool alone.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    fit : tuple
        As `refine` returns it.
    box : tuple of float
        Lower and upper bounds of S0, f, fast rate, slow rate.
    table : ndarray
        `ivimkit.kernels.atoms.Dictionary.table`.

    Returns
    -------
    tuple
        As `refine` returns it.
    """
    r1, r2, a1, a2, cost, seen1, seen2, iterations, end = fit
    if end == 0:
        return fit
    which = survivor(r1, box)
    if which == 1:
        one = refine(b, root_weight, signal, r1, GONE, alone(1, box), table)
        r1 = one[0]
    elif which == 2:
        one = refine(b, root_weight, signal, 0.0, r2, alone(2, box), table)
        r2 = one[1]
    else:
        # The bounds on f want both pools: the rates stay as close as they came.
        return r1, r2, a1, a2, cost, seen1, seen2, iterations, 0
    return r1, r2, one[2], one[3], one[4], one[5], one[6], iterations + one[7], one[8]


@device
def persist(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    fit: Fit,
    box: Box,
    table: NDArray[np.float64],
) -> Fit:
    """Go on with a descent that ran out of steps in a long, flat valley, a few times over.

    Parameters
    ----------
    b, root_weight, signal, box, table
        As for `settle`.
    fit : tuple
        As `refine` returns it.

    Returns
    -------
    tuple
        As `refine` returns it.
    """
    gain = math.inf
    for _ in range(ROUNDS):
        if fit[8] != 2:
            break
        again = refine(b, root_weight, signal, fit[0], fit[1], box, table)
        gain = fit[4] - again[4]
        fit = better(fit, again)
        if gain <= CRAWL * fit[4]:
            break
    if fit[8] == 2 and gain <= STALLED * fit[4]:
        # The floor of the valley is as low here as anywhere: that is a minimum.
        return fit[0], fit[1], fit[2], fit[3], fit[4], fit[5], fit[6], fit[7], 0
    return fit


@device
def better(first: Fit, second: Fit) -> Fit:
    """Return the fit with the lower cost, with the iterations of both."""
    n = first[7] + second[7]
    f = second if second[4] < first[4] or (second[4] == first[4] and second[8] == 0) else first
    return f[0], f[1], f[2], f[3], f[4], f[5], f[6], n, f[8]


@device
def simpler(two: Fit, one: Fit, box: Box) -> Fit:
    """Return the fit with one pool if that with two is no better, with the iterations of both.

    Where a pool is not there, rounding alone would say what rate it has: it is put as close to the
    other as it may be.
    """
    r1, r2, a1, a2, cost, seen1, seen2, n, end = better(two, one)
    if one[8] == 0 and one[4] <= two[4] * (1.0 + _SAME_COST):
        r1, r2, a1, a2, cost, seen1, seen2, _, end = one
    _, _, _, _, r2_low, r2_high, r1_low, r1_high = box
    if a2 == 0.0:
        r2 = min(max(r2_low, APART * r1), r2_high)
    elif a1 == 0.0:
        r1 = max(min(r1_high, r2 / APART), r1_low)
    return r1, r2, a1, a2, cost, seen1, seen2, n, end


@inlined
def _is_faint(fit: Fit, degrees: float, limit: float) -> bool:
    """Return whether a pool is so faint, compared with `limit`, that its basin may be wrong."""
    return min(fit[5], fit[6]) * max(degrees, 1.0) < limit * fit[4]


@inlined
def doubt(fit: Fit, degrees: float, energy: float) -> tuple[bool, float]:
    """Return whether a pool is so faint that its basin may be wrong, and what is worth a look.

    The latter is what a pair of decays has to explain of the squared norm of the signal, `energy`,
    to beat the fit after a descent.
    """
    return _is_faint(fit, degrees, _FAINT), energy - _HOPELESS * fit[4]


@inlined
def known_rates(fit: Fit) -> tuple[float, float]:
    """Return the rates of a minimum that need not be found again; negative if it is none."""
    if fit[2] > 0.0 and fit[3] > 0.0 and fit[8] == 0:
        return fit[0], fit[1]
    return -1.0, -1.0


@device
def _start(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    box: Box,
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[float, float]:
    """Return a good pair where a rate is known or bounds are the voxel's own: no profile."""
    n1_padded = (n1 + 7) // 8 * 8
    _, _, _, _, r2_low, r2_high, r1_low, r1_high = box
    if r2_low == r2_high:
        if r1_low == r1_high:
            return r1_low, r2_low
        dot = _dot(b, root_weight, signal, r2_low)
        r1, _ = _best_partner(r2_low, dot, False, 0, n1, box, table, work)
        return r1, r2_low
    best = -math.inf
    r1, r2 = r1_low, r2_low
    for i in range(n1 if r1_low < r1_high else 1):
        known = table[RATES, i] if r1_low < r1_high else r1_low
        dot = work[_SIGNAL, i] if r1_low < r1_high else _dot(b, root_weight, signal, known)
        partner, gain = _best_partner(
            known, dot, True, n1_padded, n1_padded + n2, box, table, work
        )
        if gain > best:
            best = gain
            r1 = known
            r2 = partner
    return r1, r2


@inlined
def ordered(box: Box) -> Box:
    """Return the bounds with the free rate kept on its side of a rate that is given.

    Two free rates are told apart by their order alone; a given one must be compared with.
    """
    s0_low, s0_high, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    if r1_low == r1_high:
        r2_low = min(max(r2_low, APART * r1_low), r2_high)
    elif r2_low == r2_high:
        r1_high = max(min(r1_high, r2_low / APART), r1_low)
    return s0_low, s0_high, f_low, f_high, r2_low, r2_high, r1_low, r1_high


@inlined
def _above(slow: float, fast: float, box: Box) -> float:
    """Return a fast rate moved inside its bounds and above a slow one."""
    return min(max(fast, box[4], APART * slow), box[5])


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

    A fast tissue decay may hide a fast pool with hardly any tissue, or with a noise floor below.
    """
    best1 = best2 = 0
    for i in range((n1 + 1) // 2):
        for j in range(n2):
            if _gain(array, place, i, j) > _gain(array, place, best1, best2):
                best1 = i
                best2 = j
    slow: float = min(max(table[RATES, best1], box[6]), box[7])
    return slow, _above(slow, table[RATES, (n1 + 7) // 8 * 8 + best2], box)


@pasted
def _all_basins(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    box: Box,
    n1: int,
    n2: int,
    degrees: float,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> Fit:
    """Refine from the best pair of decays and from every other one that may lead further down."""
    _find_profile(table, n1, n2, box[2], box[3], work)
    first = highest(n2, work, _PLACE)
    slow, fast = pair_start(n1, n2, first, table, work, _PLACE, box)
    best = descend(b, root_weight, signal, slow, fast, box, -1.0, -1.0, math.inf, table)
    energy = 0.0
    for j in range(b.size):
        energy += (root_weight[j] * signal[j]) ** 2
    doubtful, enough = doubt(best, degrees, energy)
    for j in range(n2):
        if j != first and is_promising(j, n2, doubtful, enough, work, _PLACE):
            known1, known2 = known_rates(best)
            slow, fast = pair_start(n1, n2, j, table, work, _PLACE, box)
            other = descend(
                b, root_weight, signal, slow, fast, box, known1, known2, best[4], table
            )
            best = better(best, other)
    if in_fluid(best, box):
        slow, fast = slow_half_start(n1, n2, table, work, _PLACE, box)
        known1, known2 = known_rates(best)
        other = descend(b, root_weight, signal, slow, fast, box, known1, known2, best[4], table)
        best = better(best, other)
    return best


@inlined
def in_fluid(fit: Fit, box: Box) -> bool:
    """Return whether the slow rate is that of free fluid, or of something hidden by it."""
    return fit[0] > _FLUID * box[7]


@device
def missing_pools(
    fit: Fit,
    box: Box,
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[Fit, float, float, float]:
    """Tell which second pool is missing in a fit of one, if any: the slope says so.

    Parameters
    ----------
    fit : tuple
        As `settle` returns it.
    box, n1, n2, table
        As for `global_fit`.
    work : ndarray
        Scratch that holds the inner products of the signal with the dictionary.

    Returns
    -------
    fit : tuple
        The same with a place for the pool that is not there, and its iterations counted before.
    single, faster, slower : float
        Rate of the pool that is there and rates of one to begin with beside it, negative where
        none can lower the cost.
    """
    r1, r2, a1, a2, cost, seen1, seen2, _, end = fit
    _, _, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    faster = slower = -1.0
    if (a1 > 0.0 and a2 > 0.0) or f_low == f_high:
        return fit, r1, faster, slower
    n1_padded = (n1 + 7) // 8 * 8
    single = r1 if a2 == 0.0 else r2
    amplitude = a1 + a2
    if f_low == 0.0 and r1_low <= single <= r1_high:
        rate, slope = _entering(single, amplitude, n1_padded, n1_padded + n2, True, table, work)
        rate = min(max(rate, r2_low), r2_high)
        if a2 == 0.0:
            fit = r1, rate, a1, a2, cost, seen1, seen2, 0, end
        if slope > _FLAT * cost:
            faster = rate
    if f_high == 1.0 and r2_low <= single <= r2_high:
        rate, slope = _entering(single, amplitude, 0, n1, False, table, work)
        rate = min(max(rate, r1_low), r1_high)
        if a1 == 0.0:
            fit = rate, r2, a1, a2, cost, seen1, seen2, 0, end
        if slope > _FLAT * cost:
            slower = rate
    return fit, single, faster, slower


@device
def _second_pool(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    fit: Fit,
    best: Fit,
    box: Box,
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> Fit:
    """Go on from one pool: either it is optimal, or the pool that is missing is looked for.

    Returns the better of what is found and of `best`, a minimum found before.
    """
    fit, single, faster, slower = missing_pools(fit, box, n1, n2, table, work)
    if faster >= 0.0:
        known1, known2 = known_rates(best)
        two = descend(b, root_weight, signal, single, faster, box, known1, known2, best[4], table)
        best = better(best, two)
    if slower >= 0.0:
        known1, known2 = known_rates(best)
        two = descend(b, root_weight, signal, slower, single, box, known1, known2, best[4], table)
        best = better(best, two)
    return simpler(best, fit, box)


@inlined
def has_profile(box: Box, n1: int, table: NDArray[np.float64]) -> bool:
    """Return whether the dictionary is made for these bounds, and S0 has none but 0."""
    s0_low, s0_high, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    # A table of single precision has the bounds rounded.
    real = table.dtype.type
    return (
        (r1_low < r1_high or table[RATES, 0] == real(r1_low))
        and (r2_low < r2_high or table[RATES, (n1 + 7) // 8 * 8] == real(r2_low))
        and (real(f_low) == table[MOMENTS, 4] and real(f_high) == table[MOMENTS, 5])
        and (s0_low == 0.0 and s0_high == math.inf)
    )


@inlined
def is_done(fit: Fit, box: Box, degrees: float) -> bool:
    """Return whether nothing more is to be gained by a beginning from one pool alone."""
    only_one = box[2] == box[3] or box[4] == box[5]
    return fit[8] == 0 and (only_one or not _is_faint(fit, degrees, _FAINTER))


@device
def _from_one_pool(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    best: Fit,
    box: Box,
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> Fit:
    """Begin again from one pool, where noise hides one of the two or a descent did not end."""
    begin = best[0], best[1], best[2], best[3], best[4], best[5], best[6], best[7], 1
    one = settle(b, root_weight, signal, begin, box, table)
    best = _second_pool(b, root_weight, signal, one, best, box, n1, n2, table, work)
    return persist(b, root_weight, signal, best, box, table)


@device
def global_fit(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    box: Box,
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
    box : tuple of float
        Lower and upper bounds of S0, f, fast rate, slow rate; equal bounds fix a parameter.
    n1, n2 : int
        Number of slow and of fast rates in the dictionary.
    degrees : float
        Degrees of freedom of the residual.
    table : ndarray, shape (n_rows, n)
        `ivimkit.kernels.atoms.Dictionary.table`.
    work : ndarray, shape (n_work_rows, n)
        Scratch.

    Returns
    -------
    tuple
        As `ivimkit.kernels.two_pools.descend` returns it.
    """
    n1_padded = (n1 + 7) // 8 * 8
    box = ordered(box)
    _, _, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    project(signal, table, work)
    if has_profile(box, n1, table):
        best = _all_basins(b, root_weight, signal, box, n1, n2, degrees, table, work)
    else:
        r1, r2 = _start(b, root_weight, signal, box, n1, n2, table, work)
        r1 = min(max(r1, r1_low), r1_high)
        best = refine(b, root_weight, signal, r1, _above(r1, r2, box), box, table)
        free_slow = r1_low < r1_high
        faint = f_low < f_high and _is_faint(best, degrees, _FAINT)
        for j in range(1, n2 if r2_low < r2_high and (free_slow or faint) else 0, 3):
            r2 = table[RATES, n1_padded + j]
            if free_slow:
                dot = _dot(b, root_weight, signal, r2)
                r1, _ = _best_partner(r2, dot, False, 0, n1, box, table, work)
                r1 = min(max(r1, r1_low), r1_high)
            known1, known2 = known_rates(best)
            r2 = _above(r1, r2, box)
            other = descend(b, root_weight, signal, r1, r2, box, known1, known2, best[4], table)
            best = better(best, other)
    if is_done(best, box, degrees):
        return best
    return _from_one_pool(b, root_weight, signal, best, box, n1, n2, table, work)


SINGLE = (*PASSES, project, _find_profile, _dot)
"""Functions that may compute in the single precision of their arrays: loops over b-values and
over the dictionary. The rest, a few dozen steps per voxel, solves for what they found."""

SINGLE_CONSTANTS = {"_SAME_COST": 1e-6}
"""What the constants of this module are then."""
