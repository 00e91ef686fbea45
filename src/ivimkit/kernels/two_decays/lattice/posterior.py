"""The posterior of one voxel: locate it, integrate it, write its summary."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined, pasted
from ivimkit.kernels.exponential import log
from ivimkit.kernels.memory import in_single, matrix, padded, padded_in_kernel
from ivimkit.kernels.two_decays.fitted_decays import Box, Fit
from ivimkit.kernels.two_decays.lattice.integrate import integrate
from ivimkit.kernels.two_decays.lattice.lattice_options import WRITES_BASIS, WRITES_MOMENTS
from ivimkit.kernels.two_decays.lattice.locate import (
    N_COARSE_NODES,
    Region,
    curvature,
    locate,
)
from ivimkit.kernels.two_decays.lattice.pairs import Likelihood, weigh_signal
from ivimkit.kernels.two_decays.lattice.prior_knots import read_prior
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    N_DECAY_COLUMNS,
    N_NUMBERS,
    ROW,
    Room,
)
from ivimkit.kernels.two_decays.lattice.single_rows import COLUMN
from ivimkit.kernels.two_decays.lattice.sums import write_log_moments
from ivimkit.kernels.two_decays.lattice.variance import variance_of
from ivimkit.kernels.two_decays.lattice.write import Lattice, write_posterior
from ivimkit.kernels.two_decays.option_positions import DEGREES, FAST, FRACTION, SLOW
from ivimkit.kernels.voxel import Voxel
from ivimkit.status import FitStatus

__all__ = ["lattice_scratch", "posterior_voxel", "room_in"]

# A flag of FitStatus, which is in a layer without numba.
_NO_SIGNAL = int(FitStatus.NO_SIGNAL)
# Nodes of slow rate, fast rate and fraction where the best fit is a good guide; where a long tail
# is possible, and where the fast rate has a wide range.
_CLEAR_NODES = (12, 12, 16)
_UNCLEAR_NODES = (12, 16, 16)
_WIDE_NODES = (20, 24, 16)
# Without a prior the tails where f is 0 or 1 have a share of the posterior.
_FLAT_WIDE_NODES = (20, 32, 16)
_FULL_NODES = (32, 32, 32)
# Length of a wide range of the logarithm of the fast rate.
_WIDE_RANGE = 2.5
# Width of the axes in those of the peak: the nodes are nearly even inside it. Where the range is
# wide, the peak is only part of what counts.
_WIDTH = 1.5
_WIDE_WIDTH = 1.0
# Half sides of the first box, in units of where the parabola at the best fit reaches the limit.
_CLEAR_REACH = 1.5
_UNCLEAR_REACH = 4.0
# Squared amplitude over its variance above which that parabola is a good approximation.
_MIN_CLEAR_DETECTABILITY = 60.0


def lattice_scratch(n_b: int, n_fraction_knots: int) -> int:
    """Return how many numbers of scratch a lattice takes."""
    single = (COLUMN + max(n_fraction_knots + 1, ROW)) // 2 + 1
    return N_NUMBERS + padded(n_b) * N_DECAY_COLUMNS + single


@pasted
def room_in(work: NDArray[np.float64], n_b: int) -> Room:
    """Return the scratch of a lattice, cut out of a flat array of `lattice_scratch` numbers."""
    # Loops take several b-values at a time; on a GPU there may be any number of them.
    n_rows = padded_in_kernel(n_b)
    end = N_NUMBERS + n_rows * N_DECAY_COLUMNS
    decays = matrix(work[N_NUMBERS:end], n_rows, N_DECAY_COLUMNS)
    return Room(work[:N_NUMBERS], decays, in_single(work[end:]))


@inlined
def _around(
    region: Region,
    best: tuple[float, float, float],
    spread: tuple[float, float, float],
    flat: bool,
) -> tuple[tuple[int, int, int], tuple[float, float, float], tuple[float, float, float]]:
    """Return numbers of nodes, centres and widths of the axes on a region.

    A peak that is narrower than the steps of the coarse lattice is described by the curvature at
    the best fit alone.
    """
    side1, side2 = region.high1 - region.low1, region.high2 - region.low2
    seen1 = spread[0] > 0.5 * side1 / N_COARSE_NODES and region.width1 < math.inf
    seen2 = spread[1] > 0.5 * side2 / N_COARSE_NODES and region.width2 < math.inf
    wide = side2 > _WIDE_RANGE
    width = _WIDE_WIDTH if wide else _WIDTH
    wide_nodes = _FLAT_WIDE_NODES if flat else _WIDE_NODES
    return (
        wide_nodes if wide else _UNCLEAR_NODES,
        (region.centre1 if seen1 else best[0], region.centre2 if seen2 else best[1], best[2]),
        (
            width * region.width1 if seen1 else spread[0],
            width * region.width2 if seen2 else spread[1],
            math.inf,
        ),
    )


@device
def posterior_voxel(
    voxel: Voxel,
    measured: NDArray[np.float64],
    fit: Fit,
    box: Box,
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """Replace the best fit in `out` by the estimates from the posterior.

    Parameters
    ----------
    voxel : Voxel
        The voxel, with a dictionary as its table, and options as in
        `ivimkit.kernels.two_decays.lattice.lattice_options`.
    measured : ndarray, shape (n_b,)
        The signal before the noise floor was subtracted.
    fit : Fit
        The best fit.
    box : Box
        Bounds.
    work : ndarray, shape (>= lattice_scratch(...),)
        Scratch; not that of the voxel.
    out : ndarray, shape (n_par + 2 + n_extras,)
        Contains the parameters of the best fit and its cost; receives the estimates, their cost
        and number of lattices, and `ivimkit.methods.bayes.Bayes.extras`; or, if the options ask
        for it, instead of the extras the integrals of the likelihood with each knot's function, or
        the moments of `write_log_moments`.

    Returns
    -------
    int
        0, or the flag of a voxel without signal: S0 is not above 0 anywhere around the best fit.
    """
    b, root_weight, signal, table = voxel.x[0], voxel.root_weight, voxel.signal, voxel.table
    options, n_par = voxel.options, voxel.lower.size
    prior = read_prior(options)
    knots1, knots2 = prior.slow_knots, prior.fast_knots
    n1, n2, n3 = knots1.size, knots2.size, prior.fraction_knots.size
    room = room_in(work, b.size)
    basis_size = n1 * n2 * n3 if options[WRITES_BASIS] > 0.0 else 0
    first = n_par + 2
    basis = matrix(out[first : first + basis_size], basis_size // n3, n3)
    logarithms = options[WRITES_MOMENTS] > 0.0

    i_f, i_fast, i_slow = int(options[FRACTION]), int(options[FAST]), int(options[SLOW])
    best1 = out[i_slow]
    best2 = out[i_fast] if i_fast >= 0 else box.fast_low
    norm = 0.0
    for j in range(b.size):
        norm += (root_weight[j] * signal[j]) ** 2
    if not norm > 0.0:
        return _NO_SIGNAL
    cost = out[n_par]
    top = norm - cost
    sigma2 = variance_of(voxel.sigma, norm, cost, options)
    variance, inverse, power, residual, limit = sigma2
    f_low, f_high = box.f_low, box.f_high
    extent = (
        max(box.slow_low, knots1[0]) if n1 > 1 else box.slow_low,
        min(box.slow_high, knots1[n1 - 1]) if n1 > 1 else box.slow_high,
        max(log(box.fast_low), knots2[0]) if n2 > 1 else log(box.fast_low),
        min(log(box.fast_high), knots2[n2 - 1]) if n2 > 1 else log(box.fast_high),
        f_low,
        f_high,
    )
    f = out[i_f] if i_f >= 0 else 0.0
    log2 = log(best2)
    judged = variance if variance > 0.0 else cost / max(options[DEGREES], 1.0)
    clear = min(fit.slow_seen, fit.fast_seen) > _MIN_CLEAR_DETECTABILITY * judged
    noise = math.sqrt(variance if variance > 0.0 else 0.5 * residual / power)
    sd1, sd2, sd_f = curvature((best1, best2, fit.slow_amplitude, fit.fast_amplitude), table)
    # From here on the signal has the norm 1.
    unit = math.sqrt(norm)
    weigh_signal(root_weight, signal, unit, room.decays)
    likelihood = Likelihood(top / norm, inverse * norm, power, (top - limit) * inverse)
    s0 = (fit.slow_amplitude + fit.fast_amplitude) / unit
    # With a parabola of the width sd for a noise variance of 1, the gain falls by (distance /
    # sd)^2.
    reach = math.sqrt(top - limit)
    near1, near2 = _CLEAR_REACH * reach * sd1, _CLEAR_REACH * reach * sd2
    look = (
        max(best1 - near1, extent[0]), min(best1 + near1, extent[1]),
        max(log2 - near2, extent[2]), min(log2 + near2, extent[3]), f_low, f_high,
    )  # fmt: skip
    centre = (best1, log2, f)
    peak = (_WIDTH * noise * sd1, _WIDTH * noise * sd2, _WIDTH * noise * sd_f)
    nodes = _CLEAR_NODES
    levels = 1
    clear = clear and look[0] < look[1] and 0.0 < look[3] - look[2] <= _WIDE_RANGE
    # A large function is compiled for each place that calls it: here is the only one.
    while True:
        if not clear:
            far1, far2 = _UNCLEAR_REACH * reach * sd1, _UNCLEAR_REACH * reach * sd2
            region = locate(b, best1, best2, far1, far2, likelihood, extent, room)
            levels += region.levels
            look = (region.low1, region.high1, region.low2, region.high2, f_low, f_high)
            nodes, centre, peak = _around(region, centre, peak, prior.density.size == 0)
        for i in range(basis.shape[0]):
            for k in range(n3):
                basis[i, k] = 0.0
        if basis_size > 0:
            # Between two knots there are several nodes.
            nodes = _FULL_NODES
        # A box from the best fit alone may be too small.
        ends = extent if clear else look
        axis1, axis2, axis3, found = integrate(
            b, likelihood, nodes, centre, peak, s0, look, prior, logarithms, basis, ends, room
        )
        if not found.total < 0.0:
            break
        clear = False
    out[n_par + 1] = levels
    if not found.total > 0.0:
        return _NO_SIGNAL
    if basis_size > 0:
        for i in range(basis.shape[0]):
            for k in range(n3):
                basis[i, k] /= found.total
        return 0
    if logarithms:
        write_log_moments(found, unit, out[first:])
        return 0
    lattice = Lattice(axis1, axis2, axis3, nodes)
    write_posterior(
        voxel, measured, (best1, best2, f), unit, likelihood, sigma2, prior, lattice, found,
        room.rows, out,
    )  # fmt: skip
    return 0
