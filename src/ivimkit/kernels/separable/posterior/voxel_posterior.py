"""The posterior of one voxel of a model of any compartments: signal in, summary out."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.noise_floor import excess, noise_of
from ivimkit.kernels.separable.descent import Descent
from ivimkit.kernels.separable.layout import Option, Problem, layout
from ivimkit.kernels.separable.posterior.lane_products import products_of
from ivimkit.kernels.separable.posterior.point_rows import (
    LANES,
    MAX_STAGES,
    N_POINTS,
    PosteriorOption,
    point_rows,
)
from ivimkit.kernels.separable.posterior.stages import adapt, begin, go_on, weigh
from ivimkit.kernels.separable.posterior.summary import moments_of, write_samples, write_summary
from ivimkit.kernels.separable.posterior.target import Task
from ivimkit.kernels.separable.search import global_fit
from ivimkit.kernels.separable.structure import Structure
from ivimkit.kernels.separable.voxel_fit import read_bounds, store
from ivimkit.kernels.templates import with_kernels
from ivimkit.kernels.two_decays.lattice.lattice_options import N_VALUES, NOISE_DEGREES, NOISE_SCALE
from ivimkit.kernels.two_decays.lattice.variance import variance_of
from ivimkit.kernels.voxel import Voxel
from ivimkit.status import FAILED, FitStatus

__all__ = ["ENOUGH", "POOR", "posterior_function", "posterior_scratch"]

# Templates' constants.
AT = layout(1, 1)
ROWS = point_rows(1, 1)
_OPTION = Option()
_OWN = PosteriorOption()

_FAILED = int(FAILED)
_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
_INACCURATE = int(FitStatus.POSTERIOR_INACCURATE)
ENOUGH = 0.05
"""Accuracy that needs no further stage, in standard deviations."""
POOR = 0.1
"""Accuracy from which on a voxel has a status that says so."""


def curve(*_: Any) -> float:
    """Stand for the signal of a model in one measurement."""
    raise AssertionError("a template: the functions of a structure are put in")


def logarithmic(*_: Any) -> bool:
    """Stand for the function that tells whether a shape is searched by its logarithm."""
    raise AssertionError("a template: the functions of a structure are put in")


def posterior_scratch(structure: Structure, n_fit: int, n_rows: int) -> int:
    """Return how many numbers of scratch a voxel needs: those of the fit, a signal, the points."""
    return -(-(n_fit + n_rows) // 8) * 8 + point_rows(structure.n, structure.m).size


def without_floor(voxel: Voxel, cost: float, clean: NDArray[np.float64]) -> None:
    """Write the signal less what Rician noise adds to its mean at the best fit. A template."""
    options, work = voxel.options, voxel.work
    residual = 0.0
    if options[_OWN.first + NOISE_DEGREES] > 0.0:
        residual = math.sqrt(options[_OWN.first + NOISE_SCALE])
    elif options[_OPTION.degrees] > 0.0:
        residual = math.sqrt(cost / options[_OPTION.degrees])
    noise = noise_of(voxel, options[_OWN.floor_noise], residual)
    for j in range(voxel.signal.size):
        clean[j] = voxel.signal[j]
        if voxel.root_weight[j] > 0.0 and noise > 0.0:
            expected = curve(voxel.x, j, work, AT.best, AT.best_a)
            clean[j] -= noise * excess(max(expected, 0.0) / noise, options, _OWN.floor)


def write_box(task: Task) -> None:
    """Write the ranges of the coordinates of shapes. A template."""
    options, work, fit = task.options, task.work, task.fit
    for c in range(int(options[_OWN.n_free])):
        q = int(options[_OWN.coordinates + c])
        if q >= AT.m:
            continue
        low, high = fit[AT.low + q], fit[AT.high + q]
        is_log = logarithmic(q)
        if is_log:
            low, high = math.log(low), math.log(high)
        box = ROWS.box + 3 * c
        work[box], work[box + 1] = low, high - low
        work[box + 2] = 1.0 if is_log else 0.0


def write_fixed(task: Task) -> None:
    """Write the shapes that are given, which no coordinate moves. A template."""
    for q in range(AT.m):
        low, high = task.fit[AT.low + q], task.fit[AT.high + q]
        if low == high:
            for i in range(LANES):
                task.work[ROWS.block_shape + q * LANES + i] = low


def posterior_voxel(voxel: Voxel, out: NDArray[np.float64]) -> int:
    """Fit one voxel, and replace the best fit by the estimates from the posterior.

    A template: `posterior_function` puts a model in.

    Parameters
    ----------
    voxel : Voxel
        Options, table (a single row) and scratch as
        `ivimkit.methods._model_posterior.posterior_plan` makes them.
    out : ndarray
        Receives parameters, cost, number of points, and the extras; or, if the options ask for it,
        samples behind the number of points.

    Returns
    -------
    int
        A sum of `ivimkit.status.FitStatus` flags.
    """
    options, table, fit_work = voxel.options, voxel.table[0], voxel.work
    n_rows, n_par = voxel.signal.size, AT.n + AT.m
    clean_at = int(options[_OWN.scratch])
    plain, given = read_bounds(voxel.lower, voxel.upper, options, table, fit_work)
    signal = voxel.signal
    fit = global_fit(
        Problem(voxel.x, voxel.root_weight, signal, plain, options, table, fit_work), given
    )
    if options[_OWN.takes_floor_off] > 0.0:
        clean = fit_work[clean_at : clean_at + n_rows]
        without_floor(voxel, fit.cost, clean)
        signal = clean
        fit = global_fit(
            Problem(voxel.x, voxel.root_weight, signal, plain, options, table, fit_work), given
        )
    degrees = options[_OPTION.degrees]
    seen_with = fit.cost / degrees if degrees > 0.0 else 0.0
    code = store(
        fit, seen_with, voxel.start, voxel.lower, voxel.upper, options, fit_work, out[: n_par + 2]
    )
    if code & _FAILED != 0:
        return code
    norm = 0.0
    for j in range(n_rows):
        norm += (voxel.root_weight[j] * signal[j]) ** 2
    own = options[_OWN.first :]
    variance, inverse, power, residual, _ = variance_of(voxel.sigma, norm, fit.cost, own)
    work = fit_work[-(-(clean_at + n_rows) // 8) * 8 :]
    task = Task(
        voxel.x, voxel.root_weight, signal, options, table,
        norm - fit.cost, inverse, power, fit_work, work,
    )  # fmt: skip
    write_box(task)
    write_fixed(task)
    return integrate(voxel, task, fit, code, (variance, power, residual), out)


def integrate(
    voxel: Voxel,
    task: Task,
    fit: Descent,
    code: int,
    noise: tuple[float, float, float],
    out: NDArray[np.float64],
) -> int:
    """Go from stage to stage until the accuracy is enough, and write the summary. A template."""
    options, work = task.options, task.work
    variance, power, residual = noise
    n_par = AT.n + AT.m
    target = work[ROWS.log_target : ROWS.log_target + N_POINTS]
    mix = work[ROWS.mix : ROWS.mix + N_POINTS]
    weight = work[ROWS.weight : ROWS.weight + N_POINTS]
    begin(task, fit)
    n = go_on(0, task)
    level, effective = weigh(n, target, mix, weight)
    accuracy = moments_of(n, voxel.lower, voxel.upper, task)
    for stage in range(1, MAX_STAGES):
        adapt(stage, n, effective, task)
        n = go_on(stage, task)
        level, effective = weigh(n, target, mix, weight)
        accuracy = moments_of(n, voxel.lower, voxel.upper, task)
        if accuracy < ENOUGH:
            break
    if not level > -1e20:
        return _NO_SIGNAL
    if options[_OWN.writes_samples] > 0.0:
        write_samples(n, task, out[n_par + 2 :])
        return code
    # The evidence is the integral of likelihood times prior, S0 integrated over a flat prior: the
    # factors are those of the posterior of two decays.
    evidence = level + options[_OWN.log_density]
    if variance > 0.0:
        n_values = options[_OWN.first + N_VALUES]
        evidence -= 0.5 * (n_values - 1.0) * math.log(2.0 * math.pi * variance)
        evidence -= fit.cost * task.inverse
    else:
        evidence += options[_OWN.power_constant] - power * math.log(0.5 * residual)
    write_summary(
        n, voxel.signal, voxel.lower, voxel.upper, noise, (evidence, accuracy), task, out
    )
    return code | _INACCURATE if accuracy > POOR else code


@functools.cache
def posterior_function(structure: Structure) -> Callable[..., Any]:
    """Return `posterior_voxel` for a model: a compiled function ``(voxel, out) -> status``."""
    return with_kernels(
        cast(FunctionType, posterior_voxel),
        *structure.functions,
        ("products", products_of(structure)),
        ("ROWS", point_rows(structure.n, structure.m)),
    )
