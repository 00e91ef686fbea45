"""The global half of a fit of two decays: find the basins, refine, check that none was missed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined, pasted
from ivimkit.kernels.memory import matrix, padded_in_kernel
from ivimkit.kernels.two_decays.atoms import RATES
from ivimkit.kernels.two_decays.descent import descend, refine
from ivimkit.kernels.two_decays.fitted_decays import (
    CONVERGED,
    MERGED,
    UNFINISHED,
    Box,
    Fit,
    better,
    known_rates,
    ordered,
    with_end,
)
from ivimkit.kernels.two_decays.one_decay import missing_decays, refit_merged, simpler
from ivimkit.kernels.two_decays.option_positions import DEGREES, N_FAST, N_SLOW
from ivimkit.kernels.two_decays.partners import best_pair, best_partner, dot_with_decay
from ivimkit.kernels.two_decays.profile import (
    PLACE_IN_WORK,
    above,
    find_profile,
    has_profile,
    highest,
    is_promising,
    pair_start,
    project,
    search_rows_in_kernel,
    slow_half_start,
)
from ivimkit.kernels.voxel import Voxel

__all__ = [
    "MAX_ROUNDS",
    "MAX_STALLED_GAIN",
    "MIN_ROUND_GAIN",
    "doubt",
    "global_fit",
    "in_fluid",
    "is_done",
    "persist",
]

# Squared amplitude over its variance, for a noise variance of 1, below which a compartment is too
# faint for one start to be enough, and below which the fit also begins again from one decay. They
# are compared with `Fit.slow_seen` and `fast_seen` times degrees over cost: the residuals estimate
# the noise variance, so these are 5.5 and 2.2 standard deviations of the amplitude.
_MIN_CLEAR_DETECTABILITY = 30.0
_MIN_DETECTABILITY = 5.0
# A pair of decays in the dictionary that leaves more than this many times the cost of the best fit
# is not refined: descents from such pairs hardly ever beat it (benchmarks/optimum.py counts).
_MAX_COST_RATIO = 1.3
# Share of its upper bound above which a slow rate is like that of free fluid.
_MIN_FLUID_SHARE = 0.6
# How many times a descent in a flat valley may begin again.
MAX_ROUNDS = 16
# Relative gain of such a round below which the rounds end, and below which the descent is treated
# as converged when they do.
MIN_ROUND_GAIN = 1e-9
MAX_STALLED_GAIN = 1e-5


@inlined
def _is_faint(fit: Fit, degrees: float, limit: float) -> bool:
    """Return whether the squared amplitude of a compartment over its variance is below `limit`."""
    return min(fit.slow_seen, fit.fast_seen) * max(degrees, 1.0) < limit * fit.cost


@inlined
def doubt(fit: Fit, degrees: float, energy: float) -> tuple[bool, float]:
    """Return whether a compartment is so faint that its basin may be wrong, and the gain to reach.

    The gain is what a pair of decays must explain of the squared norm of the signal, `energy`, to
    be able to beat the fit after a descent. As cost = energy - gain, it is energy less the largest
    cost that is still promising.
    """
    return _is_faint(fit, degrees, _MIN_CLEAR_DETECTABILITY), energy - _MAX_COST_RATIO * fit.cost


@inlined
def in_fluid(fit: Fit, box: Box) -> bool:
    """Return whether the slow rate is that of free fluid, which may hide another basin."""
    return fit.slow > _MIN_FLUID_SHARE * box.slow_high


@inlined
def is_done(fit: Fit, box: Box, degrees: float) -> bool:
    """Return whether beginning again from one decay alone cannot improve the fit."""
    only_one = box.f_low == box.f_high or box.fast_low == box.fast_high
    return fit.end == CONVERGED and (only_one or not _is_faint(fit, degrees, _MIN_DETECTABILITY))


@device
def persist(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    fit: Fit,
    box: Box,
    table: NDArray[np.float64],
) -> Fit:
    """Continue a descent that ran out of steps in a long, flat valley, up to `MAX_ROUNDS` times.

    Each round begins without damping, which the last one may have built up.

    Parameters
    ----------
    b, root_weight, signal, box, table
        As for `refit_merged`.
    fit : tuple
        As `refine` returns it.

    Returns
    -------
    tuple
        As `refine` returns it.
    """
    gain = math.inf
    for _ in range(MAX_ROUNDS):
        if fit.end != UNFINISHED:
            break
        again = refine(b, root_weight, signal, fit.slow, fit.fast, box, table)
        gain = fit.cost - again.cost
        fit = better(fit, again)
        if gain <= MIN_ROUND_GAIN * fit.cost:
            break
    if fit.end == UNFINISHED and gain <= MAX_STALLED_GAIN * fit.cost:
        # The floor of the valley is flat to this relative gain: any point of it is a minimum.
        return with_end(fit, CONVERGED)
    return fit


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
    """Refine from the best pair of decays and from all others that may lead to a lower cost."""
    find_profile(table, n1, n2, box.f_low, box.f_high, work)
    first = highest(n2, work, PLACE_IN_WORK)
    slow, fast = pair_start(n1, n2, first, table, work, PLACE_IN_WORK, box)
    best = descend(b, root_weight, signal, slow, fast, box, -1.0, -1.0, math.inf, table)
    energy = 0.0
    for j in range(b.size):
        energy += (root_weight[j] * signal[j]) ** 2
    doubtful, enough = doubt(best, degrees, energy)
    for j in range(n2):
        if j != first and is_promising(j, n2, doubtful, enough, work, PLACE_IN_WORK):
            known1, known2 = known_rates(best)
            slow, fast = pair_start(n1, n2, j, table, work, PLACE_IN_WORK, box)
            other = descend(
                b, root_weight, signal, slow, fast, box, known1, known2, best.cost, table
            )
            best = better(best, other)
    if in_fluid(best, box):
        slow, fast = slow_half_start(n1, n2, table, work, PLACE_IN_WORK, box)
        known1, known2 = known_rates(best)
        other = descend(b, root_weight, signal, slow, fast, box, known1, known2, best.cost, table)
        best = better(best, other)
    return best


@device
def _second_decay(
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
    """Go on from one decay: it is optimal, or a second one with a positive slope is added.

    Return the better of the new fit and `best`, a minimum found before. At least one direction is
    downhill if a slope is positive (`one_decay`), so a descent from there lowers the cost.
    """
    fit, single, faster, slower = missing_decays(fit, box, n1, n2, table, work)
    if faster >= 0.0:
        known1, known2 = known_rates(best)
        two = descend(
            b, root_weight, signal, single, faster, box, known1, known2, best.cost, table
        )
        best = better(best, two)
    if slower >= 0.0:
        known1, known2 = known_rates(best)
        two = descend(
            b, root_weight, signal, slower, single, box, known1, known2, best.cost, table
        )
        best = better(best, two)
    return simpler(best, fit, box)


@device
def _from_one_decay(
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
    """Begin again from one decay where noise hides the other or a descent did not converge."""
    one = refit_merged(b, root_weight, signal, with_end(best, MERGED), box, table)
    best = _second_decay(b, root_weight, signal, one, best, box, n1, n2, table, work)
    return persist(b, root_weight, signal, best, box, table)


@device
def global_fit(voxel: Voxel, box: Box) -> Fit:
    """Find the global least-squares optimum of a sum of two decays inside its bounds.

    Parameters
    ----------
    voxel : Voxel
        The signal, a dictionary as its table (`ivimkit.kernels.two_decays.atoms`), options as in
        `ivimkit.kernels.two_decays.option_positions`, and scratch of `search_rows` rows of the
        table.
    box : Box
        Bounds; equal ones fix a parameter.

    Returns
    -------
    Fit
    """
    b, root_weight, signal, table = voxel.x[0], voxel.root_weight, voxel.signal, voxel.table
    n1, n2 = int(voxel.options[N_SLOW]), int(voxel.options[N_FAST])
    degrees = voxel.options[DEGREES]
    work = matrix(voxel.work, search_rows_in_kernel(n1), table.shape[1])
    n1_padded = padded_in_kernel(n1)
    box = ordered(box)
    _, _, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    project(signal, table, work)
    if has_profile(box, n1, table):
        best = _all_basins(b, root_weight, signal, box, n1, n2, degrees, table, work)
    else:
        r1, r2 = best_pair(b, root_weight, signal, box, n1, n2, table, work)
        r1 = min(max(r1, r1_low), r1_high)
        best = refine(b, root_weight, signal, r1, above(r1, r2, box), box, table)
        free_slow = r1_low < r1_high
        faint = f_low < f_high and _is_faint(best, degrees, _MIN_CLEAR_DETECTABILITY)
        for j in range(1, n2 if r2_low < r2_high and (free_slow or faint) else 0, 3):
            r2 = table[RATES, n1_padded + j]
            if free_slow:
                dot = dot_with_decay(b, root_weight, signal, r2)
                r1, _ = best_partner(r2, dot, False, 0, n1, box, table, work)
                r1 = min(max(r1, r1_low), r1_high)
            known1, known2 = known_rates(best)
            r2 = above(r1, r2, box)
            other = descend(b, root_weight, signal, r1, r2, box, known1, known2, best.cost, table)
            best = better(best, other)
    if is_done(best, box, degrees):
        return best
    return _from_one_decay(b, root_weight, signal, best, box, n1, n2, table, work)
