"""The search of `ivimkit.kernels.two_decays.search` for the voxels of a chunk, in SIMD lanes.

The dictionary is compared with a group of voxels at a time, as many as there are lanes
(`lane_profile`). Then each voxel waits for a lane (`lanes`) and stays in it for all its descents,
one after the other, as `search.global_fit` makes them; then another one takes the lane over
(`lane_schedule`). So lanes are busy although voxels differ in the number of their descents and
passes. The few voxels that begin again from one decay do so together afterwards.

The result of a voxel depends on its own numbers alone, whatever its lane and the other voxels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, pasted
from ivimkit.kernels.memory import matrix
from ivimkit.kernels.two_decays.fitted_decays import (
    CONVERGED,
    INSTANT_RATE,
    UNFINISHED,
    Box,
    Fit,
    alone,
    known_rates,
    survivor,
)
from ivimkit.kernels.two_decays.lane_arrays import Chunk, Lanes
from ivimkit.kernels.two_decays.lane_profile import memory_rows
from ivimkit.kernels.two_decays.lane_schedule import (
    AGAIN,
    COST,
    END,
    FIT_COLUMNS,
    GAINED,
    ONE_DECAY_FIT,
    OTHER_FIT,
    SINGLE,
    SLOWER,
    WANTED,
    best_so_far,
    descend_where_wanted,
    find_basins,
    store,
    stored,
    stored_fit,
    want,
    want_none,
)
from ivimkit.kernels.two_decays.lanes import LANES, SIZE, Start
from ivimkit.kernels.two_decays.one_decay import missing_decays, simpler
from ivimkit.kernels.two_decays.option_positions import DEGREES, N_FAST, N_SLOW
from ivimkit.kernels.two_decays.profile import project, search_rows, search_rows_in_kernel
from ivimkit.kernels.two_decays.search import MAX_ROUNDS, MAX_STALLED_GAIN, MIN_ROUND_GAIN, is_done
from ivimkit.kernels.voxel import Voxels

__all__ = ["chunk_of", "fit_in_lanes", "lane_scratch", "lanes_of"]


@device
def _begin_from_one_decay(
    chunk: Chunk, box: Box, lanes: Lanes, clean: NDArray[np.float64], work: NDArray[np.float64]
) -> None:
    """Begin again from one decay where a fit is not done: `search._from_one_decay`.

    All voxels make each step together: one decay alone, then with a faster one, with a slower one.
    """
    root_weight, signals, table, fits = chunk.root_weight, chunk.signals, chunk.table, lanes.fits
    n_voxels = signals.shape[0]
    for v in range(n_voxels):
        again = chunk.status[v] == 0 and not is_done(stored_fit(fits, v), box, chunk.degrees)
        fits[v, AGAIN] = 1.0 if again else 0.0
    for which in range(1, 3):
        for v in range(n_voxels):
            want_none(fits, v)
            if fits[v, AGAIN] > 0.0 and survivor(fits[v, 0], box) == which:
                slow, fast = (fits[v, 0], INSTANT_RATE) if which == 1 else (0.0, fits[v, 1])
                want(fits, v, Start(slow, fast, -1.0, -1.0, math.inf))
        descend_where_wanted(chunk, alone(which, box), lanes)
    for v in range(n_voxels):
        want_none(fits, v)
        if fits[v, AGAIN] > 0.0:
            best = stored_fit(fits, v)
            r1, r2, a1, a2, cost, seen1, seen2, n, end = best
            which = survivor(r1, box)
            if which == 0:
                end = CONVERGED
            else:
                one1, one2, a1, a2, cost, seen1, seen2, more, end = stored(fits, v, OTHER_FIT)
                r1, r2 = (one1, r2) if which == 1 else (r1, one2)
                n += more
            for j in range(root_weight.size):
                clean[j] = signals[v, j] if root_weight[j] > 0.0 else 0.0
            project(clean, table, work)
            one = Fit(r1, r2, a1, a2, cost, seen1, seen2, n, end)
            one, single, faster, slower = missing_decays(
                one, box, chunk.n_slow, chunk.n_fast, table, work
            )
            store(fits, v, ONE_DECAY_FIT, one)
            fits[v, SINGLE] = single
            fits[v, SLOWER] = slower
            if faster >= 0.0:
                known1, known2 = known_rates(best)
                want(fits, v, Start(single, faster, known1, known2, best.cost))
    descend_where_wanted(chunk, box, lanes)
    for v in range(n_voxels):
        if fits[v, AGAIN] > 0.0:
            best = best_so_far(fits, v)
            want_none(fits, v)
            if fits[v, SLOWER] >= 0.0:
                known1, known2 = known_rates(best)
                want(fits, v, Start(fits[v, SLOWER], fits[v, SINGLE], known1, known2, best.cost))
    descend_where_wanted(chunk, box, lanes)
    for v in range(n_voxels):
        if fits[v, AGAIN] > 0.0:
            best = best_so_far(fits, v)
            store(fits, v, 0, simpler(best, stored(fits, v, ONE_DECAY_FIT), box))


@device
def _persist(chunk: Chunk, box: Box, lanes: Lanes) -> None:
    """Continue descents that ran out of steps: `search.persist` for many voxels."""
    fits = lanes.fits
    n_voxels = chunk.signals.shape[0]
    for v in range(n_voxels):
        unfinished = fits[v, AGAIN] > 0.0 and fits[v, END] == UNFINISHED
        fits[v, AGAIN] = 1.0 if unfinished else 0.0
        fits[v, GAINED] = math.inf
    for _ in range(MAX_ROUNDS):
        wanted = 0
        for v in range(n_voxels):
            want_none(fits, v)
            best = stored_fit(fits, v)
            if (
                fits[v, AGAIN] > 0.0
                and best.end == UNFINISHED
                and fits[v, GAINED] > MIN_ROUND_GAIN * best.cost
            ):
                want(fits, v, Start(best.slow, best.fast, -1.0, -1.0, math.inf))
                wanted += 1
        if wanted == 0:
            break
        descend_where_wanted(chunk, box, lanes)
        for v in range(n_voxels):
            if fits[v, WANTED] > 0.0:
                fits[v, GAINED] = fits[v, COST] - fits[v, OTHER_FIT + COST]
                best_so_far(fits, v)
    for v in range(n_voxels):
        if fits[v, AGAIN] > 0.0 and fits[v, END] == UNFINISHED:
            # The floor of the valley is flat to this relative gain: any point of it is a minimum.
            fits[v, END] = (
                CONVERGED if fits[v, GAINED] <= MAX_STALLED_GAIN * fits[v, COST] else UNFINISHED
            )


def lane_scratch(n_b: int, n1: int, n2: int, n_columns: int) -> tuple[int, int, int, int]:
    """Return the sizes of the arrays of scratch of `fit_in_lanes`, except the last one.

    Parameters
    ----------
    n_b : int
        Number of b-values, padded.
    n1, n2 : int
        Number of slow and of fast rates in the dictionary.
    n_columns : int
        Columns of its table.
    """
    rows = memory_rows(n_b, n1, n2, n_columns)
    return search_rows(n1) * n_columns, rows * LANES, SIZE, n_b


@pasted
def chunk_of(voxels: Voxels, status: NDArray[np.int32]) -> Chunk:
    """Return the voxels of a chunk with what the search reads from their options."""
    b, root_weight, options = voxels.x[0], voxels.root_weight, voxels.options
    n_used = b.size
    while n_used > 1 and root_weight[n_used - 1] == 0.0:
        n_used -= 1
    return Chunk(
        b, root_weight, voxels.signals, status, voxels.table, int(options[N_SLOW]),
        int(options[N_FAST]), n_used, options[DEGREES],
    )  # fmt: skip


@pasted
def lanes_of(
    voxels: Voxels, scratch: tuple[NDArray[np.float64], ...], counters: NDArray[np.int64]
) -> Lanes:
    """Return flat arrays, of the sizes of `lane_scratch`, in their shapes."""
    _, memory, state, _, fits = scratch
    return Lanes(
        matrix(memory, memory.size // LANES, LANES),
        state,
        counters,
        matrix(fits, voxels.signals.shape[0], FIT_COLUMNS),
    )


@pasted
def fit_in_lanes(
    voxels: Voxels,
    box: Box,
    scratch: tuple[NDArray[np.float64], ...],
    counters: NDArray[np.int64],
    status: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Find the global least-squares optimum of every voxel of a chunk: many times `global_fit`.

    Parameters
    ----------
    voxels : Voxels
        The voxels, with a dictionary as their table and options as for `global_fit`; the number of
        values is a multiple of four.
    box : Box
        Bounds, in the order of `ordered`; both rates free and with a profile (`has_profile`).
    scratch : tuple of ndarray
        Scratch of a search, signals in lanes with the gains of groups, the state of the lanes, a
        signal, in the sizes of `lane_scratch`; and `FIT_COLUMNS` numbers for each voxel.
    counters : ndarray of int, shape (N_COUNTERS,)
        Scratch.
    status : ndarray, shape (n_voxels,)
        Voxels where it is not 0 are left out.

    Returns
    -------
    ndarray, shape (n_voxels, FIT_COLUMNS)
        The fits, see `stored_fit`; the last array of the scratch.
    """
    chunk = chunk_of(voxels, status)
    lanes = lanes_of(voxels, scratch, counters)
    work, _, _, clean, _ = scratch
    find_basins(chunk, box, lanes)
    rows = search_rows_in_kernel(chunk.n_slow)
    _begin_from_one_decay(chunk, box, lanes, clean, matrix(work, rows, chunk.table.shape[1]))
    _persist(chunk, box, lanes)
    return lanes.fits
