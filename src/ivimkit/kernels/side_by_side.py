"""The search of `ivimkit.kernels.search` for the voxels of a chunk, side by side in lanes.

The dictionary is compared with a group of voxels at a time, as many as there are lanes. Then each
voxel waits for a lane (`ivimkit.kernels.lanes`) and stays in it for all its descents, one after
the other, as `search.global_fit` makes them; another takes its place. So lanes are busy although
voxels differ in the number of their descents and passes. What few voxels need, to begin again from
one pool, all that need it do together afterwards.

What a voxel gets depends on its own numbers alone, in whatever lane and beside whatever others.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.atoms import FIRST_TERM, MOMENTS
from ivimkit.kernels.device import device, finite, inlined, pasted
from ivimkit.kernels.lanes import LANES, SCRATCH, begin, has_ended, pass_over, read, step
from ivimkit.kernels.search import (
    CRAWL,
    ROUNDS,
    STALLED,
    Place,
    alone,
    better,
    doubt,
    highest,
    in_fluid,
    is_done,
    is_promising,
    known_rates,
    missing_pools,
    pair_start,
    project,
    simpler,
    slow_half_start,
    survivor,
)
from ivimkit.kernels.two_pools import GONE, Box, Fit

__all__ = ["FIT_COLUMNS", "ORDER", "fit_side_by_side", "memory_rows", "stored_fit"]

# A voxel in a lane keeps the results of its group: every lane may hold one of another group, and
# one more is being filled.
_GROUPS = LANES + 1
_NOBODY = -1
_FIRST = -1

# Where the rows of an order begin. Of every lane: its voxel, the group and the column in which the
# gains of that stand, the column of the profile that its first descent began from, and of the
# present one (_FIRST for the first).
_VOXEL = 0 * LANES
_GROUP = 1 * LANES
_COLUMN = 2 * LANES
_SUMMIT = 3 * LANES
_NOW = 4 * LANES
# The voxels of the group that was filled last, how many of each group are not done yet, the voxel
# behind that group, how many of it have a lane, how many it had, and which it is.
_WAITING = 5 * LANES
_LEFT = 6 * LANES
_NEXT = _LEFT + _GROUPS
_CALLED = _NEXT + 1
_COUNT = _NEXT + 2
_FILLED = _NEXT + 3
ORDER = _NEXT + 4
"""Numbers in an order."""

# Columns of the fits: the best `Fit`, what `doubt` said of the first one, the last other one;
# whether another descent is wanted and where it begins; whether the voxel begins again from one
# pool, the fit of that pool, its rate and that of a slower one that may be missing; what a round
# of `_persist` gained.
_COST = 4
_END = 8
_DOUBTFUL = 9
_ENOUGH = 10
_OTHER = 11
_WANTED = 20
_BEGIN = 21
_AGAIN = 26
_ONE = 27
_SINGLE = 36
_SLOWER = 37
_GAINED = 38
FIT_COLUMNS = 39
"""Numbers per voxel that the search keeps."""


def memory_rows(n_b: int, n1: int, n2: int, n_columns: int) -> int:
    """Return how many rows of `LANES` numbers the search needs as scratch.

    Parameters
    ----------
    n_b : int
        Number of b-values, padded.
    n1, n2 : int
        Number of slow and of fast rates in the dictionary.
    n_columns : int
        Columns of its table.

    Returns
    -------
    int
    """
    return 2 * n_b + n_columns + n1 + 1 + _GROUPS * (n1 + 1) * n2


@inlined
def _first_gains(n_b: int, n1: int, n_columns: int) -> int:
    """Return the row behind the signals of lanes and group, their inner products and the tops."""
    return 2 * n_b + n_columns + n1 + 1


@pasted
def _project(
    table: NDArray[np.float64], n_b: int, memory: NDArray[np.float64], state: NDArray[np.float64]
) -> None:
    """Write the inner products of a group's signals with all decays behind the signals."""
    first = int(table[MOMENTS, 2]) - n_b
    for c in range(0, table.shape[1], 4):
        for k in range(4 * LANES):
            state[SCRATCH + k] = 0.0
        for j in range(0, n_b, 4):
            row = first + j
            a0, a1, a2, a3 = table[row, c], table[row, c + 1], table[row, c + 2], table[row, c + 3]
            row += 1
            b0, b1, b2, b3 = table[row, c], table[row, c + 1], table[row, c + 2], table[row, c + 3]
            row += 1
            c0, c1, c2, c3 = table[row, c], table[row, c + 1], table[row, c + 2], table[row, c + 3]
            row += 1
            d0, d1, d2, d3 = table[row, c], table[row, c + 1], table[row, c + 2], table[row, c + 3]
            for k in range(LANES):
                s0 = memory[n_b + j, k]
                s1 = memory[n_b + j + 1, k]
                s2 = memory[n_b + j + 2, k]
                s3 = memory[n_b + j + 3, k]
                state[SCRATCH + k] += (s0 * a0 + s1 * b0) + (s2 * c0 + s3 * d0)
                state[SCRATCH + LANES + k] += (s0 * a1 + s1 * b1) + (s2 * c1 + s3 * d1)
                state[SCRATCH + 2 * LANES + k] += (s0 * a2 + s1 * b2) + (s2 * c2 + s3 * d2)
                state[SCRATCH + 3 * LANES + k] += (s0 * a3 + s1 * b3) + (s2 * c3 + s3 * d3)
        for k in range(LANES):
            memory[2 * n_b + c, k] = state[SCRATCH + k]
            memory[2 * n_b + c + 1, k] = state[SCRATCH + LANES + k]
            memory[2 * n_b + c + 2, k] = state[SCRATCH + 2 * LANES + k]
            memory[2 * n_b + c + 3, k] = state[SCRATCH + 3 * LANES + k]


@finite
def _find_gains(
    table: NDArray[np.float64],
    n1: int,
    n2: int,
    f_low: float,
    f_high: float,
    dots: int,
    first: int,
    memory: NDArray[np.float64],
) -> None:
    """Write what each pair of decays explains to the rows from `first` on.

    This and `_find_profile` are `ivimkit.kernels.search._find_profile`.
    """
    n1_padded = (n1 + 7) // 8 * 8
    for i in range(n1):
        row = FIRST_TERM + i
        for j in range(n2):
            inverse_high, inverse_cross = table[row, j], table[row + n1, j]
            inverse_low = table[row + 2 * n1, j]
            single_low, single_high = table[row + 3 * n1, j], table[row + 4 * n1, j]
            for k in range(LANES):
                p1 = memory[dots + i, k]
                p2 = memory[dots + n1_padded + j, k]
                low = (1.0 - f_low) * p1 + f_low * p2
                high = (1.0 - f_high) * p1 + f_high * p2
                x = inverse_high * low - inverse_cross * high
                y = inverse_low * high - inverse_cross * low
                both = x * low + y * high
                low = low if low > 0.0 else 0.0
                high = high if high > 0.0 else 0.0
                one_low = low * low * single_low
                one_high = high * high * single_high
                one = one_low if one_low > one_high else one_high
                least = x if x < y else y
                memory[first + i * n2 + j, k] = both if least > 0.0 else one


@finite
def _find_profile(n1: int, n2: int, tops: int, first: int, memory: NDArray[np.float64]) -> None:
    """Write what each fast decay explains with the best slow rate behind the gains.

    The best one so far has a row for each slow rate, from `tops` on: what is read and written in
    one place the compiler writes by a mask, and the next read waits for that.
    """
    for j in range(n2):
        for k in range(LANES):
            memory[tops, k] = 0.0
        for i in range(n1):
            here = first + i * n2 + j
            if 0 < i < n1 - 1:
                for k in range(LANES):
                    gain = memory[here, k]
                    left = gain - memory[here - n2, k]
                    right = gain - memory[here + n2, k]
                    lean = left - right if left > right else right - left
                    summit = gain + 0.125 * lean * lean / (left + right)
                    gain = summit if lean < 2.0 * (left + right) else gain
                    top = memory[tops + i, k]
                    memory[tops + i + 1, k] = gain if gain > top else top
            else:
                for k in range(LANES):
                    gain = memory[here, k]
                    top = memory[tops + i, k]
                    memory[tops + i + 1, k] = gain if gain > top else top
        for k in range(LANES):
            memory[first + n1 * n2 + j, k] = memory[tops + n1, k]


@inlined
def _place(group: int, column: int, n1: int, n2: int, gains: int) -> Place:
    """Return where the gains of a voxel stand."""
    first = gains + group * (n1 + 1) * n2
    return first, n2, 1, first + n1 * n2, column, 0


@inlined
def _store(fits: NDArray[np.float64], v: int, column: int, fit: Fit) -> None:
    fits[v, column], fits[v, column + 1] = fit[0], fit[1]
    fits[v, column + 2], fits[v, column + 3] = fit[2], fit[3]
    fits[v, column + 4], fits[v, column + 5], fits[v, column + 6] = fit[4], fit[5], fit[6]
    fits[v, column + 7], fits[v, column + 8] = fit[7], fit[8]


@inlined
def _stored(fits: NDArray[np.float64], v: int, column: int) -> Fit:
    return (
        fits[v, column],
        fits[v, column + 1],
        fits[v, column + 2],
        fits[v, column + 3],
        fits[v, column + 4],
        fits[v, column + 5],
        fits[v, column + 6],
        int(fits[v, column + 7]),
        int(fits[v, column + 8]),
    )


@inlined
def stored_fit(fits: NDArray[np.float64], v: int) -> Fit:
    """Return what `fit_side_by_side` found for voxel `v`."""
    return _stored(fits, v, 0)


@device
def _fill_group(
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    status: NDArray[np.int32],
    f_low: float,
    f_high: float,
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
) -> None:
    """Let the next voxels wait, with all their gains."""
    n_b = root_weight.size
    v = order[_NEXT]
    count = 0
    while count < LANES and v < signals.shape[0]:
        if status[v] == 0:
            order[_WAITING + count] = v
            for j in range(n_b):
                memory[n_b + j, count] = signals[v, j] if root_weight[j] > 0.0 else 0.0
            count += 1
        v += 1
    order[_NEXT] = v
    order[_CALLED] = 0
    order[_COUNT] = count
    if count == 0:
        return
    for k in range(count, LANES):
        # Columns that nobody uses hold numbers that do no harm.
        for j in range(n_b):
            memory[n_b + j, k] = memory[n_b + j, 0]
    group = 0
    while order[_LEFT + group] > 0:
        group += 1
    order[_FILLED] = group
    order[_LEFT + group] = count
    gains = _first_gains(n_b, n1, table.shape[1])
    first = gains + group * (n1 + 1) * n2
    _project(table, n_b, memory, state)
    _find_gains(table, n1, n2, f_low, f_high, 2 * n_b, first, memory)
    _find_profile(n1, n2, gains - (n1 + 1), first, memory)


@device
def _take_lane(
    k: int,
    root_weight: NDArray[np.float64],
    box: Box,
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
) -> None:
    """Let the voxel that waits longest begin in lane `k`."""
    column = order[_CALLED]
    order[_CALLED] = column + 1
    order[_VOXEL + k] = order[_WAITING + column]
    order[_GROUP + k] = order[_FILLED]
    order[_COLUMN + k] = column
    order[_NOW + k] = _FIRST
    n_b = root_weight.size
    for j in range(n_b):
        memory[j, k] = root_weight[j] * memory[n_b + j, column]
    place = _place(order[_FILLED], column, n1, n2, _first_gains(n_b, n1, table.shape[1]))
    first = highest(n2, memory, place)
    order[_SUMMIT + k] = first
    slow, fast = pair_start(n1, n2, first, table, memory, place, box)
    begin(state, k, slow, fast, -1.0, -1.0, math.inf)


@device
def _goes_on(
    k: int,
    n_b: int,
    box: Box,
    n1: int,
    n2: int,
    degrees: float,
    table: NDArray[np.float64],
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
    fits: NDArray[np.float64],
) -> bool:
    """Keep what the descent in lane `k` found, and begin the next one of its voxel, if any."""
    v = order[_VOXEL + k]
    fit, energy = read(state, k)
    now = order[_NOW + k]
    if now == _FIRST:
        doubtful, enough = doubt(fit, degrees, energy)
        fits[v, _DOUBTFUL] = 1.0 if doubtful else 0.0
        fits[v, _ENOUGH] = enough
    else:
        doubtful, enough = fits[v, _DOUBTFUL] > 0.0, fits[v, _ENOUGH]
        fit = better(stored_fit(fits, v), fit)
    _store(fits, v, 0, fit)
    place = _place(
        order[_GROUP + k], order[_COLUMN + k], n1, n2, _first_gains(n_b, n1, table.shape[1])
    )
    known1, known2 = known_rates(fit)
    for j in range(now + 1, n2):
        if j != order[_SUMMIT + k] and is_promising(j, n2, doubtful, enough, memory, place):
            order[_NOW + k] = j
            slow, fast = pair_start(n1, n2, j, table, memory, place, box)
            begin(state, k, slow, fast, known1, known2, fit[4])
            return True
    if now < n2 and in_fluid(fit, box):
        order[_NOW + k] = n2
        slow, fast = slow_half_start(n1, n2, table, memory, place, box)
        begin(state, k, slow, fast, known1, known2, fit[4])
        return True
    return False


@device
def _clear_lanes(
    n_b: int,
    box: Box,
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
) -> None:
    """Begin with lanes of nobody, which compute all the same: with numbers that do no harm."""
    for k in range(LANES):
        order[_VOXEL + k] = _NOBODY
        begin(state, k, box[6], box[5], -1.0, -1.0, math.inf)
        for j in range(n_b):
            memory[j, k] = 1.0


@device
def _find_basins(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    status: NDArray[np.int32],
    box: Box,
    n1: int,
    n2: int,
    n_used: int,
    degrees: float,
    table: NDArray[np.float64],
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
    fits: NDArray[np.float64],
) -> None:
    """Find the best of the basins that the profile shows: `ivimkit.kernels.search._all_basins`."""
    n_b = b.size
    _, _, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    _clear_lanes(n_b, box, memory, state, order)
    for group in range(_GROUPS):
        order[_LEFT + group] = 0
    order[_NEXT] = order[_CALLED] = order[_COUNT] = 0
    busy = 0
    while True:
        for k in range(LANES):
            if order[_VOXEL + k] != _NOBODY:
                if not has_ended(state, k):
                    continue
                if _goes_on(
                    k, n_b, box, n1, n2, degrees, table, memory, state, order, fits
                ):  # fmt: skip
                    continue
                order[_LEFT + order[_GROUP + k]] -= 1
                order[_VOXEL + k] = _NOBODY
                busy -= 1
            if order[_CALLED] == order[_COUNT]:
                _fill_group(
                    root_weight, signals, status, f_low, f_high, n1, n2, table, memory, state,
                    order,
                )  # fmt: skip
            if order[_CALLED] < order[_COUNT]:
                _take_lane(k, root_weight, box, n1, n2, table, memory, state, order)
                busy += 1
        if busy == 0:
            break
        pass_over(b, root_weight, memory, n_used, state)
        step(state, f_low, f_high, r1_low, r1_high, r2_low, r2_high)


@device
def _descend_where_wanted(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    box: Box,
    n_used: int,
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
    fits: NDArray[np.float64],
) -> None:
    """Make one descent of every voxel that wants it, and write what it finds to `_OTHER`."""
    _, _, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    _clear_lanes(b.size, box, memory, state, order)
    following = busy = 0
    while True:
        for k in range(LANES):
            v = order[_VOXEL + k]
            if v != _NOBODY:
                if not has_ended(state, k):
                    continue
                fit, _ = read(state, k)
                _store(fits, v, _OTHER, fit)
                order[_VOXEL + k] = _NOBODY
                busy -= 1
            while following < signals.shape[0] and fits[following, _WANTED] == 0.0:
                following += 1
            if following < signals.shape[0]:
                v = following
                following += 1
                order[_VOXEL + k] = v
                busy += 1
                for j in range(b.size):
                    w = root_weight[j]
                    memory[j, k] = w * signals[v, j] if w > 0.0 else 0.0
                begin(
                    state,
                    k,
                    fits[v, _BEGIN],
                    fits[v, _BEGIN + 1],
                    fits[v, _BEGIN + 2],
                    fits[v, _BEGIN + 3],
                    fits[v, _BEGIN + 4],
                )
        if busy == 0:
            break
        pass_over(b, root_weight, memory, n_used, state)
        step(state, f_low, f_high, r1_low, r1_high, r2_low, r2_high)


@inlined
def _want(
    fits: NDArray[np.float64],
    v: int,
    r1: float,
    r2: float,
    known1: float,
    known2: float,
    limit: float,
) -> None:
    """Ask for a descent, with the arguments of `ivimkit.kernels.two_pools.descend`."""
    fits[v, _WANTED] = 1.0
    fits[v, _BEGIN] = r1
    fits[v, _BEGIN + 1] = r2
    fits[v, _BEGIN + 2] = known1
    fits[v, _BEGIN + 3] = known2
    fits[v, _BEGIN + 4] = limit


@inlined
def _want_none(fits: NDArray[np.float64], v: int) -> None:
    fits[v, _WANTED] = 0.0


@inlined
def _best_so_far(fits: NDArray[np.float64], v: int) -> Fit:
    """Return the best fit after the last descent, if there was one, and keep it."""
    best = stored_fit(fits, v)
    if fits[v, _WANTED] > 0.0:
        best = better(best, _stored(fits, v, _OTHER))
        _store(fits, v, 0, best)
    return best


@device
def _begin_from_one_pool(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    status: NDArray[np.int32],
    box: Box,
    n1: int,
    n2: int,
    n_used: int,
    degrees: float,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
    fits: NDArray[np.float64],
    clean: NDArray[np.float64],
) -> None:
    """Begin again from one pool where a fit is not done: `ivimkit.kernels.search._from_one_pool`.

    All voxels make each step together: the pool alone, a faster one beside it, a slower one.
    """
    n_voxels = signals.shape[0]
    for v in range(n_voxels):
        again = status[v] == 0 and not is_done(stored_fit(fits, v), box, degrees)
        fits[v, _AGAIN] = 1.0 if again else 0.0
    for which in range(1, 3):
        for v in range(n_voxels):
            _want_none(fits, v)
            if fits[v, _AGAIN] > 0.0 and survivor(fits[v, 0], box) == which:
                slow, fast = (fits[v, 0], GONE) if which == 1 else (0.0, fits[v, 1])
                _want(fits, v, slow, fast, -1.0, -1.0, math.inf)
        _descend_where_wanted(
            b, root_weight, signals, alone(which, box), n_used, memory, state, order, fits
        )  # fmt: skip
    for v in range(n_voxels):
        _want_none(fits, v)
        if fits[v, _AGAIN] > 0.0:
            best = stored_fit(fits, v)
            r1, r2, a1, a2, cost, seen1, seen2, n, end = best
            which = survivor(r1, box)
            if which == 0:
                end = 0
            else:
                one1, one2, a1, a2, cost, seen1, seen2, more, end = _stored(fits, v, _OTHER)
                r1, r2 = (one1, r2) if which == 1 else (r1, one2)
                n += more
            for j in range(b.size):
                clean[j] = signals[v, j] if root_weight[j] > 0.0 else 0.0
            project(clean, table, work)
            one = r1, r2, a1, a2, cost, seen1, seen2, n, end
            one, single, faster, slower = missing_pools(one, box, n1, n2, table, work)
            _store(fits, v, _ONE, one)
            fits[v, _SINGLE] = single
            fits[v, _SLOWER] = slower
            if faster >= 0.0:
                known1, known2 = known_rates(best)
                _want(fits, v, single, faster, known1, known2, best[4])
    _descend_where_wanted(b, root_weight, signals, box, n_used, memory, state, order, fits)
    for v in range(n_voxels):
        if fits[v, _AGAIN] > 0.0:
            best = _best_so_far(fits, v)
            _want_none(fits, v)
            if fits[v, _SLOWER] >= 0.0:
                known1, known2 = known_rates(best)
                _want(fits, v, fits[v, _SLOWER], fits[v, _SINGLE], known1, known2, best[4])
    _descend_where_wanted(b, root_weight, signals, box, n_used, memory, state, order, fits)
    for v in range(n_voxels):
        if fits[v, _AGAIN] > 0.0:
            best = _best_so_far(fits, v)
            _store(fits, v, 0, simpler(best, _stored(fits, v, _ONE), box))


@device
def _persist(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    box: Box,
    n_used: int,
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
    fits: NDArray[np.float64],
) -> None:
    """Go on with descents that ran out of steps: `ivimkit.kernels.search.persist`."""
    n_voxels = signals.shape[0]
    for v in range(n_voxels):
        unfinished = fits[v, _AGAIN] > 0.0 and fits[v, _END] == 2.0
        fits[v, _AGAIN] = 1.0 if unfinished else 0.0
        fits[v, _GAINED] = math.inf
    for _ in range(ROUNDS):
        wanted = 0
        for v in range(n_voxels):
            _want_none(fits, v)
            best = stored_fit(fits, v)
            if fits[v, _AGAIN] > 0.0 and best[8] == 2 and fits[v, _GAINED] > CRAWL * best[4]:
                _want(fits, v, best[0], best[1], -1.0, -1.0, math.inf)
                wanted += 1
        if wanted == 0:
            break
        _descend_where_wanted(b, root_weight, signals, box, n_used, memory, state, order, fits)
        for v in range(n_voxels):
            if fits[v, _WANTED] > 0.0:
                fits[v, _GAINED] = fits[v, _COST] - fits[v, _OTHER + _COST]
                _best_so_far(fits, v)
    for v in range(n_voxels):
        if fits[v, _AGAIN] > 0.0 and fits[v, _END] == 2.0:
            # The floor of the valley is as low here as anywhere: that is a minimum.
            fits[v, _END] = 0.0 if fits[v, _GAINED] <= STALLED * fits[v, _COST] else 2.0


@pasted
def fit_side_by_side(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    status: NDArray[np.int32],
    box: Box,
    n1: int,
    n2: int,
    degrees: float,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
    fits: NDArray[np.float64],
    clean: NDArray[np.float64],
) -> None:
    """Find the global least-squares optimum of every voxel of a chunk: many times `global_fit`.

    Parameters
    ----------
    b, root_weight : ndarray, shape (n_b,)
        b-values in s/mm^2 and square roots of the weights; n_b is a multiple of four.
    signals : ndarray, shape (n_voxels, n_b)
        Signals; those without weight may be anything.
    status : ndarray, shape (n_voxels,)
        Voxels where it is not 0 are left out.
    box, n1, n2, degrees, table, work
        As for `ivimkit.kernels.search.global_fit`, in the order of `ordered`; both rates free and
        with a profile (`has_profile`).
    memory : ndarray, shape (memory_rows(...), LANES)
        Scratch: signals in lanes, signals of a group, their inner products, gains of the groups.
    state : ndarray, shape (lanes.SIZE,)
        Scratch.
    order : ndarray of int, shape (ORDER,)
        Scratch.
    fits : ndarray, shape (n_voxels, FIT_COLUMNS)
        Gets the fits, see `stored_fit`.
    clean : ndarray, shape (n_b,)
        Scratch.
    """
    n_used = b.size
    while n_used > 1 and root_weight[n_used - 1] == 0.0:
        n_used -= 1
    _find_basins(
        b, root_weight, signals, status, box, n1, n2, n_used, degrees, table, memory, state, order,
        fits,
    )  # fmt: skip
    _begin_from_one_pool(
        b, root_weight, signals, status, box, n1, n2, n_used, degrees, table, work, memory, state,
        order, fits, clean,
    )  # fmt: skip
    _persist(b, root_weight, signals, box, n_used, memory, state, order, fits)
