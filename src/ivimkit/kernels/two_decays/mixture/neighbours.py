"""The population around a voxel: two Gaussians fitted to the posteriors of its neighbours."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.two_decays.lattice.prior_knots import N_COMPONENT
from ivimkit.kernels.two_decays.mixture.scan_posteriors import Moments, Neighbourhood

__all__ = ["LOG_TWO_PI", "N_LOCAL", "fill_prior", "local_population", "precision_of"]

LOG_TWO_PI = math.log(2.0 * math.pi)
N_LOCAL = 2
"""Gaussians of a local population."""
# Steps of expectation-maximisation for them.
_STEPS = 4
# Voxels that the covariance inside a tissue of the whole scan counts for.
_PRIOR_VOXELS = 2.0
# Least standard deviation of ln D, ln D* and logit f that neighbours can show.
_LEAST = (0.01, 0.03, 0.02)
# Steepness of the first division of the neighbours along the direction in which they differ most.
_STEEP = 3.0
_MAX_ODDS = 30.0
_POWER_STEPS = 6


@device
def precision_of(covariance: NDArray[np.float64], out: NDArray[np.float64]) -> float:
    """Write the inverse of a covariance to out[:6]; return the logarithm of its determinant.

    Both are the upper triangle, row by row.
    """
    a, b, c = covariance[0], covariance[1], covariance[2]
    d, e, f = covariance[3], covariance[4], covariance[5]
    m0, m1, m2 = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * m0 + b * m1 + c * m2
    out[0], out[1], out[2] = m0 / determinant, m1 / determinant, m2 / determinant
    out[3], out[4] = (a * f - c * c) / determinant, (b * c - a * e) / determinant
    out[5] = (a * d - b * b) / determinant
    return log(determinant)


@device
def _square(a: float, b: float, c: float, matrix: NDArray[np.float64]) -> float:
    """Return d' P d with d = (a, b, c) and the upper triangle of P."""
    square: float = (
        a * (matrix[0] * a + 2.0 * (matrix[1] * b + matrix[2] * c))
        + b * (matrix[3] * b + 2.0 * matrix[4] * c)
        + matrix[5] * c * c
    )
    return square


@device
def _first_division(
    near: NDArray[np.int64],
    n: int,
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
    inside: NDArray[np.float64],
    shares: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Divide the neighbours along the direction in which they differ most from the noise.

    It is the leading eigenvector of V^-1 S, with the scatter S of their means and the mean V of
    their covariances plus that inside a tissue, by power iteration.
    """
    # Rows of work: 0 scatter, 1 noise, 2 its inverse.
    centre0 = centre1 = centre2 = total = 0.0
    for k in range(n):
        u, w = near[k], weights[k]
        total += w
        centre0 += w * means[u, 0]
        centre1 += w * means[u, 1]
        centre2 += w * means[u, 2]
    centre0, centre1, centre2 = centre0 / total, centre1 / total, centre2 / total
    for k in range(6):
        work[0, k] = 0.0
        work[1, k] = inside[k]
    for k in range(n):
        u, w = near[k], weights[k] / total
        a, b, c = means[u, 0] - centre0, means[u, 1] - centre1, means[u, 2] - centre2
        work[0, 0] += w * a * a
        work[0, 1] += w * a * b
        work[0, 2] += w * a * c
        work[0, 3] += w * b * b
        work[0, 4] += w * b * c
        work[0, 5] += w * c * c
        for m in range(6):
            work[1, m] += w * covariances[u, m]
    precision_of(work[1], work[2])
    x, y, z = 1.0, 1.0, 1.0
    for _ in range(_POWER_STEPS):
        a = work[0, 0] * x + work[0, 1] * y + work[0, 2] * z
        b = work[0, 1] * x + work[0, 3] * y + work[0, 4] * z
        c = work[0, 2] * x + work[0, 4] * y + work[0, 5] * z
        x = work[2, 0] * a + work[2, 1] * b + work[2, 2] * c
        y = work[2, 1] * a + work[2, 3] * b + work[2, 4] * c
        z = work[2, 2] * a + work[2, 4] * b + work[2, 5] * c
        # Length 1 in units of the noise: (x, y, z) V (x, y, z)' = 1.
        length = math.sqrt(max(_square(x, y, z, work[1]), 1e-300))
        x, y, z = x / length, y / length, z / length
    for k in range(n):
        u = near[k]
        distance = (
            x * (means[u, 0] - centre0) + y * (means[u, 1] - centre1) + z * (means[u, 2] - centre2)
        )
        odds = min(max(_STEEP * distance, -_MAX_ODDS), _MAX_ODDS)
        shares[k] = 1.0 / (1.0 + exp(-odds))


@device
def local_population(
    near: NDArray[np.int64],
    n: int,
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
    inside: NDArray[np.float64],
    free: NDArray[np.int64],
    shares: NDArray[np.float64],
    work: NDArray[np.float64],
    components: NDArray[np.float64],
) -> float:
    """Fit two Gaussians to the neighbours' posteriors by expectation-maximisation.

    What is fitted is the population that the neighbours were drawn from, not the scatter of their
    estimates: a posterior adds its covariance, so noise does not look like tissue that varies. The
    covariances are steadied by that inside a tissue of the whole scan, and widened because the
    means are uncertain.

    Parameters
    ----------
    near : ndarray of int, shape (>= n,)
        Positions of the neighbours.
    n : int
        Their number, above 0.
    weights : ndarray, shape (>= n,)
        Their weights.
    means, covariances : ndarray, shape (n_voxels, 3), (n_voxels, 6)
        Posteriors of all voxels; covariances as upper triangles.
    inside : ndarray, shape (6,)
        Covariance inside a tissue.
    free : ndarray of int, shape (3,)
        Which coordinates vary.
    shares, work : ndarray, shape (>= n,), (3, 6)
        Scratch.
    components : ndarray, shape (N_LOCAL, N_COMPONENT)
        Receives the Gaussians, with weights of the sum 1.

    Returns
    -------
    float
        Effective number of neighbours, (sum w)^2 / sum w^2.
    """
    _first_division(near, n, weights, means, covariances, inside, shares, work)
    total = square = 0.0
    for k in range(n):
        total += weights[k]
        square += weights[k] * weights[k]
    effective = total * total / square
    for step in range(_STEPS):
        for g in range(N_LOCAL):
            mass = 1e-9
            x = y = z = 0.0
            for k in range(n):
                w = weights[k] * (shares[k] if g == 0 else 1.0 - shares[k])
                u = near[k]
                mass += w
                x += w * means[u, 0]
                y += w * means[u, 1]
                z += w * means[u, 2]
            x, y, z = x / mass, y / mass, z / mass
            for m in range(6):
                work[0, m] = 0.0
            for k in range(n):
                w = weights[k] * (shares[k] if g == 0 else 1.0 - shares[k]) / mass
                u = near[k]
                a, b, c = means[u, 0] - x, means[u, 1] - y, means[u, 2] - z
                work[0, 0] += w * (a * a + covariances[u, 0])
                work[0, 1] += w * (a * b + covariances[u, 1])
                work[0, 2] += w * (a * c + covariances[u, 2])
                work[0, 3] += w * (b * b + covariances[u, 3])
                work[0, 4] += w * (b * c + covariances[u, 4])
                work[0, 5] += w * (c * c + covariances[u, 5])
            count = mass / total * effective
            for m in range(6):
                steadied = count * work[0, m] + _PRIOR_VOXELS * inside[m]
                work[0, m] = steadied / (count + _PRIOR_VOXELS) * (1.0 + 1.0 / max(count, 1.0))
            work[0, 0] += _LEAST[0] * _LEAST[0]
            work[0, 3] += _LEAST[1] * _LEAST[1]
            work[0, 5] += _LEAST[2] * _LEAST[2]
            determinant = precision_of(work[0], work[1])
            share = (count + 0.5) / (effective + 1.0)
            components[g, 0] = log(share) - 0.5 * determinant
            components[g, 1], components[g, 2], components[g, 3] = x, y, z
            for m in range(6):
                components[g, 4 + m] = work[1, m]
        if step == _STEPS - 1:
            break
        for k in range(n):
            u = near[k]
            odds = components[0, 0] - components[1, 0]
            for g in range(N_LOCAL):
                a = means[u, 0] - components[g, 1]
                b = means[u, 1] - components[g, 2]
                c = means[u, 2] - components[g, 3]
                side = 0.5 * _square(a, b, c, components[g, 4:])
                odds += side if g == 1 else -side
            shares[k] = 1.0 / (1.0 + exp(-min(max(odds, -_MAX_ODDS), _MAX_ODDS)))
    # A coordinate that does not vary has no density.
    position = 4
    for i in range(3):
        for j in range(i, 3):
            if free[i] == 0 or free[j] == 0:
                for g in range(N_LOCAL):
                    components[g, position] = 0.0
            position += 1
    return effective


@device
def _gather(
    v: int, around: Neighbourhood, near: NDArray[np.int64], weights: NDArray[np.float64]
) -> int:
    """Write the neighbours of a voxel and their weights; return their number."""
    n = 0
    n_x, n_y, n_z = around.positions.shape
    for k in range(around.offsets.shape[0]):
        x = around.indices[v, 0] + around.offsets[k, 0]
        y = around.indices[v, 1] + around.offsets[k, 1]
        z = around.indices[v, 2] + around.offsets[k, 2]
        if 0 <= x < n_x and 0 <= y < n_y and 0 <= z < n_z:
            u = around.positions[x, y, z]
            if u >= 0 and around.good[u] > 0:
                near[n] = u
                weights[n] = around.weights[k]
                n += 1
    return n


@device
def fill_prior(
    v: int,
    around: Neighbourhood,
    before: Moments,
    free: NDArray[np.int64],
    near: NDArray[np.int64],
    weights: NDArray[np.float64],
    shares: NDArray[np.float64],
    work: NDArray[np.float64],
    components: NDArray[np.float64],
) -> tuple[int, float]:
    """Write the prior of a voxel: its neighbours' population, the scan's, and a broad one.

    Parameters
    ----------
    v : int
        The voxel.
    around : Neighbourhood
        Neighbours and scan.
    before : Moments
        Posteriors of all voxels.
    free : ndarray of int, shape (3,)
        Which coordinates vary.
    near, weights, shares, work : ndarray
        Scratch of `local_population`.
    components : ndarray, shape (N_LOCAL + 1 + n, N_COMPONENT)
        Receives the prior.

    Returns
    -------
    tuple
        The first component that counts: without neighbours that of the scan; and the effective
        number of neighbours.
    """
    n = _gather(v, around, near, weights)
    n_scan = around.components.shape[0]
    alone = n == 0
    for k in range(n_scan):
        for m in range(N_COMPONENT):
            components[N_LOCAL + 1 + k, m] = around.components[k, m]
        components[N_LOCAL + 1 + k, 0] += 0.0 if alone else log(around.shares[1])
    if alone:
        return N_LOCAL + 1, 0.0
    for m in range(N_COMPONENT):
        components[N_LOCAL, m] = around.broad[m]
    components[N_LOCAL, 0] += log(around.shares[2])
    effective = local_population(
        near, n, weights, before.mean, before.covariance, around.inside, free, shares, work,
        components,
    )  # fmt: skip
    n_free = free[0] + free[1] + free[2]
    for g in range(N_LOCAL):
        components[g, 0] += log(around.shares[0]) - 0.5 * n_free * LOG_TWO_PI
    return 0, effective
