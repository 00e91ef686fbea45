"""The summary of a posterior from weighted points: estimates, spread, information, accuracy.

These are templates: the functions and the layouts of a model are put in. Numbers of a parameter
follow its position among the parameters of the model: fraction and shapes by compartment, behind
S0. What belongs to a fraction is known at every point as its mean and mean square there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite
from ivimkit.kernels.exponential import log
from ivimkit.kernels.separable.layout import layout
from ivimkit.kernels.separable.posterior.point_rows import (
    N_BINS,
    N_DRAWS,
    N_KNOTS,
    N_POINTS,
    N_SAMPLES,
    PosteriorOption,
    point_rows,
)
from ivimkit.kernels.separable.posterior.target import Task

__all__ = ["moments_of", "write_samples", "write_summary"]

# Templates' constants.
AT = layout(1, 1)
ROWS = point_rows(1, 1)
_OWN = PosteriorOption()

# Quantiles of the normal distribution, for S0.
_NORMAL_95 = 1.959964
_NORMAL_50 = 0.674490
# Standard deviations of a coordinate that its histogram reaches to.
_REACH = 5.0
# Bins of the histogram that are one in the information: single ones are noise.
_MERGED = 4
# The tables of the prior reach to these coordinates.
_END = 12.0
_MIN_PLACE = 1e-11
# Points of a smaller weight do not widen a histogram.
_MIN_WEIGHT = 1e-9


def owner(*_: Any) -> int:
    """Stand for the function that tells the compartment of a shape."""
    raise AssertionError("a template: the functions of a structure are put in")


def curve(*_: Any) -> float:
    """Stand for the signal of a model in one measurement."""
    raise AssertionError("a template: the functions of a structure are put in")


def place_of(position: int) -> tuple[bool, int]:
    """Return whether a parameter is a fraction, and the number of its compartment or shape.

    A template.
    """
    at, shape = 1, 0
    for k in range(AT.n):
        if k < AT.n - 1:
            if at == position:
                return True, k
            at += 1
        while shape < AT.m and owner(shape) == k:
            if at == position:
                return False, shape
            at += 1
            shape += 1
    return False, 0


@finite
def _fraction_values(
    k: int, n: int, work: NDArray[np.float64], rows: tuple[int, int, int],
    value: NDArray[np.float64], square: NDArray[np.float64],
) -> None:  # fmt: skip
    """Write means and mean squares of the fraction of a compartment."""
    s, ss, share = rows
    if k == 0:
        for p in range(n):
            value[p] = work[s + p]
            square[p] = work[ss + p]
    else:
        own = share + (k - 1) * N_POINTS
        for p in range(n):
            value[p] = work[own + p] * (1.0 - work[s + p])
            square[p] = work[own + p] ** 2 * (1.0 - 2.0 * work[s + p] + work[ss + p])


@finite
def _shape_values(
    n: int, shape: NDArray[np.float64], value: NDArray[np.float64], square: NDArray[np.float64]
) -> None:
    for p in range(n):
        value[p] = shape[p]
        square[p] = shape[p] * shape[p]


def read_values(
    position: int,
    n: int,
    task: Task,
    value: NDArray[np.float64],
    square: NDArray[np.float64],
) -> None:
    """Write mean and mean square of a parameter at n points. A template."""
    work = task.work
    is_fraction, k = place_of(position)
    if is_fraction:
        _fraction_values(k, n, work, (ROWS.s, ROWS.ss, ROWS.share), value, square)
    else:
        row = work[ROWS.shape + k * N_POINTS : ROWS.shape + (k + 1) * N_POINTS]
        _shape_values(n, row, value, square)


@finite
def _mean(n: int, weight: NDArray[np.float64], value: NDArray[np.float64]) -> float:
    total = 0.0
    for p in range(n):
        total += weight[p] * value[p]
    return total


@finite
def _errors(
    n: int,
    weight: NDArray[np.float64],
    value: NDArray[np.float64],
    square: NDArray[np.float64],
    mean: float,
    variance: float,
) -> float:
    """Return the larger variance of the mean and of the sd of points drawn at random, in sd^2.

    With off the distance from the mean, the error of the variance is that of the mean of off^2,
    and the error of its root half of that, relative.
    """
    of_mean = of_sd = 0.0
    for p in range(n):
        share = weight[p] * weight[p]
        off = value[p] - mean
        beyond = (square[p] - value[p] * value[p] + off * off) / variance - 1.0
        of_mean += share * off * off
        of_sd += share * beyond * beyond
    return max(of_mean / variance, 0.25 * of_sd)


@finite
def _covariance(
    n: int,
    weight: NDArray[np.float64],
    one: NDArray[np.float64],
    two: NDArray[np.float64],
    mean1: float,
    mean2: float,
) -> float:
    total = 0.0
    for p in range(n):
        total += weight[p] * (one[p] - mean1) * (two[p] - mean2)
    return total


def moments_of(
    n: int, lower: NDArray[np.float64], upper: NDArray[np.float64], task: Task
) -> float:
    """Write means and standard deviations of all parameters; return the accuracy. A template.

    They stand in the moments, at their positions; the standard deviations follow the means. The
    accuracy is the largest error of a mean or of a standard deviation, in standard deviations of
    its parameter, that points drawn at random would have. Those from the table do better.
    """
    work = task.work
    weight = work[ROWS.weight : ROWS.weight + N_POINTS]
    value = work[ROWS.value : ROWS.value + N_POINTS]
    square = work[ROWS.use : ROWS.use + N_POINTS]
    moments = work[ROWS.moments : ROWS.size]
    n_par = AT.n + AT.m
    worst = 0.0
    for position in range(1, n_par):
        read_values(position, n, task, value, square)
        mean = _mean(n, weight, value)
        shift = _covariance(n, weight, value, value, mean, mean)
        # What the points leave open adds to what they differ by.
        inside = _mean(n, weight, square) - _covariance(n, weight, value, value, 0.0, 0.0)
        variance = shift + max(inside, 0.0)
        moments[position] = mean
        moments[n_par + position] = math.sqrt(variance)
        if lower[position] < upper[position] and variance > 0.0:
            worst = max(worst, _errors(n, weight, value, square, mean, variance))
    return math.sqrt(worst)


def read_coordinates(
    position: int, number: int, n: int, task: Task, value: NDArray[np.float64]
) -> bool:
    """Write a coordinate of a parameter at n points, draw `number` of a fraction. A template.

    Returns whether it is a fraction, of which there are N_DRAWS draws.
    """
    work, options = task.work, task.options
    is_fraction, k = place_of(position)
    if is_fraction:
        for p in range(n):
            part = work[ROWS.drawn + number * N_POINTS + p]
            if k > 0:
                part = (1.0 - part) * work[ROWS.share + (k - 1) * N_POINTS + p]
            part = min(max(part, _MIN_PLACE), 1.0 - _MIN_PLACE)
            value[p] = log(part / (1.0 - part))
        return True
    for c in range(int(options[_OWN.n_free])):
        if int(options[_OWN.coordinates + c]) == k:
            for p in range(n):
                value[p] = work[ROWS.z + c * N_POINTS + p]
    return False


def natural(position: int, z: float, task: Task) -> float:
    """Return a parameter by its coordinate. A template."""
    work, options = task.work, task.options
    is_fraction, k = place_of(position)
    u = 1.0 / (1.0 + math.exp(-z))
    if is_fraction:
        return u
    for c in range(int(options[_OWN.n_free])):
        if int(options[_OWN.coordinates + c]) == k:
            box = ROWS.box + 3 * c
            u = work[box] + work[box + 1] * u
            if work[box + 2] > 0.0:
                u = math.exp(u)
    return u


@finite
def _range(n: int, weight: NDArray[np.float64], value: NDArray[np.float64]) -> tuple[float, float]:
    """Return the lower end and the width of a bin of the histogram of a coordinate."""
    mean = _mean(n, weight, value)
    sd = math.sqrt(_covariance(n, weight, value, value, mean, mean))
    low, high = mean + _REACH * sd, mean - _REACH * sd
    for p in range(n):
        counts = weight[p] > _MIN_WEIGHT
        low = min(low, value[p] if counts else low)
        high = max(high, value[p] if counts else high)
    low, high = max(low, mean - _REACH * sd), min(high, mean + _REACH * sd)
    return low, max(high - low, 1e-12 * (1.0 + abs(mean))) / N_BINS


@device
def _add(
    n: int, share: float, low: float, width: float,
    weight: NDArray[np.float64], value: NDArray[np.float64], bins: NDArray[np.float64],
) -> None:  # fmt: skip
    """Add the points to the bins; those beyond the ends belong to the last ones."""
    for p in range(n):
        at = (value[p] - low) / width
        bins[min(max(int(at), 0), N_BINS - 1)] += share * weight[p]


@device
def _quantile(share: float, low: float, width: float, bins: NDArray[np.float64]) -> float:
    """Return the coordinate below which a share of the mass is, which is even in a bin."""
    below = 0.0
    for i in range(N_BINS):
        if below + bins[i] >= share and bins[i] > 0.0:
            at: float = low + (i + (share - below) / bins[i]) * width
            return at
        below += bins[i]
    return low + N_BINS * width


@device
def _below(z: float, table: NDArray[np.float64]) -> float:
    """Return the mass of the prior below a coordinate."""
    place = (z + _END) / (2.0 * _END) * (N_KNOTS - 1)
    place = min(max(place, 0.0), N_KNOTS - 1.000001)
    i = int(place)
    known: float = table[i] + (place - i) * (table[i + 1] - table[i])
    return known


@device
def _bits(
    low: float, width: float, bins: NDArray[np.float64], table: NDArray[np.float64]
) -> float:
    """Return the divergence of the histogram from the prior, in bits."""
    bits = 0.0
    for i in range(0, N_BINS, _MERGED):
        share = 0.0
        for k in range(_MERGED):
            share += bins[i + k]
        begin = low + i * width if i > 0 else -_END
        end = low + (i + _MERGED) * width if i + _MERGED < N_BINS else _END
        expected = max(_below(end, table) - _below(begin, table), 1e-12)
        if share > 0.0:
            bits += share * math.log2(share / expected)
    return max(bits, 0.0)


def write_cost(measured: NDArray[np.float64], out: NDArray[np.float64], task: Task) -> float:
    """Return the sum of squares of the estimates in `out`. A template."""
    fit = task.fit
    left = 1.0
    for position in range(1, AT.n + AT.m):
        is_fraction, k = place_of(position)
        if is_fraction:
            fit[AT.a + k] = out[0] * out[position]
            left -= out[position]
        else:
            fit[AT.to + k] = out[position]
    fit[AT.a + AT.n - 1] = out[0] * left
    cost = 0.0
    for j in range(measured.size):
        off = measured[j] - curve(task.x, j, fit, AT.to, AT.a)
        cost += (task.root_weight[j] * off) ** 2
    return cost


def write_correlations(
    n: int,
    at: int,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    task: Task,
    out: NDArray[np.float64],
) -> None:
    """Write the correlations of all pairs of parameters from `out[at]` on. A template.

    Two fractions share what the points leave open of the first one: with s and the shares r they
    are s or (1-s) r, so that the mean of a product follows from the means of s and s^2.
    """
    work = task.work
    weight = work[ROWS.weight : ROWS.weight + N_POINTS]
    one = work[ROWS.value : ROWS.value + N_POINTS]
    two = work[ROWS.density : ROWS.density + N_POINTS]
    square = work[ROWS.use : ROWS.use + N_POINTS]
    open_part = work[ROWS.density + N_POINTS : ROWS.density + 2 * N_POINTS]
    moments = work[ROWS.moments : ROWS.size]
    n_par = AT.n + AT.m
    for i in range(1, n_par):
        read_values(i, n, task, one, square)
        first_is_fraction, k_first = place_of(i)
        for k in range(i + 1, n_par):
            free = lower[i] < upper[i] and lower[k] < upper[k]
            sd = moments[n_par + i] * moments[n_par + k]
            if free and sd > 0.0:
                read_values(k, n, task, two, square)
                total = _covariance(n, weight, one, two, moments[i], moments[k])
                second_is_fraction, k_second = place_of(k)
                if first_is_fraction and second_is_fraction:
                    for p in range(n):
                        s = work[ROWS.s + p]
                        varies = work[ROWS.ss + p] - s * s
                        factor = -work[ROWS.share + (k_second - 1) * N_POINTS + p]
                        if k_first > 0:
                            factor *= -work[ROWS.share + (k_first - 1) * N_POINTS + p]
                        open_part[p] = varies * factor
                    total += _mean(n, weight, open_part)
                out[at] = min(max(total / sd, -1.0), 1.0)
            at += 1


def write_products(at: int, n: int, task: Task, out: NDArray[np.float64]) -> int:
    """Write mean and standard deviation of products of a fraction and a shape. A template."""
    work, options = task.work, task.options
    weight = work[ROWS.weight : ROWS.weight + N_POINTS]
    one = work[ROWS.value : ROWS.value + N_POINTS]
    two = work[ROWS.density : ROWS.density + N_POINTS]
    square = work[ROWS.use : ROWS.use + N_POINTS]
    other = work[ROWS.density + N_POINTS : ROWS.density + 2 * N_POINTS]
    for number in range(int(options[_OWN.n_products])):
        read_values(int(options[_OWN.products + 2 * number]), n, task, one, square)
        read_values(int(options[_OWN.products + 2 * number + 1]), n, task, two, other)
        mean = second = 0.0
        for p in range(n):
            mean += weight[p] * one[p] * two[p]
            second += weight[p] * square[p] * other[p]
        out[at] = mean
        out[at + 1] = math.sqrt(max(second - mean * mean, 0.0))
        at += 2
    return at


def write_summary(
    n: int,
    measured: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    noise: tuple[float, float, float],
    found: tuple[float, float],
    task: Task,
    out: NDArray[np.float64],
) -> None:
    """Write what method bayes gives of a model: `ivimkit.methods.bayes.Bayes.extras`. A template.

    Parameters
    ----------
    n : int
        Number of points, whose means and standard deviations `moments_of` has written.
    measured : ndarray, shape (n_b,)
        The signal before the noise floor was subtracted.
    lower, upper : ndarray, shape (n_par,)
        Bounds.
    noise : tuple of float
        Variance, or NaN; its power and residual, as in
        `ivimkit.kernels.two_decays.lattice.variance`.
    found : tuple of float
        Evidence and accuracy.
    task : Task
        The voxel.
    out : ndarray
        Receives parameters, cost, number of points, and the extras.
    """
    work, options = task.work, task.options
    variance, power, residual = noise
    n_par = AT.n + AT.m
    first = n_par + 2
    weight = work[ROWS.weight : ROWS.weight + N_POINTS]
    value = work[ROWS.value : ROWS.value + N_POINTS]
    bins = work[ROWS.bins : ROWS.box]
    moments = work[ROWS.moments : ROWS.size]
    for k in range(first, out.size):
        out[k] = math.nan
    spread = variance
    if not variance > 0.0:
        gain = _mean(n, weight, work[ROWS.gain : ROWS.gain + n])
        spread = max(residual + task.top - gain, residual) / max(2.0 * power - 2.0, 1.0)
    s0 = _mean(n, weight, work[ROWS.s0 : ROWS.s0 + n])
    s0_square = _mean(n, weight, work[ROWS.s0_square : ROWS.s0_square + n])
    inverse = _mean(n, weight, work[ROWS.inverse : ROWS.inverse + n])
    sd = math.sqrt(max(s0_square - s0 * s0, 0.0) + spread * inverse)
    out[0] = s0
    out[first] = sd
    out[first + 1], out[first + 2] = s0 - _NORMAL_95 * sd, s0 + _NORMAL_95 * sd
    out[first + 3], out[first + 4] = s0 - _NORMAL_50 * sd, s0 + _NORMAL_50 * sd
    rest = first + 5 * n_par
    tables = int(options[_OWN.marginals])
    for position in range(1, n_par):
        out[position] = moments[position]
        if lower[position] < upper[position]:
            at = first + 5 * position
            is_drawn = read_coordinates(position, 0, n, task, value)
            low, width = _range(n, weight, value)
            for i in range(N_BINS):
                bins[i] = 0.0
            draws = N_DRAWS if is_drawn else 1
            for number in range(draws):
                if number > 0:
                    read_coordinates(position, number, n, task, value)
                _add(n, 1.0 / draws, low, width, weight, value, bins)
            out[at] = moments[n_par + position]
            out[at + 1] = natural(position, _quantile(0.025, low, width, bins), task)
            out[at + 2] = natural(position, _quantile(0.975, low, width, bins), task)
            out[at + 3] = natural(position, _quantile(0.25, low, width, bins), task)
            out[at + 4] = natural(position, _quantile(0.75, low, width, bins), task)
            if options[_OWN.estimate] == 1.0:
                out[position] = natural(position, _quantile(0.5, low, width, bins), task)
            table = task.table[tables + position * N_KNOTS :]
            out[rest + position - 1] = _bits(low, width, bins, table)
        else:
            out[position] = lower[position]
    rest += n_par - 1
    rest = write_products(rest, n, task, out)
    write_correlations(n, rest, lower, upper, task, out)
    rest += (n_par - 1) * (n_par - 2) // 2
    out[rest] = math.sqrt(spread)
    out[rest + 1], out[rest + 2] = found
    out[n_par] = write_cost(measured, out, task)
    out[n_par + 1] = n


def write_samples(n: int, task: Task, out: NDArray[np.float64]) -> None:
    """Write coordinates of samples, and the logit of the first fraction last. A template.

    They are drawn with the weights of the points, systematically.
    """
    work, options = task.work, task.options
    d = int(options[_OWN.n_free])
    free = options[_OWN.free_fraction] > 0.0
    columns = d + 1 if free else d
    at, above = 0, work[ROWS.weight]
    for number in range(N_SAMPLES):
        wanted = (number + 0.5) / N_SAMPLES
        while above < wanted and at < n - 1:
            at += 1
            above += work[ROWS.weight + at]
        for c in range(d):
            out[number * columns + c] = work[ROWS.z + c * N_POINTS + at]
        if free:
            part = min(max(work[ROWS.drawn + at], 1e-6), 1.0 - 1e-6)
            out[number * columns + d] = math.log(part / (1.0 - part))
