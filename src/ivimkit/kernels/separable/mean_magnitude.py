"""Fits of means of several magnitudes, each of which has lost its phase.

As `ivimkit.kernels.two_decays.mean_magnitude`: the excess of the curve itself over the signal is
taken off the means, and the rest is fitted by least squares, in turns, until both agree. Most
turns are descents from where the last one ended; the first and the last one look at the whole
dictionary.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.mean_excess import MIN_SHARE_IN_AIR, excess_tables, mean_excess
from ivimkit.kernels.separable.descent import CONVERGED, UNFINISHED, Descent, descend
from ivimkit.kernels.separable.layout import Option, Problem, layout
from ivimkit.kernels.separable.magnitude import (
    COILS,
    FIRST,
    MIN_VARIANCE_SHARE,
    squared_residual,
    store_magnitudes,
)
from ivimkit.kernels.separable.search import global_fit
from ivimkit.kernels.separable.structure import Structure
from ivimkit.kernels.separable.voxel_fit import read_bounds
from ivimkit.kernels.templates import with_kernels
from ivimkit.kernels.voxel import Voxel

__all__ = ["mean_magnitude_function", "mean_magnitude_plan"]

# Templates' constants.
AT = layout(1, 1)
_OPTION = Option()
# The noise that sizes the floor, and where the tables of the excess begin.
_FLOOR, _EXCESS = FIRST + 1, FIRST + 2

_MAX_ROUNDS = 60
# Largest change of the signal, in squared standard deviations of a mean, that ends the turns.
_AGREEMENT_TOLERANCE = 1e-12


def curve(*_: Any) -> float:
    """Stand for the signal of a model in one measurement."""
    raise AssertionError("a template: the functions of a structure are put in")


def _clean(voxel: Voxel, variance: float, clean: NDArray[np.float64]) -> tuple[float, float]:
    """Take the excess of the best fit off the means; return the largest change and what is left.

    The change is squared and weighted, what is left is in units of the variance of the noise.
    """
    options = voxel.options
    noise = options[_FLOOR] if options[_FLOOR] > 0.0 else math.sqrt(variance)
    moved = left = 0.0
    for j in range(clean.size):
        w = voxel.root_weight[j] * voxel.root_weight[j]
        if w > 0.0:
            line = max(curve(voxel.x, j, voxel.work, AT.best, AT.best_a), 0.0)
            ratio = line / noise
            above = mean_excess(ratio, j, options, _EXCESS)
            # Far out there is all of the noise, whatever the mean.
            share = 2.0 * options[COILS] - above * (2.0 * ratio + above)
            share = min(max(share, MIN_SHARE_IN_AIR), 1.0)
            away = voxel.signal[j] - line - noise * above
            left += w * away * away / share
            change = voxel.signal[j] - noise * above - clean[j]
            moved = max(moved, w * change * change)
            clean[j] += change
    return moved, left


def mean_magnitude_fit(voxel: Voxel, plain: bool, given: bool) -> tuple[Descent, float]:
    """Fit means of magnitudes inside the bounds, in the scratch.

    A template. Returns the squared residual of the means as cost, passes and end, and the noise
    variance of one volume; NaN where there is no degree of freedom to estimate it.
    """
    options, work, table = voxel.options, voxel.work, voxel.table[0]
    first = int(options[FIRST])
    clean = work[first : first + voxel.signal.size]
    problem = Problem(voxel.x, voxel.root_weight, clean, plain, options, table, work)
    degrees = options[_OPTION.degrees]
    known = voxel.sigma > 0.0
    total = power = 0.0
    for j in range(clean.size):
        clean[j] = voxel.signal[j]
        w = voxel.root_weight[j] * voxel.root_weight[j]
        total += w
        power += w * voxel.signal[j] * voxel.signal[j]
    variance = voxel.sigma * voxel.sigma if known else math.nan
    iterations = 0
    end = UNFINISHED
    look = True
    for turn in range(_MAX_ROUNDS):
        searched = look
        if look:
            fit = global_fit(problem, given)
            end = fit.end
        else:
            for q in range(AT.m):
                work[AT.to + q] = work[AT.best + q]
            fit = descend(problem, 0, math.inf, -1.0, 0.0)
            if fit.end == CONVERGED:
                for q in range(AT.m):
                    work[AT.best + q] = work[AT.at + q]
                for k in range(AT.n):
                    work[AT.best_a + k] = work[AT.kept + k]
        iterations += fit.iterations
        look = fit.end != CONVERGED or turn + 2 >= _MAX_ROUNDS
        if look and not searched:
            # Where two compartments meet only the dictionary tells what follows.
            continue
        if turn == 0 and not known:
            variance = fit.cost / degrees if degrees > 0.0 else math.nan
        s0 = 0.0
        for k in range(AT.n):
            s0 += work[AT.best_a + k]
        if end == UNFINISHED or not s0 > 0.0 or not variance > MIN_VARIANCE_SHARE * power / total:
            break
        before = variance
        moved, left = _clean(voxel, variance, clean)
        if not known:
            variance = left / degrees
            moved = max(moved, (variance - before) * (variance - before) / before)
        if moved <= _AGREEMENT_TOLERANCE * variance:
            if searched:
                break
            look = True
    cost = squared_residual(voxel, voxel.signal, AT.best, AT.best_a)
    return Descent(cost, iterations, end), variance


def fit_means(voxel: Voxel, out: NDArray[np.float64]) -> int:
    """Fit the means of magnitudes of one voxel.

    A template: `mean_magnitude_function` puts a model in.

    Parameters
    ----------
    voxel : Voxel
        As for `ivimkit.kernels.separable.voxel_fit.fit_voxel`, with options and scratch of
        `mean_magnitude_plan`. Where sigma, the standard deviation of the noise in each channel of
        one volume, is not > 0, it is estimated, too.
    out : ndarray, shape (>= n_parameters + 3,)
        Parameters, weighted sum of squares between means and signal, passes over the measurements,
        sigma.

    Returns
    -------
    int
        A sum of `ivimkit.status.FitStatus` flags.
    """
    options = voxel.options
    plain, given = read_bounds(voxel.lower, voxel.upper, options, voxel.table[0], voxel.work)
    fit, variance = mean_magnitude_fit(voxel, plain, given)
    return store_magnitudes(fit, variance, voxel, out)


def mean_magnitude_plan(
    options: NDArray[np.float64],
    scratch: int,
    n_rows: int,
    coils: int,
    floor: float,
    directions: NDArray[np.float64],
    repeats: NDArray[np.float64],
) -> tuple[NDArray[np.float64], int]:
    """Add what means of magnitudes need to a plan.

    Parameters
    ----------
    options, scratch : ndarray, int
        Of `ivimkit.kernels.separable.dictionary.plan`.
    n_rows : int
        Number of values of a signal, padded.
    coils : int
        Number of coils whose squares were added: 1 is Rician noise.
    floor : float
        Noise of one volume that sizes the floor, a.u.; 0 for that of each voxel.
    directions, repeats : ndarray, shape (n_values,)
        As for `ivimkit.kernels.mean_excess.excess_tables`.

    Returns
    -------
    options : ndarray
        With the number of coils, the place of the scratch, the noise of the floor and the tables
        of the excess behind.
    scratch : int
        Doubles of scratch that a fit needs.
    """
    own = [float(coils), float(scratch), floor]
    tables = excess_tables(coils, directions, repeats)
    return np.concatenate([options, own, tables]), scratch + n_rows


@functools.cache
def mean_magnitude_function(structure: Structure) -> Callable[..., Any]:
    """Return `fit_means` for a model.

    Parameters
    ----------
    structure : Structure
        The model.

    Returns
    -------
    callable
        A compiled function ``(voxel, out) -> status``.
    """
    return with_kernels(cast(FunctionType, fit_means), *structure.functions)
