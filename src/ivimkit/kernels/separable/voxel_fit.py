"""One voxel of a model of several compartments: bounds in, parameters and status out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.separable.descent import APART, UNFINISHED, Descent
from ivimkit.kernels.separable.layout import Option, Problem, layout
from ivimkit.kernels.separable.search import global_fit
from ivimkit.kernels.separable.structure import Structure
from ivimkit.kernels.templates import with_kernels
from ivimkit.kernels.voxel import Voxel
from ivimkit.status import FitStatus

__all__ = ["NOT_DETECTED", "fit_voxel", "voxel_function"]

# Templates' constants.
AT = layout(1, 1)
_OPTION = Option()

_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
_NOT_CONVERGED = int(FitStatus.NOT_CONVERGED)
NOT_DETECTED = (32, 512, 1024)
"""Status of compartments that are not distinguishable from 0, in their order."""
REFERENCE_NOT_DETECTED = 64
"""The same of the last compartment, the reference."""

# An amplitude is seen if it differs from 0 by this many standard deviations (5 % level).
_DETECTED = 1.959964**2
# The inverse of a smaller number is infinite, and shares of it are not numbers.
_LEAST_SIGNAL = 1e-300
# A share of the signal that is rounding, however little noise there is.
_NOTHING = 1e-8
# What is this close to its bound, relative, is on it: rounding may put the two apart.
_ON_BOUND = 1e-7
# Share of its upper bound that a parameter searched by its logarithm has at least.
_LEAST = 1e-6


def logarithmic(*_: Any) -> bool:
    """Stand for the function that tells whether a shape is searched by its logarithm."""
    raise AssertionError("a template: the functions of a structure are put in")


def read_bounds(
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[bool, bool]:
    """Write the bounds of a voxel to the scratch.

    A template. Returns whether all amplitudes >= 0 are allowed, and whether a shape is given that
    the dictionary does not know.
    """
    work[AT.bounds], work[AT.bounds + 1] = lower[0], upper[0]
    plain = lower[0] <= 0.0 and not upper[0] < np.inf
    given = False
    position = 1
    for k in range(AT.n):
        if k < AT.n - 1:
            low, high = lower[position], upper[position]
            work[AT.bounds + 2 + 2 * k], work[AT.bounds + 3 + 2 * k] = low, high
            plain = plain and low <= 0.0 and high >= 1.0
            position += 1
        place = _OPTION.first + 4 * k
        for r in range(int(options[place + 3])):
            q = int(options[place + 2]) + r
            low, high = lower[position], upper[position]
            if low == high:
                known = table[
                    int(options[_OPTION.parameters])
                    + r * int(options[_OPTION.atoms])
                    + int(options[place])
                ]
                given = given or known != low
            elif logarithmic(q):
                low = max(low, _LEAST * high)
            work[AT.low + q], work[AT.high + q] = low, high
            position += 1
    return plain, given


def _on_bound(value: float, low: float, high: float) -> float:
    """Return a value inside its bounds, or the bound that it is on."""
    if value <= low or abs(value - low) <= _ON_BOUND * abs(value):
        return low
    return high if value >= high or abs(value - high) <= _ON_BOUND * abs(value) else value


def store(
    fit: Descent,
    noise: float,
    start: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    options: NDArray[np.float64],
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """Write the parameters of the best fit, its cost and passes; return the status.

    A template. `noise` is the noise variance, `start` what the shapes of a compartment without an
    amplitude are put to, as far as their order allows.
    """
    n = AT.n
    if fit.end == UNFINISHED:
        return _NOT_CONVERGED
    s0 = 0.0
    for k in range(n):
        s0 += work[AT.best_a + k]
    if not s0 > _LEAST_SIGNAL:
        return _NO_SIGNAL
    code = 0
    position = 1
    for k in range(n):
        place = _OPTION.first + 4 * k
        amplitude = work[AT.best_a + k]
        if n > 1 and (amplitude <= _NOTHING * s0 or work[AT.seen + k] < _DETECTED * noise):
            if k == n - 1:
                code |= REFERENCE_NOT_DETECTED
            else:
                code |= NOT_DETECTED[k]
        if k < n - 1:
            out[position] = _on_bound(amplitude / s0, lower[position], upper[position])
            position += 1
        for r in range(int(options[place + 3])):
            q = int(options[place + 2]) + r
            low, high = work[AT.low + q], work[AT.high + q]
            work[AT.to + q] = work[AT.best + q]
            if amplitude == 0.0:
                # Nothing says what it is: rounding must not.
                work[AT.to + q] = min(max(start[position], low), high)
            position += 1
    for number in range(int(options[_OPTION.pairs])):
        slow = int(options[_OPTION.pair + 3 * number])
        fast = int(options[_OPTION.pair + 3 * number + 1])
        if work[AT.best_a + owner(fast)] == 0.0:
            least = APART * work[AT.to + slow]
            work[AT.to + fast] = min(max(work[AT.low + fast], least), work[AT.high + fast])
    for number in range(int(options[_OPTION.pairs]) - 1, -1, -1):
        slow = int(options[_OPTION.pair + 3 * number])
        fast = int(options[_OPTION.pair + 3 * number + 1])
        if work[AT.best_a + owner(slow)] == 0.0:
            most = work[AT.to + fast] / APART
            work[AT.to + slow] = max(min(work[AT.high + slow], most), work[AT.low + slow])
    out[0] = _on_bound(s0, lower[0], upper[0])
    position = 1
    for k in range(n):
        position += 1 if k < n - 1 else 0
        place = _OPTION.first + 4 * k
        for r in range(int(options[place + 3])):
            q = int(options[place + 2]) + r
            out[position] = _on_bound(work[AT.to + q], lower[position], upper[position])
            position += 1
    out[position] = fit.cost
    out[position + 1] = fit.iterations
    return code


def owner(*_: Any) -> int:
    """Stand for the function that tells the compartment of a shape."""
    raise AssertionError("a template: the functions of a structure are put in")


def fit_voxel(voxel: Voxel, out: NDArray[np.float64]) -> int:
    """Fit one voxel by least squares.

    A template: `voxel_function` puts a model in. The noise of the voxel is not used, and its start
    only says where a compartment without an amplitude has its shapes.

    Parameters
    ----------
    voxel : Voxel
        Its parameters are S0, then fraction and shapes by compartment; options, table (a single
        row) and scratch are as `ivimkit.kernels.separable.dictionary.plan` makes them.
    out : ndarray, shape (>= n_parameters + 2,)
        Parameters, weighted sum of squares, passes over the measurements.

    Returns
    -------
    int
        A sum of `ivimkit.status.FitStatus` flags.
    """
    options, table, work = voxel.options, voxel.table[0], voxel.work
    plain, given = read_bounds(voxel.lower, voxel.upper, options, table, work)
    problem = Problem(voxel.x, voxel.root_weight, voxel.signal, plain, options, table, work)
    fit = global_fit(problem, given)
    degrees = options[_OPTION.degrees]
    noise = fit.cost / degrees if degrees > 0.0 else 0.0
    return store(fit, noise, voxel.start, voxel.lower, voxel.upper, options, work, out)


@functools.cache
def voxel_function(structure: Structure) -> Callable[..., Any]:
    """Return `fit_voxel` for a model.

    Parameters
    ----------
    structure : Structure
        The model.

    Returns
    -------
    callable
        A compiled function ``(voxel, out) -> status``.
    """
    return with_kernels(cast(FunctionType, fit_voxel), *structure.functions)
