"""Loops over voxels that learn a mixture of Gaussians from a scan and take it to its voxels.

Like the drivers of `ivimkit.engine.cpu` they hold indexing and memory, no formulas. Every voxel
reads what an earlier pass wrote and writes its own row, so that neither threads nor chunks matter.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import pasted
from ivimkit.kernels.two_decays.fitted_decays import Box, ordered
from ivimkit.kernels.two_decays.lattice.prior_knots import N_COMPONENT
from ivimkit.kernels.two_decays.mixture.components import (
    N_UNIT_SUMS,
    N_WORK,
    add_in_place,
    component_sums,
    keep_moments,
)
from ivimkit.kernels.two_decays.mixture.final import final_scratch, write_mixture_posterior
from ivimkit.kernels.two_decays.mixture.neighbours import N_LOCAL, fill_prior
from ivimkit.kernels.two_decays.mixture.scan_posteriors import (
    Lattices,
    Moments,
    Neighbourhood,
    Shared,
)
from ivimkit.kernels.two_decays.mixture.whitened import (
    N_FRACTION_NODES,
    N_ROWS,
    Place,
    explained,
    factor,
    fill_likelihood,
    likelihood_scratch,
    parameters,
    subtract_floor,
)
from ivimkit.kernels.two_decays.pools import pool_bounds
from ivimkit.kernels.voxel import Voxel

__all__ = ["expect_chunk", "final_chunk", "place_chunk", "round_chunk"]


@pasted
def _voxel_of(v: int, shared: Shared, clean: NDArray[np.float64]) -> tuple[Voxel, Box]:
    """Return voxel `v`, whose signal is to be written to `clean`, and its box of two decays."""
    row = min(v, shared.lower.shape[0] - 1)
    low, high = shared.lower[row], shared.upper[row]
    noise = shared.sigma[min(v, shared.sigma.size - 1)]
    voxel = Voxel(
        shared.x, shared.root_weight, clean, noise, low, high, low, shared.options, shared.table,
        clean,
    )  # fmt: skip
    return voxel, ordered(pool_bounds(low, high, shared.options))


def place_chunk(
    start: int,
    stop: int,
    signals: NDArray[np.float64],
    shared: Shared,
    moments: Moments,
    widened: float,
    lattices: Lattices,
) -> None:
    """Lay lattices where the posteriors of the voxels are, and fill them."""
    clean = np.zeros(signals.shape[1])
    work = np.zeros(likelihood_scratch(signals.shape[1]))
    for v in range(start, stop):
        voxel, box = _voxel_of(v, shared, clean)
        subtract_floor(voxel, signals[v - start], box, moments.mean[v], moments.s0[v])
        factor(moments.covariance[v], shared.free, widened, lattices.roots[v])
        for i in range(3):
            lattices.means[v, i] = moments.mean[v, i]
        place = Place(lattices.means[v], lattices.roots[v], shared.free)
        lattices.tops[v] = fill_likelihood(
            voxel, box, place, lattices.values[v], lattices.highest[v], work
        )


def expect_chunk(
    start: int,
    stop: int,
    free: NDArray[np.int64],
    lattices: Lattices,
    components: NDArray[np.float64],
    moments: Moments,
    sums: NDArray[np.float64],
) -> None:
    """Sum the shares of the voxels in each component, times 1, eta and eta eta'.

    The last row of `sums` receives the sum of the logarithms of the voxels' likelihoods, and the
    number of voxels. The moments of the posteriors become those under the components.
    """
    n = components.shape[0]
    unit = np.zeros((n, N_UNIT_SUMS))
    own, work = np.zeros(N_UNIT_SUMS), np.zeros(N_WORK, np.float32)
    sums[:] = 0.0
    for v in range(start, stop):
        place = Place(lattices.means[v], lattices.roots[v], free)
        everything = component_sums(
            lattices.values[v], lattices.highest[v], place, components, work, unit
        )
        if not everything > 0.0:
            continue
        volume = 1.0
        for i in range(3):
            volume *= lattices.roots[v, i, i] if free[i] > 0 else 1.0
        sums[n, 0] += math.log(everything * volume) + lattices.tops[v]
        sums[n, 1] += 1.0
        own[:] = 0.0
        for k in range(n):
            if unit[k, 0] > 0.0:
                add_in_place(place, unit[k], 1.0 / everything, sums[k])
                add_in_place(place, unit[k], 1.0 / everything, own)
        keep_moments(own, v, moments)


def round_chunk(
    start: int,
    stop: int,
    signals: NDArray[np.float64],
    shared: Shared,
    around: Neighbourhood,
    before: Moments,
    widened: float,
    after: Moments,
    local: NDArray[np.float64],
) -> None:
    """Give every voxel the posterior under a prior from its neighbours' posteriors before.

    `local`, shape (n_voxels, 2), receives the share of the posterior that comes from the
    neighbours' population, and the effective number of neighbours.
    """
    clean = np.zeros(signals.shape[1])
    n_near = around.offsets.shape[0]
    near, weights, shares = np.zeros(n_near, np.int64), np.zeros(n_near), np.zeros(n_near)
    components = np.zeros((N_LOCAL + 1 + around.components.shape[0], N_COMPONENT))
    unit, own = np.zeros((components.shape[0], N_UNIT_SUMS)), np.zeros(N_UNIT_SUMS)
    values = np.zeros((N_ROWS, N_FRACTION_NODES), np.float32)
    highest = np.zeros(N_ROWS)
    root, small = np.zeros((3, 3)), np.zeros((3, 6))
    work = np.zeros(N_WORK, np.float32)
    likely = np.zeros(likelihood_scratch(signals.shape[1]))
    for v in range(start, stop):
        if around.good[v] == 0:
            continue
        voxel, box = _voxel_of(v, shared, clean)
        first, effective = fill_prior(
            v, around, before, shared.free, near, weights, shares, small, components
        )
        subtract_floor(voxel, signals[v - start], box, before.mean[v], before.s0[v])
        factor(before.covariance[v], shared.free, widened, root)
        place = Place(before.mean[v], root, shared.free)
        fill_likelihood(voxel, box, place, values, highest, likely)
        everything = component_sums(values, highest, place, components[first:], work, unit)
        local[v, 0], local[v, 1] = 0.0, effective
        if not everything > 0.0:
            after.mean[v], after.covariance[v] = before.mean[v], before.covariance[v]
            after.s0[v] = before.s0[v]
            continue
        own[:] = 0.0
        for k in range(components.shape[0] - first):
            if unit[k, 0] > 0.0:
                add_in_place(place, unit[k], 1.0 / everything, own)
                if first == 0 and k < N_LOCAL:
                    local[v, 0] += unit[k, 0] / everything
        keep_moments(own, v, after)
        r1, r2, f = parameters(after.mean[v], box)
        after.s0[v], _ = explained(voxel, r1, r2, f)


def final_chunk(
    start: int,
    stop: int,
    signals: NDArray[np.float64],
    shared: Shared,
    around: Neighbourhood,
    before: Moments,
    out: NDArray[np.float64],
    status: NDArray[np.int64],
) -> None:
    """Write the summaries of the posteriors to the rows of `out`, and their flags to `status`."""
    clean = np.zeros(signals.shape[1])
    n_near = around.offsets.shape[0]
    near, weights, shares = np.zeros(n_near, np.int64), np.zeros(n_near), np.zeros(n_near)
    components = np.zeros((N_LOCAL + 1 + around.components.shape[0], N_COMPONENT))
    work, small = np.zeros(final_scratch(signals.shape[1])), np.zeros((3, 6))
    for v in range(start, stop):
        if around.good[v] == 0:
            continue
        voxel, box = _voxel_of(v, shared, clean)
        first, _ = fill_prior(
            v, around, before, shared.free, near, weights, shares, small, components
        )
        subtract_floor(voxel, signals[v - start], box, before.mean[v], before.s0[v])
        status[v] |= write_mixture_posterior(
            voxel, signals[v - start], box, before.mean[v],
            before.covariance[v], shared.free, components[first:], work, out[v],
        )  # fmt: skip
