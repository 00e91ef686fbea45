"""Sums over lattices against the same sums written out in NumPy."""

import itertools

import numpy as np
import pytest

from ivimkit.engine.bind import bind
from ivimkit.engine.mixture_loops import expect_chunk
from ivimkit.extend.mixture import Mixture
from ivimkit.kernels.two_decays.mixture.scan_posteriors import Lattices, Moments
from ivimkit.kernels.two_decays.mixture.whitened import (
    IMPOSSIBLE,
    N_FAST_NODES,
    N_FRACTION_NODES,
    N_SLOW_NODES,
    REACH,
)

# Relative to the largest entry: the nodes are in single precision, and rows are left out whose
# share of the whole is below exp(-16).
SAME_SUMS = 1e-6
CENTRE = np.array([-6.8, -3.5, -1.0])
WIDE = 8.0  # Standard deviations, far above those of the Gaussians.


def nodes(n):
    return REACH * ((2.0 * np.arange(n) + 1.0) / n - 1.0)


def made(seed, free, width):
    """One voxel with an odd likelihood, and a mixture of four Gaussians around it."""
    rng = np.random.default_rng(seed)
    free = np.array(free)
    shape = (N_SLOW_NODES * N_FAST_NODES, N_FRACTION_NODES)
    values = rng.uniform(0.0, 1.0, shape) * (rng.uniform(size=shape) > 0.1)
    highest = np.where(rng.uniform(size=shape[0]) > 0.1, 0.0, IMPOSSIBLE)
    root = np.tril(rng.normal(0.0, 0.3, (3, 3)) + np.eye(3)) * (0.1 * width)
    root *= np.outer(free, free)
    factors = rng.normal(0.0, 0.2, (4, 3, 3)) + 0.4 * np.eye(3)
    covariances = np.where(np.outer(free, free), factors @ factors.swapaxes(1, 2), np.eye(3))
    means = (CENTRE + rng.normal(0.0, 0.2, (4, 3))) * free
    mixture = Mixture(rng.dirichlet(np.ones(4)), means, covariances, tuple(free.tolist()))
    lattices = Lattices(
        values[None].astype(np.float32),
        highest[None],
        np.zeros(1),
        (CENTRE * free)[None],
        root[None],
    )
    return lattices, mixture, free.astype(np.int64)


def summed(lattices, mixture, free):
    """The sums of 1, eta and eta eta' for each Gaussian, one node after the other."""
    counts = [n if f else 1 for n, f in zip((N_SLOW_NODES, N_FAST_NODES), free, strict=True)] + [
        N_FRACTION_NODES
    ]
    axes = [nodes(n) if n > 1 else np.zeros(1) for n in counts]
    found = np.zeros((mixture.size, 10))
    for i, j, k in itertools.product(*map(range, counts)):
        row = i * N_FAST_NODES + j
        if lattices.highest[0, row] == IMPOSSIBLE:
            continue
        u = np.array([axes[0][i], axes[1][j], axes[2][k]])
        eta = lattices.means[0] + lattices.roots[0] @ u
        products = [eta[a] * eta[b] for a in range(3) for b in range(a, 3)]
        off = eta - mixture.means
        precision = np.linalg.inv(mixture.covariances)
        exponent = -0.5 * np.einsum("ni,nij,nj->n", off, precision, off)
        dimensions = sum(free)
        height = mixture.weights / np.sqrt(
            (2.0 * np.pi) ** dimensions * np.linalg.det(mixture.covariances)
        )
        weight = height * np.exp(exponent) * lattices.values[0, row, k]
        found += weight[:, None] * np.array([1.0, *eta, *products])
    return found / found[:, 0].sum()


@pytest.mark.parametrize(
    ("free", "width"),
    [
        ((True, True, True), 1.0),
        ((True, True, True), WIDE),
        ((False, True, True), 1.0),
        ((True, False, True), 1.0),
        ((True, True, False), 1.0),
        ((True, False, False), 1.0),
    ],
    ids=["free", "wide", "D fixed", "D* fixed", "f fixed", "one decay"],
)
def test_sums_are_those_of_every_node(free, width):
    lattices, mixture, flags = made(3, free, width)
    sums = np.zeros((mixture.size + 1, 10))
    moments = Moments(np.zeros((1, 3)), np.zeros((1, 6)), np.zeros(1))
    bind(expect_chunk)(0, 1, flags, lattices, mixture.components(), moments, sums)
    expected = summed(lattices, mixture, free[:2])
    for one, other in zip(sums[:-1], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.0, atol=SAME_SUMS * np.abs(expected).max())
    np.testing.assert_allclose(
        moments.mean[0], expected[:, 1:4].sum(axis=0), rtol=SAME_SUMS, atol=1e-12
    )
