"""Which voxel descends in which lane, where its next descent begins, and what is kept of it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.two_decays.fitted_decays import Box, Fit, better, known_rates
from ivimkit.kernels.two_decays.lane_arrays import Chunk, Lanes
from ivimkit.kernels.two_decays.lane_profile import (
    N_GROUPS,
    find_gains,
    find_group_profile,
    first_row,
    place_in_memory,
    project_group,
)
from ivimkit.kernels.two_decays.lanes import LANES, Start, begin, has_ended, pass_over, read, step
from ivimkit.kernels.two_decays.profile import highest, is_promising, pair_start, slow_half_start
from ivimkit.kernels.two_decays.search import doubt, in_fluid

__all__ = [
    "AGAIN",
    "COST",
    "END",
    "GAINED",
    "ONE_DECAY_FIT",
    "OTHER_FIT",
    "SINGLE",
    "SLOWER",
    "WANTED",
    "best_so_far",
    "descend_where_wanted",
    "find_basins",
    "store",
    "stored",
    "stored_fit",
    "want",
    "want_none",
]

_NOBODY = -1
_FIRST_DESCENT = -1
# Where the rows of an order begin. For every lane: its voxel, the group and the column in which
# the gains of that voxel are, the column of the profile from which its first descent began, and
# that of the present one (_FIRST_DESCENT for the first).
_VOXEL = 0 * LANES
_GROUP = 1 * LANES
_COLUMN = 2 * LANES
_SUMMIT = 3 * LANES
_NOW = 4 * LANES
# The voxels of the group that was filled last, how many of each group are not done yet, the voxel
# behind that group, how many of the group have got a lane, its size, and its number.
_WAITING = 5 * LANES
_LEFT = 6 * LANES
_NEXT = _LEFT + N_GROUPS
_CALLED = _NEXT + 1
_COUNT = _NEXT + 2
_FILLED = _NEXT + 3
N_COUNTERS = _NEXT + 4
"""Numbers in an order."""
# Columns of the fits: the best `Fit`, the result of `doubt` for the first one, the last other one;
# whether another descent is requested and where it begins; whether the voxel begins again from one
# decay, the fit of that decay, its rate and that of a slower one that may be missing; the gain of
# the last round of `_persist`.
COST = 4
END = 8
_DOUBTFUL = 9
_ENOUGH = 10
OTHER_FIT = 11
WANTED = 20
_BEGIN = 21
AGAIN = 26
ONE_DECAY_FIT = 27
SINGLE = 36
SLOWER = 37
GAINED = 38
FIT_COLUMNS = 39
"""Numbers that the search keeps per voxel."""


@inlined
def store(fits: NDArray[np.float64], v: int, column: int, fit: Fit) -> None:
    """Write a fit of voxel `v` to columns from `column` on."""
    fits[v, column], fits[v, column + 1] = fit.slow, fit.fast
    fits[v, column + 2], fits[v, column + 3] = fit.slow_amplitude, fit.fast_amplitude
    fits[v, column + 4], fits[v, column + 5], fits[v, column + 6] = (
        fit.cost,
        fit.slow_seen,
        fit.fast_seen,
    )
    fits[v, column + 7], fits[v, column + 8] = fit.iterations, fit.end


@inlined
def stored(fits: NDArray[np.float64], v: int, column: int) -> Fit:
    """Return the fit that `store` wrote."""
    return Fit(
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
    """Return the fit of voxel `v` that `fit_in_lanes` found."""
    return stored(fits, v, 0)


@device
def _fill_group(chunk: Chunk, box: Box, lanes: Lanes) -> None:
    """Queue the next voxels, with all their gains."""
    root_weight, signals, status = chunk.root_weight, chunk.signals, chunk.status
    memory, order = lanes.memory, lanes.order
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
        # Fill unused columns with harmless numbers.
        for j in range(n_b):
            memory[n_b + j, k] = memory[n_b + j, 0]
    group = 0
    while order[_LEFT + group] > 0:
        group += 1
    order[_FILLED] = group
    order[_LEFT + group] = count
    first = first_row(group, chunk)
    project_group(chunk, lanes)
    find_gains(chunk, box, first, memory)
    find_group_profile(chunk, first, memory)


@inlined
def _take_lane(k: int, chunk: Chunk, box: Box, lanes: Lanes) -> None:
    """Begin with the next queued voxel in lane `k`."""
    root_weight, table, n1, n2 = chunk.root_weight, chunk.table, chunk.n_slow, chunk.n_fast
    memory, order = lanes.memory, lanes.order
    column = order[_CALLED]
    order[_CALLED] = column + 1
    order[_VOXEL + k] = order[_WAITING + column]
    order[_GROUP + k] = order[_FILLED]
    order[_COLUMN + k] = column
    order[_NOW + k] = _FIRST_DESCENT
    n_b = root_weight.size
    for j in range(n_b):
        memory[j, k] = root_weight[j] * memory[n_b + j, column]
    place = place_in_memory(order[_FILLED], column, chunk)
    first = highest(n2, memory, place)
    order[_SUMMIT + k] = first
    slow, fast = pair_start(n1, n2, first, table, memory, place, box)
    begin(lanes.state, k, Start(slow, fast, -1.0, -1.0, math.inf))


@inlined
def _goes_on(k: int, chunk: Chunk, box: Box, lanes: Lanes) -> bool:
    """Keep the result of the descent in lane `k`; begin the next one of its voxel, if any."""
    table, n1, n2 = chunk.table, chunk.n_slow, chunk.n_fast
    memory, state, order, fits = lanes
    v = order[_VOXEL + k]
    fit, energy = read(state, k)
    now = order[_NOW + k]
    if now == _FIRST_DESCENT:
        doubtful, enough = doubt(fit, chunk.degrees, energy)
        fits[v, _DOUBTFUL] = 1.0 if doubtful else 0.0
        fits[v, _ENOUGH] = enough
    else:
        doubtful, enough = fits[v, _DOUBTFUL] > 0.0, fits[v, _ENOUGH]
        fit = better(stored_fit(fits, v), fit)
    store(fits, v, 0, fit)
    place = place_in_memory(order[_GROUP + k], order[_COLUMN + k], chunk)
    known1, known2 = known_rates(fit)
    for j in range(now + 1, n2):
        if j != order[_SUMMIT + k] and is_promising(j, n2, doubtful, enough, memory, place):
            order[_NOW + k] = j
            slow, fast = pair_start(n1, n2, j, table, memory, place, box)
            begin(state, k, Start(slow, fast, known1, known2, fit.cost))
            return True
    if now < n2 and in_fluid(fit, box):
        order[_NOW + k] = n2
        slow, fast = slow_half_start(n1, n2, table, memory, place, box)
        begin(state, k, Start(slow, fast, known1, known2, fit.cost))
        return True
    return False


@device
def _clear_lanes(n_b: int, box: Box, lanes: Lanes) -> None:
    """Empty all lanes. Idle lanes still compute, so they are filled with harmless numbers."""
    for k in range(LANES):
        lanes.order[_VOXEL + k] = _NOBODY
        begin(lanes.state, k, Start(box.slow_low, box.fast_high, -1.0, -1.0, math.inf))
        for j in range(n_b):
            lanes.memory[j, k] = 1.0


@device
def find_basins(chunk: Chunk, box: Box, lanes: Lanes) -> None:
    """Find the best of the basins in the profile: `search._all_basins` for many voxels."""
    state, order = lanes.state, lanes.order
    _clear_lanes(chunk.b.size, box, lanes)
    for group in range(N_GROUPS):
        order[_LEFT + group] = 0
    order[_NEXT] = order[_CALLED] = order[_COUNT] = 0
    busy = 0
    while True:
        for k in range(LANES):
            if order[_VOXEL + k] != _NOBODY:
                if not has_ended(state, k):
                    continue
                if _goes_on(k, chunk, box, lanes):
                    continue
                order[_LEFT + order[_GROUP + k]] -= 1
                order[_VOXEL + k] = _NOBODY
                busy -= 1
            if order[_CALLED] == order[_COUNT]:
                _fill_group(chunk, box, lanes)
            if order[_CALLED] < order[_COUNT]:
                _take_lane(k, chunk, box, lanes)
                busy += 1
        if busy == 0:
            break
        pass_over(chunk.b, chunk.root_weight, lanes.memory, chunk.n_used, state)
        step(state, box)


@inlined
def want(fits: NDArray[np.float64], v: int, start: Start) -> None:
    """Request a descent."""
    fits[v, WANTED] = 1.0
    fits[v, _BEGIN] = start.slow
    fits[v, _BEGIN + 1] = start.fast
    fits[v, _BEGIN + 2] = start.known_slow
    fits[v, _BEGIN + 3] = start.known_fast
    fits[v, _BEGIN + 4] = start.limit


@inlined
def _wanted(fits: NDArray[np.float64], v: int) -> Start:
    """Return the start that `want` wrote."""
    return Start(
        fits[v, _BEGIN],
        fits[v, _BEGIN + 1],
        fits[v, _BEGIN + 2],
        fits[v, _BEGIN + 3],
        fits[v, _BEGIN + 4],
    )


@inlined
def want_none(fits: NDArray[np.float64], v: int) -> None:
    """Request no descent."""
    fits[v, WANTED] = 0.0


@inlined
def best_so_far(fits: NDArray[np.float64], v: int) -> Fit:
    """Return the best fit after the last descent, if there was one, and keep it."""
    best = stored_fit(fits, v)
    if fits[v, WANTED] > 0.0:
        best = better(best, stored(fits, v, OTHER_FIT))
        store(fits, v, 0, best)
    return best


@device
def descend_where_wanted(chunk: Chunk, box: Box, lanes: Lanes) -> None:
    """Make one descent of every voxel that requests it, and write its result to `OTHER_FIT`."""
    root_weight, signals = chunk.root_weight, chunk.signals
    memory, state, order, fits = lanes
    _clear_lanes(chunk.b.size, box, lanes)
    following = busy = 0
    while True:
        for k in range(LANES):
            v = order[_VOXEL + k]
            if v != _NOBODY:
                if not has_ended(state, k):
                    continue
                fit, _ = read(state, k)
                store(fits, v, OTHER_FIT, fit)
                order[_VOXEL + k] = _NOBODY
                busy -= 1
            while following < signals.shape[0] and fits[following, WANTED] == 0.0:
                following += 1
            if following < signals.shape[0]:
                v = following
                following += 1
                order[_VOXEL + k] = v
                busy += 1
                for j in range(root_weight.size):
                    w = root_weight[j]
                    memory[j, k] = w * signals[v, j] if w > 0.0 else 0.0
                begin(state, k, _wanted(fits, v))
        if busy == 0:
            break
        pass_over(chunk.b, chunk.root_weight, lanes.memory, chunk.n_used, state)
        step(state, box)
