"""The summary of a posterior under a mixture of Gaussians, of which the place is known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.memory import matrix
from ivimkit.kernels.two_decays.fitted_decays import Box
from ivimkit.kernels.two_decays.lattice.integrate import integrate
from ivimkit.kernels.two_decays.lattice.pairs import Likelihood, weigh_signal
from ivimkit.kernels.two_decays.lattice.posterior import (
    lattice_scratch,
    room_in,
)
from ivimkit.kernels.two_decays.lattice.prior_knots import N_COMPONENT, Prior
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    FAST_KNOT,
    FAST_PART,
    FAST_PLACE,
    FRACTION,
    FRACTION_KNOT,
    FRACTION_PART,
    FRACTION_STEP,
    LANES,
    LOGIT,
    ROW,
    SLOW_COORDINATE,
    SLOW_KNOT,
    SLOW_PART,
    SLOW_RATE,
)
from ivimkit.kernels.two_decays.lattice.variance import variance_of
from ivimkit.kernels.two_decays.lattice.write import Lattice, write_posterior
from ivimkit.kernels.two_decays.mixture.neighbours import LOG_TWO_PI, precision_of
from ivimkit.kernels.two_decays.mixture.whitened import explained
from ivimkit.kernels.voxel import Voxel
from ivimkit.status import FitStatus

__all__ = ["final_scratch", "write_mixture_posterior"]

_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
# Nodes of slow rate, fast rate and fraction.
_NODES = (12, 12, 16)
# Width of the axes, in standard deviations.
_WIDTH = 1.5
# Half the range of each coordinate, in standard deviations of the posterior.
_REACH = 5.0
# Logarithm of likelihoods by which the best fit may exceed the likelihood at the mean: what is
# relative to it must not be cut off.
_MARGIN = 4.0
_MIN_FRACTION = 1e-6
# No drop of the likelihood is negligible: the place of the lattice is known.
_ALL = 1e20
_MIN_RATE = 1e-7
# The logarithms of the slow rates take the place of their coordinates.
_LOG_RATE = SLOW_COORDINATE
_N_MARGINALS = 3


def final_scratch(n_b: int) -> int:
    """Return how many numbers of scratch `write_mixture_posterior` needs."""
    return _N_MARGINALS * ROW + 2 * N_COMPONENT + lattice_scratch(n_b, 0)


@device
def _write_marginals(
    n1: int,
    n2: int,
    n3: int,
    free: NDArray[np.int64],
    components: NDArray[np.float64],
    work: NDArray[np.float64],
    scratch: NDArray[np.float64],
    marginals: NDArray[np.float64],
) -> None:
    """Write the prior densities of D, ln D* and f alone at the nodes, one row each.

    Each node becomes a knot, as `bits_gained` reads them.
    """
    for row in range(_N_MARGINALS):
        for i in range(ROW):
            marginals[row, i] = 0.0
    n_free = free[0] + free[1] + free[2]
    for i in range(n1):
        scratch[_LOG_RATE + i] = log(max(scratch[SLOW_RATE + i], _MIN_RATE))
    for n in range(components.shape[0]):
        position = 0
        for i in range(3):
            for j in range(i, 3):
                fixed = i == j and free[i] == 0
                work[0, position] = 1.0 if fixed else components[n, 4 + position]
                position += 1
        # The inverse of the precision is the covariance.
        determinant = precision_of(work[0], work[1])
        weight = exp(components[n, 0] + 0.5 * (n_free * LOG_TWO_PI - determinant))
        for row in range(_N_MARGINALS):
            if free[row] == 0:
                continue
            variance = work[1, 0 if row == 0 else (3 if row == 1 else 5)]
            height = weight / math.sqrt(2.0 * math.pi * variance)
            places = _LOG_RATE if row == 0 else (FAST_PLACE if row == 1 else LOGIT)
            for block in range(0, n1 if row == 0 else (n2 if row == 1 else n3), LANES):
                for i in range(LANES):
                    off = scratch[places + block + i] - components[n, 1 + row]
                    marginals[row, block + i] += height * exp(-0.5 * off * off / variance)
    for i in range(ROW):
        scratch[SLOW_KNOT + i] = scratch[FAST_KNOT + i] = scratch[FRACTION_KNOT + i] = i
        scratch[SLOW_PART + i] = scratch[FAST_PART + i] = scratch[FRACTION_PART + i] = 0.0
    for i in range(n1):
        marginals[0, i] /= scratch[SLOW_RATE + i] if free[0] > 0 else 1.0
    if free[2] > 0:
        for k in range(n3):
            f = min(max(scratch[FRACTION + k], _MIN_FRACTION), 1.0 - _MIN_FRACTION)
            marginals[2, k] /= f * (1.0 - f)
            # `integrate` has made the step one of the logit.
            scratch[FRACTION_STEP + k] *= f * (1.0 - f)


@device
def write_mixture_posterior(
    voxel: Voxel,
    measured: NDArray[np.float64],
    box: Box,
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    free: NDArray[np.int64],
    components: NDArray[np.float64],
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """Write the estimates from the posterior under a mixture of Gaussians.

    Parameters
    ----------
    voxel : Voxel
        The voxel, the floor taken off its signal.
    measured : ndarray, shape (n_b,)
        The signal as it was measured.
    box : Box
        Bounds.
    mean, covariance : ndarray, shape (3,), (6,)
        Where the posterior is: moments of ln D, ln D* and logit f.
    free : ndarray of int, shape (3,)
        Which of them vary.
    components : ndarray, shape (n, N_COMPONENT)
        The prior.
    work : ndarray, shape (>= final_scratch(n_b),)
        Scratch.
    out : ndarray, shape (n_par + 2 + n_extras,)
        Receives estimates, their cost, and `ivimkit.methods.bayes.Bayes.extras`.

    Returns
    -------
    int
        0, or the flag of a voxel without signal.
    """
    b, root_weight, signal = voxel.x[0], voxel.root_weight, voxel.signal
    marginals = matrix(work, _N_MARGINALS, ROW)
    small = matrix(work[_N_MARGINALS * ROW :], 2, N_COMPONENT)
    rest = work[_N_MARGINALS * ROW + 2 * N_COMPONENT :]
    room = room_in(rest, b.size)
    low1 = high1 = r1 = box.slow_low
    low2 = high2 = log2 = log(box.fast_low)
    f_low = f_high = f = box.f_low
    sd1 = sd2 = sd3 = math.inf
    if free[0] > 0:
        sd = math.sqrt(covariance[0])
        r1 = min(max(exp(mean[0]), box.slow_low), box.slow_high)
        low1 = max(exp(mean[0] - _REACH * sd), box.slow_low)
        high1 = min(exp(mean[0] + _REACH * sd), box.slow_high)
        sd1 = r1 * sd
    if free[1] > 0:
        sd2 = math.sqrt(covariance[3])
        low, high = log(box.fast_low), log(box.fast_high)
        log2 = min(max(mean[1], low), high)
        low2, high2 = max(mean[1] - _REACH * sd2, low), min(mean[1] + _REACH * sd2, high)
    if free[2] > 0:
        sd = math.sqrt(covariance[5])
        f = 1.0 / (1.0 + exp(-mean[2]))
        sd3 = f * (1.0 - f) * sd
        f_low = max(1.0 / (1.0 + exp(_REACH * sd - mean[2])), box.f_low)
        f_high = min(1.0 / (1.0 + exp(-_REACH * sd - mean[2])), box.f_high)
    if not (low1 <= high1 and low2 <= high2 and f_low <= f_high):
        return _NO_SIGNAL
    r2 = exp(log2) if free[1] > 0 else box.fast_low
    norm = 0.0
    for j in range(b.size):
        norm += (root_weight[j] * signal[j]) ** 2
    if not norm > 0.0:
        return _NO_SIGNAL
    s0, top = explained(voxel, r1, r2, f)
    first = variance_of(voxel.sigma, norm, norm - top, voxel.options)
    # Likelihoods are relative to one that none exceeds.
    if first.power > 0.0:
        top += (norm - top) * (1.0 - exp(-_MARGIN / first.power))
    noise = variance_of(voxel.sigma, norm, norm - top, voxel.options)
    empty = marginals[0, :0]
    prior = Prior(
        empty, empty, empty, marginals[0], marginals[1], marginals[2],
        matrix(empty, 0, 1), components,
    )  # fmt: skip
    unit = math.sqrt(norm)
    weigh_signal(root_weight, signal, unit, room.decays)
    likelihood = Likelihood(top / norm, noise.inverse * norm, noise.power, _ALL)
    look = (low1, high1, low2, high2, f_low, f_high)
    axis1, axis2, axis3, found = integrate(
        b, likelihood, _NODES, (r1, log2, f),
        (_WIDTH * sd1, _WIDTH * sd2, _WIDTH * sd3), s0 / unit, look, prior, False,
        matrix(empty, 0, 1), look, room,
    )  # fmt: skip
    if not found.total > 0.0:
        return _NO_SIGNAL
    n1 = _NODES[0] if low1 < high1 else 1
    n2 = _NODES[1] if low2 < high2 else 1
    _write_marginals(n1, n2, _NODES[2], free, components, small, room.rows, marginals)
    lattice = Lattice(axis1, axis2, axis3, _NODES)
    write_posterior(
        voxel,
        measured,
        (r1, r2, f),
        unit,
        likelihood,
        noise,
        prior,
        lattice,
        found,
        room.rows,
        out,
    )
    return 0
