"""The stages of an integral: points, their weights, and the next proposal from them.

Points of all stages count together, each by the density of the mixture of all their proposals, so
that none has a large weight because only one proposal knows where it is (deterministic mixture;
Cornuet et al. 2012, arXiv:0907.1254).

These are templates: the functions and the layouts of a model are put in.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite, pasted
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.separable.descent import Descent
from ivimkit.kernels.separable.layout import Option, layout
from ivimkit.kernels.separable.posterior.mode import (
    find_mode,
    squared_distance,
    write_coordinates,
)
from ivimkit.kernels.separable.posterior.point_rows import (
    FIRST_POINTS,
    MORE_POINTS,
    N_COMPONENTS,
    N_POINTS,
    PosteriorOption,
    component_size,
    point_rows,
)
from ivimkit.kernels.separable.posterior.proposal import (
    add_densities,
    draw,
    fit_component,
    set_component,
)
from ivimkit.kernels.separable.posterior.target import Task, evaluate_all
from ivimkit.kernels.separable.tuples import place_tuple, summits

__all__ = ["adapt", "begin", "go_on", "keep_mode", "weigh"]

# Templates' constants.
AT = layout(1, 1)
ROWS = point_rows(1, 1)
_OPTION = Option()
_OWN = PosteriorOption()

# Shares of the points of the first stage: around the best mode; around the second one, or wider;
# around the third one, or wider still; as wide as the bounds.
_FIRST_SHARES = (0.45, 0.3, 0.13)
_WIDE_SHARE = 0.06
# Scale of the widest component: a place that is uniform between its bounds has a logit of the
# standard deviation 1.8.
_WIDE = 1.7
# Factors on the variances around a mode, which has longer tails than its parabola.
_INFLATED, _WIDER, _WIDEST = 1.3, 5.0, 20.0
# Summits of the dictionary that are climbed, and how much they may explain less than the best fit.
_MAX_SUMMITS = 4
_STEPS, _FIRST_STEPS = 7, 2
_SUMMIT_DROP, _FINE = 8.0, 1e-4
# A mode within so many squared standard deviations of another one is the same; one that is lower
# by more than this, in the logarithm, is negligible.
_SAME_MODE, _MODE_DROP = 9.0, 9.0
# Rounds of expectation-maximisation per stage, and the mass of what was there before.
_ROUNDS = 2
_STEADY = 0.03
# Least number of effective points that a component is fitted to: else weights are flattened.
_MIN_EFFECTIVE, _PER_COORDINATE = 40.0, 10.0
_FLATTENED = 0.6
_MAX_FLATTENED = 6
# Part of the weight that is by the distance from the mean.
_TAILS = 0.5
# Least share of points of a component.
_MIN_SHARE = 0.02
_LOWEST = -700.0


def owner(*_: Any) -> int:
    """Stand for the function that tells the compartment of a shape."""
    raise AssertionError("a template: the functions of a structure are put in")


@pasted
def _row(stage: int, component: int, d: int, work: NDArray[np.float64]) -> NDArray[np.float64]:
    size = component_size(d)
    first = (stage * N_COMPONENTS + component) * size
    return work[first : first + size]


@device
def _widened(
    d: int,
    factor: float,
    curvature: NDArray[np.float64],
    matrix: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> None:
    """Write the inverse of curvature / factor + 1 / wide^2, by Gauss and Jordan."""
    for i in range(d):
        for k in range(d):
            scratch[i * d + k] = curvature[i * d + k] / factor
            matrix[i * d + k] = 1.0 if i == k else 0.0
        scratch[i * d + i] += 1.0 / (_WIDE * _WIDE)
    for c in range(d):
        pivot = scratch[c * d + c]
        for k in range(d):
            scratch[c * d + k] /= pivot
            matrix[c * d + k] /= pivot
        for i in range(d):
            if i != c:
                less = scratch[i * d + c]
                for k in range(d):
                    scratch[i * d + k] -= less * scratch[c * d + k]
                    matrix[i * d + k] -= less * matrix[c * d + k]


def keep_mode(component: int, factor: float, points: float, task: Task) -> None:
    """Make a component of the first stage from the mode and its curvature. A template."""
    options, work = task.options, task.work
    d = int(options[_OWN.n_free])
    square = d * d
    row = _row(0, component, d, work[ROWS.components : ROWS.bins])
    matrix = work[ROWS.matrix + 2 * square : ROWS.matrix + 3 * square]
    scratch = work[ROWS.matrix + 3 * square : ROWS.matrix + 4 * square]
    for i in range(d):
        row[2 + i] = work[ROWS.mode + i]
    _widened(d, factor, work[ROWS.matrix : ROWS.matrix + square], matrix, scratch)
    set_component(points, options[_OWN.t_constant], d, matrix, row)


def begin(task: Task, fit: Descent) -> None:
    """Make the proposal of the first stage, from the minima of the fit. A template."""
    options, work, own = task.options, task.work, task.fit
    d = int(options[_OWN.n_free])
    constant = options[_OWN.t_constant]
    square = d * d
    kept = work[ROWS.vector + 4 * d : ROWS.vector + 5 * d]
    precision = work[ROWS.moments : ROWS.moments + square]
    n = float(FIRST_POINTS)
    write_coordinates(AT.best, AT.best_a, task)
    best = find_mode(_STEPS, task)
    for i in range(d):
        kept[i] = work[ROWS.mode + i]
    for i in range(square):
        precision[i] = work[ROWS.matrix + i]
    shares = _FIRST_SHARES
    counts = (
        math.floor(shares[0] * n),
        math.floor(shares[1] * n),
        math.floor(shares[2] * n),
    )
    # What is as wide as the bounds.
    row = _row(0, N_COMPONENTS - 1, d, work[ROWS.components : ROWS.bins])
    matrix = work[ROWS.matrix + 2 * square : ROWS.matrix + 3 * square]
    for i in range(d):
        row[2 + i] = 0.0
        for k in range(d):
            matrix[i * d + k] = _WIDE * _WIDE if i == k else 0.0
    set_component(n - counts[0] - counts[1] - counts[2], constant, d, matrix, row)
    keep_mode(0, _INFLATED, counts[0], task)
    keep_mode(1, _WIDER, counts[1], task)
    keep_mode(2, _WIDEST, counts[2], task)
    energy = 0.0
    for j in range(task.signal.size):
        energy += (task.root_weight[j] * task.signal[j]) ** 2
    # With an unknown variance, what it would be at the best fit.
    variance = 0.5 / task.inverse
    if task.power > 0.0:
        variance = 0.5 / (task.inverse * task.power)
    enough = task.top - 2.0 * variance * _SUMMIT_DROP - _FINE * energy
    found = summits(enough, options, task.table, own)
    other = 1
    for number in range(min(found, _MAX_SUMMITS)):
        o = int(own[AT.starts + 3 * number + 1])
        i = int(own[AT.starts + 3 * number + 2])
        place_tuple(o, i, options, task.table, own)
        write_coordinates(AT.to, -1, task)
        if other > 2:
            break
        mode = work[ROWS.mode : ROWS.mode + d]
        if squared_distance(d, mode, kept, precision) < _SAME_MODE:
            continue
        # Most summits are sides of the best mode, and soon near it.
        find_mode(_FIRST_STEPS, task)
        if squared_distance(d, mode, kept, precision) < _SAME_MODE:
            continue
        level = find_mode(_STEPS, task)
        far = squared_distance(d, mode, kept, precision) > _SAME_MODE
        if far and level > best - _MODE_DROP:
            keep_mode(other, _INFLATED, counts[other], task)
            other += 1


def go_on(stage: int, task: Task) -> int:
    """Draw and evaluate the points of a stage; return the number of all points. A template."""
    work, options = task.work, task.options
    d = int(options[_OWN.n_free])
    first = 0 if stage == 0 else FIRST_POINTS + (stage - 1) * MORE_POINTS
    last = FIRST_POINTS if stage == 0 else first + MORE_POINTS
    z, components = work[ROWS.z : ROWS.shape], work[ROWS.components : ROWS.bins]
    variates = task.table[int(options[_OWN.variates]) :]
    at = first
    for c in range(N_COMPONENTS):
        row = _row(stage, c, d, components)
        draw(d, row, variates, at, N_POINTS, z)
        at += int(row[0])
    mix = work[ROWS.mix : ROWS.mix + N_POINTS]
    for p in range(first, last):
        mix[p] = 0.0
    spare = work[ROWS.use : ROWS.use + N_POINTS]
    lanes = work[ROWS.block : ROWS.block_shape]
    for before in range(stage):
        for c in range(N_COMPONENTS):
            row = _row(before, c, d, components)
            add_densities(d, row, first, last, N_POINTS, z, spare, mix, lanes)
    for c in range(N_COMPONENTS):
        density = work[ROWS.density + c * N_POINTS : ROWS.density + (c + 1) * N_POINTS]
        row = _row(stage, c, d, components)
        add_densities(d, row, 0, last, N_POINTS, z, density, mix, lanes)
    evaluate_all(first, last, task)
    return last


@finite
def _log_weights(
    n: int,
    target: NDArray[np.float64],
    mix: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> float:
    """Write the logarithms of the weights; return the highest."""
    top = -1e300
    for p in range(n):
        weight[p] = target[p] - log(max(mix[p], 1e-290))
        top = max(top, weight[p])
    return top


@finite
def weigh(
    n: int,
    target: NDArray[np.float64],
    mix: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> tuple[float, float]:
    """Write the weights of the points; their sum is 1.

    Returns
    -------
    tuple of float
        Logarithm of the integral, and the number of points that are as good as these.
    """
    top = _log_weights(n, target, mix, weight)
    total = square = 0.0
    for p in range(n):
        value = exp(max(weight[p] - top, _LOWEST))
        weight[p] = value
        total += value
        square += value * value
    for p in range(n):
        weight[p] /= total
    # `mix` counts the points of every proposal, so that this is the integral itself.
    return top + math.log(total), total * total / square


@finite
def _shares(
    c: int,
    n: int,
    weight: NDArray[np.float64],
    densities: NDArray[np.float64],
    share: NDArray[np.float64],
) -> None:
    """Write the share of each point, times its weight, that belongs to a component."""
    for p in range(n):
        total = densities[p]
        for k in range(1, N_COMPONENTS):
            total += densities[k * N_POINTS + p]
        share[p] = weight[p] * densities[c * N_POINTS + p] / max(total, 1e-290)


@finite
def _flatten(n: int, power: float, weight: NDArray[np.float64]) -> float:
    """Raise the weights to a power; return the number of points that are as good as these."""
    total = square = 0.0
    for p in range(n):
        value = exp(power * log(max(weight[p], 1e-290)))
        weight[p] = value
        total += value
        square += value * value
    for p in range(n):
        weight[p] /= total
    return total * total / square


@finite
def _add_distance(
    n: int,
    mean: float,
    sd: float,
    value: NDArray[np.float64],
    distance: NDArray[np.float64],
) -> None:
    """Add the squared distances of a parameter from its mean, in standard deviations."""
    for p in range(n):
        off = (value[p] - mean) / sd
        distance[p] += off * off


@finite
def _stress(
    n: int, count: float, distance: NDArray[np.float64], weight: NDArray[np.float64]
) -> None:
    """Give points weight by their distance from the mean: for its error the tails count more."""
    for p in range(n):
        weight[p] *= (1.0 - _TAILS) + _TAILS * distance[p] / count


def adapt(stage: int, n: int, effective: float, task: Task) -> None:
    """Make the proposal of a stage from the n points of those before. A template.

    The weights are those of `weigh`, and are changed; means and standard deviations are those of
    `ivimkit.kernels.separable.posterior.summary.moments_of`.
    """
    work, options = task.work, task.options
    d = int(options[_OWN.n_free])
    square = d * d
    constant = options[_OWN.t_constant]
    z, components = work[ROWS.z : ROWS.shape], work[ROWS.components : ROWS.bins]
    weight = work[ROWS.weight : ROWS.weight + N_POINTS]
    densities = work[ROWS.density : ROWS.drawn]
    share = work[ROWS.value : ROWS.value + N_POINTS]
    spare = work[ROWS.use : ROWS.use + N_POINTS]
    lanes = work[ROWS.block : ROWS.block_shape]
    matrix = work[ROWS.matrix + 2 * square : ROWS.matrix + 3 * square]
    distance = work[ROWS.use : ROWS.use + N_POINTS]
    for p in range(n):
        distance[p] = 0.0
    n_par, count = AT.n + AT.m, 0.0
    for q in range(AT.m):
        # Behind S0 and the fractions of the compartments up to its own.
        position = 1 + q + min(owner(q) + 1, AT.n - 1)
        sd = work[ROWS.moments + n_par + position]
        if sd > 0.0:
            value = work[ROWS.shape + q * N_POINTS : ROWS.shape + (q + 1) * N_POINTS]
            _add_distance(n, work[ROWS.moments + position], sd, value, distance)
            count += 1.0
    if count > 0.0:
        _stress(n, count, distance, weight)
    wanted = _MIN_EFFECTIVE + _PER_COORDINATE * d
    for _ in range(_MAX_FLATTENED):
        if effective >= wanted:
            break
        effective = _flatten(n, _FLATTENED, weight)
    wide = math.floor(_WIDE_SHARE * MORE_POINTS)
    for number in range(_ROUNDS):
        for c in range(N_COMPONENTS - 1):
            old = _row(stage - 1 if number == 0 else stage, c, d, components)
            row = _row(stage, c, d, components)
            _shares(c, n, weight, densities, share)
            mass = fit_component(d, n, N_POINTS, _STEADY, z, share, old, matrix, row)
            set_component(max(mass, _MIN_SHARE), constant, d, matrix, row)
        total = 0.0
        for c in range(N_COMPONENTS - 1):
            total += _row(stage, c, d, components)[0]
        left = MORE_POINTS - wide
        for c in range(N_COMPONENTS - 1):
            row = _row(stage, c, d, components)
            points = math.floor(row[0] / total * (MORE_POINTS - wide))
            row[0] = points
            left -= points
        _row(stage, 0, d, components)[0] += left
        row, old = (
            _row(stage, N_COMPONENTS - 1, d, components),
            _row(0, N_COMPONENTS - 1, d, components),
        )
        for i in range(component_size(d)):
            row[i] = old[i]
        row[0] = wide
        if number < _ROUNDS - 1:
            for c in range(N_COMPONENTS):
                density = densities[c * N_POINTS : (c + 1) * N_POINTS]
                row = _row(stage, c, d, components)
                add_densities(d, row, 0, n, N_POINTS, z, density, spare, lanes)
