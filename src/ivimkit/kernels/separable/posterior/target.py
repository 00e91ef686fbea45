"""The density that is integrated, at the points of a block: likelihood times prior.

Every shape parameter has a coordinate z that runs from minus to plus infinity between its bounds:
the logit of its place between them, by its logarithm if it is searched by that. So have the shares
of the compartments in what the first one leaves: the logits of the parts that each takes of what
is left. The density is one of these coordinates, with S0 and the first fraction integrated out.

These are templates: the functions and the layouts of a model are put in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.separable.descent import APART
from ivimkit.kernels.separable.layout import Option, layout
from ivimkit.kernels.separable.posterior.fraction_integral import at_one_fraction, over_fractions
from ivimkit.kernels.separable.posterior.point_rows import (
    LANES,
    N_DRAWS,
    N_POINTS,
    BlockRow,
    PosteriorOption,
    point_rows,
)

__all__ = ["Task", "evaluate", "evaluate_all"]

# Templates' constants.
AT = layout(1, 1)
ROWS = point_rows(1, 1)
_OPTION = Option()
_OWN = PosteriorOption()
_ROW = BlockRow()
_FACTOR, _VALID = _ROW.factor * LANES, _ROW.valid * LANES
_LOW, _HIGH = _ROW.low * LANES, _ROW.high * LANES
_LEVEL, _OFFSET = _ROW.prior_level * LANES, _ROW.prior_shift * LANES
_MIN_SHARE = 1e-12
_G_REST, _G_BOTH, _G_FIRST = (r * LANES for r in (_ROW.g_rest, _ROW.g_both, _ROW.g_first))
_P_REST, _P_FIRST = _ROW.p_rest * LANES, _ROW.p_first * LANES
# Squared norms of atoms outside these do not count.
_MIN_NORM, _MAX_NORM = 1e-60, 1e60


class Task(NamedTuple):
    """What is integrated in one voxel.

    Attributes
    ----------
    x, root_weight, signal : ndarray
        As in `ivimkit.kernels.voxel.Voxel`.
    options, table : ndarray
        Of the method, with `PosteriorOption`; the table is flat.
    top, inverse, power : float
        Gain of the best fit, and how the likelihood depends on the gain.
    fit : ndarray
        The scratch of the fit, with bounds in it.
    work : ndarray
        The scratch of the posterior, `PointRows`.
    """

    x: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    signal: NDArray[np.float64]
    options: NDArray[np.float64]
    table: NDArray[np.float64]
    top: float
    inverse: float
    power: float
    fit: NDArray[np.float64]
    work: NDArray[np.float64]


def products(*_: Any) -> None:
    """Stand for the inner products of a model."""
    raise AssertionError("a template: the functions of a structure are put in")


@finite
def _place(
    low: float,
    span: float,
    logarithmic: bool,
    flat: bool,
    z: NDArray[np.float64],
    to: NDArray[np.float64],
    block: NDArray[np.float64],
) -> None:
    """Write the parameters of a coordinate; a flat prior of them is denser where they crowd."""
    for i in range(LANES):
        u = 1.0 / (1.0 + exp(-z[i]))
        value = low + span * u
        slope = span * u * (1.0 - u)
        if logarithmic:
            value = exp(value)
            slope *= value
        to[i] = value
        if flat:
            block[_FACTOR + i] *= slope


@finite
def _divide(
    left: int,
    flat: bool,
    z: NDArray[np.float64],
    rest: NDArray[np.float64],
    to: NDArray[np.float64],
    block: NDArray[np.float64],
) -> None:
    """Write the share that a compartment takes of the rest, behind which `left` others follow."""
    for i in range(LANES):
        u = 1.0 / (1.0 + exp(-z[i]))
        to[i] = rest[i] * u
        rest[i] *= 1.0 - u
        if flat:
            slope = u * (1.0 - u)
            for _ in range(left):
                slope *= 1.0 - u
            block[_FACTOR + i] *= slope


@finite
def _narrow(
    low: float, high: float, share: NDArray[np.float64], block: NDArray[np.float64]
) -> None:
    """Keep the first fraction where that of another compartment is inside its bounds."""
    for i in range(LANES):
        own = max(share[i], _MIN_SHARE)
        block[_LOW + i] = max(block[_LOW + i], 1.0 - high / own)
        block[_HIGH + i] = min(block[_HIGH + i], 1.0 - low / own)


@finite
def _in_order(
    slow: NDArray[np.float64], fast: NDArray[np.float64], block: NDArray[np.float64]
) -> None:
    for i in range(LANES):
        block[_VALID + i] *= 1.0 if fast[i] >= APART * slow[i] else 0.0


@device
def _keep_finite(block: NDArray[np.float64]) -> None:
    """Leave out points at which an atom is infinite, NaN, or 0 everywhere."""
    for i in range(LANES):
        largest = max(block[_G_REST + i], block[_G_FIRST + i])
        good = block[_G_REST + i] > _MIN_NORM and largest < _MAX_NORM
        good = good and abs(block[_P_REST + i] + block[_P_FIRST + i]) < _MAX_NORM
        if not good:
            block[_VALID + i] = 0.0
            block[_G_REST + i] = block[_G_FIRST + i] = 1.0
            block[_G_BOTH + i] = block[_P_REST + i] = block[_P_FIRST + i] = 0.0


@finite
def _prior_levels(
    prior: NDArray[np.float64],
    n_prior: int,
    n: int,
    d: int,
    start: int,
    z: NDArray[np.float64],
    block: NDArray[np.float64],
) -> None:
    """Write the part of each Gaussian of a prior that does not depend on the fraction.

    A Gaussian is its level, mean and the inverse factor of its covariance, for n coordinates of
    which the last one, the logit of the fraction, is not among the d of the points, if n > d.
    """
    stride = 1 + n + n * n
    for k in range(n_prior):
        first = k * stride
        level = block[_LEVEL + k * LANES : _LEVEL + (k + 1) * LANES]
        own = block[_OFFSET + k * LANES : _OFFSET + (k + 1) * LANES]
        for i in range(LANES):
            level[i] = prior[first]
        for row in range(n):
            weights = first + 1 + n + row * n
            for i in range(LANES):
                own[i] = 0.0
            for c in range(min(row + 1, d)):
                weight, mean = prior[weights + c], prior[first + 1 + c]
                column = z[c * N_POINTS + start : c * N_POINTS + start + LANES]
                for i in range(LANES):
                    own[i] += weight * (column[i] - mean)
            if row < d:
                for i in range(LANES):
                    level[i] -= 0.5 * own[i] * own[i]
            else:
                less = prior[weights + row] * prior[first + 1 + row]
                for i in range(LANES):
                    own[i] -= less


@finite
def _copy(
    rows: tuple[int, ...],
    start: int,
    block: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    log_target, s, ss, s0, s0_square, inverse, gain, drawn = rows
    for i in range(LANES):
        work[log_target + start + i] = block[_ROW.log_target * LANES + i]
        work[s + start + i] = block[_ROW.s * LANES + i]
        work[ss + start + i] = block[_ROW.ss * LANES + i]
        work[s0 + start + i] = block[_ROW.s0 * LANES + i]
        work[s0_square + start + i] = block[_ROW.s0_square * LANES + i]
        work[inverse + start + i] = block[_ROW.inverse * LANES + i]
        work[gain + start + i] = block[_ROW.gains * LANES + i]
    for number in range(N_DRAWS):
        own = block[(_ROW.drawn + number) * LANES : (_ROW.drawn + number + 1) * LANES]
        to = work[drawn + number * N_POINTS + start : drawn + number * N_POINTS + start + LANES]
        for i in range(LANES):
            to[i] = own[i]


def evaluate(start: int, task: Task) -> None:
    """Evaluate the block of points that begins with point `start`. A template."""
    options, work, fit = task.options, task.work, task.fit
    d, n_prior = int(options[_OWN.n_free]), int(options[_OWN.n_prior])
    flat = n_prior == 0
    z = work[ROWS.z : ROWS.shape]
    block = work[ROWS.block : ROWS.block_shape]
    shapes = work[ROWS.block_shape : ROWS.block_share]
    shares = work[ROWS.block_share : ROWS.components]
    variates = int(options[_OWN.variates]) + d * N_POINTS + start
    low, high = 0.0, 0.0
    if AT.n > 1:
        low, high = fit[AT.bounds + 2], fit[AT.bounds + 3]
    last = (AT.n - 2) * LANES if AT.n > 1 else 0
    for i in range(LANES):
        block[_FACTOR + i] = block[_VALID + i] = 1.0
        block[_LOW + i], block[_HIGH + i] = low, high
        block[_ROW.shift * LANES + i] = task.table[variates + i]
        block[_ROW.draw * LANES + i] = task.table[variates + N_POINTS + i]
        shares[last + i] = 1.0
    for c in range(d):
        q = int(options[_OWN.coordinates + c])
        column = z[c * N_POINTS + start : c * N_POINTS + start + LANES]
        if q < AT.m:
            box = ROWS.box + 3 * c
            to = shapes[q * LANES : (q + 1) * LANES]
            _place(work[box], work[box + 1], work[box + 2] > 0.0, flat, column, to, block)
        else:
            k = q - AT.m
            rest, to = shares[last : last + LANES], shares[k * LANES : (k + 1) * LANES]
            _divide(AT.n - 3 - k, flat, column, rest, to, block)
    for k in range(1, AT.n - 1):
        own = shares[(k - 1) * LANES : k * LANES]
        _narrow(fit[AT.bounds + 2 + 2 * k], fit[AT.bounds + 3 + 2 * k], own, block)
    for number in range(int(options[_OPTION.pairs])):
        slow = int(options[_OPTION.pair + 3 * number]) * LANES
        fast = int(options[_OPTION.pair + 3 * number + 1]) * LANES
        _in_order(shapes[slow : slow + LANES], shapes[fast : fast + LANES], block)
    products(task.x, task.root_weight, task.signal, shapes, shares, block)
    _keep_finite(block)
    free = options[_OWN.free_fraction] > 0.0
    prior = task.table[int(options[_OWN.prior]) :]
    n_eta = d + 1 if free else d
    if not flat:
        _prior_levels(prior, n_prior, n_eta, d, start, z, block)
    noise = task.top, task.inverse, task.power
    if free:
        stride = 1 + n_eta + n_eta * n_eta
        over_fractions(AT.n - 2, noise, prior, n_prior, stride, block)
    else:
        at_one_fraction(noise, low, n_prior, block)
    rows = (
        ROWS.log_target, ROWS.s, ROWS.ss, ROWS.s0,
        ROWS.s0_square, ROWS.inverse, ROWS.gain, ROWS.drawn,
    )  # fmt: skip
    _copy(rows, start, block, work)
    for q in range(AT.m):
        for i in range(LANES):
            work[ROWS.shape + q * N_POINTS + start + i] = shapes[q * LANES + i]
    for k in range(AT.n - 1):
        for i in range(LANES):
            work[ROWS.share + k * N_POINTS + start + i] = shares[k * LANES + i]


def evaluate_all(first: int, last: int, task: Task) -> None:
    """Evaluate the points from `first` to `last`, which are ends of blocks. A template."""
    for start in range(first, last, LANES):
        evaluate(start, task)
