"""Learn a mixture of Gaussians from the likelihoods of voxels, by expectation-maximisation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.mixture import UPPER, Mixture
from ivimkit.extend.prior import MIN_PERFUSION_RATE, Likelihoods, VoxelLattices
from ivimkit.extend.prior_table import PriorTable, with_floor

__all__ = ["learned_table"]

# Share of the mass that is uniform within the bounds, for voxels unlike any other.
_UNIFORM_SHARE = 1e-4
# Standard deviations of ln D, ln D* and logit f: of the units in which the first means are spread,
# of the first Gaussians, of the broad one, and of the tissue whose covariance steadies that of a
# Gaussian as so many voxels would.
_UNITS = (0.2, 0.5, 0.5)
_FIRST_SD = (0.15, 0.5, 0.5)
_BROAD_SD = (0.6, 0.8, 1.4)
_STEADY_SD = (0.05, 0.2, 0.15)
_STEADY_VOXELS = 3.0
# Centre of the broad Gaussian: D is the median of the scan.
_BROAD_D_STAR = 0.03
_BROAD_LOGIT = -1.7
_MIN_BROAD_WEIGHT = 0.03
_FIRST_BROAD_WEIGHT = 0.03
# Voxels for each Gaussian, at least.
_VOXELS_PER_COMPONENT = 200
# Weight of a Gaussian without any voxel, in voxels.
_LEAST_VOXELS = 0.5
# Least variance along any axis of a Gaussian.
_MIN_VARIANCE = 1e-4
# Steps after which the lattices follow the posteriors.
_FOLLOW = (5, 12, 20)
# Stop after a step with a smaller gain per voxel in the logarithm of the likelihood.
_MIN_GAIN = 2e-4
# Means are spread among voxels up to this quantile of the distance to the nearest one.
_OUTER_QUANTILE = 0.98


def learned_table(
    likelihoods: Likelihoods, rule: str, *, seed: int, max_steps: int, n_components: int
) -> PriorTable:
    """Return the mixture that makes the signals of voxels most likely, as a table.

    Parameters
    ----------
    likelihoods : Likelihoods
        Of the voxels.
    rule : str
        Name of the prior that asks for it.
    seed : int
        Of the first means.
    max_steps : int
        Maximum number of steps.
    n_components : int
        Maximum number of Gaussians, of which the last one is broad.

    Returns
    -------
    PriorTable
        Its `about` has the mixture, too.
    """
    lattices = likelihoods.lattices
    mixture = _first(lattices, likelihoods.median, n_components, seed)
    before, step = -math.inf, 0
    while step < max_steps:
        sums, level = lattices.expect(mixture)
        mixture = _most_likely(mixture, sums)
        step += 1
        if step in _FOLLOW:
            # On other lattices likelihoods have other errors: there is nothing to compare.
            lattices.follow()
            before = -math.inf
            continue
        if step > _FOLLOW[-1] and level - before < _MIN_GAIN:
            break
        before = level
    about = {"voxels": lattices.n_voxels, "steps": step, "mixture": mixture.to_dict()}
    table = mixture.tabulate(likelihoods.frame, rule, about, MIN_PERFUSION_RATE)
    return with_floor(table, _UNIFORM_SHARE)


def _first(lattices: VoxelLattices, median: float, n_components: int, seed: int) -> Mixture:
    """Return Gaussians spread among the posteriors, and the broad one, the last."""
    free = np.array(lattices.free)
    points = lattices.means / _UNITS * free
    n = min(n_components - 1, max(len(points) // _VOXELS_PER_COMPONENT, 1))
    centres = points[_spread(points, n, seed)]
    nearest = np.array([((points - centre) ** 2).sum(axis=1) for centre in centres])
    group = nearest.argmin(axis=0) if n else np.zeros(0, int)
    means, weights = [], []
    for k in range(n):
        inside = lattices.means[group == k]
        means.append(inside.mean(axis=0) if len(inside) else centres[k] * _UNITS)
        weights.append((1.0 - _FIRST_BROAD_WEIGHT) * (len(inside) + _LEAST_VOXELS))
    total = sum(weights)
    broad = np.array([math.log(median), math.log(_BROAD_D_STAR), _BROAD_LOGIT]) * free
    rest = 1.0 - _FIRST_BROAD_WEIGHT if n else 0.0
    return Mixture(
        np.array([*(rest * w / total for w in weights), 1.0 - rest]),
        np.array([*means, broad]),
        np.array([_diagonal(_FIRST_SD, free)] * n + [_diagonal(_BROAD_SD, free)]),
        lattices.free,
    )


def _diagonal(sds: tuple[float, float, float], free: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.diag(np.where(free, np.square(sds), 1.0))


def _spread(points: NDArray[np.float64], n: int, seed: int) -> list[int]:
    """Return points far from each other: k-means++, outliers no farther than the rest."""
    random = np.random.default_rng(seed)
    chosen: list[int] = []
    distance = np.ones(len(points))
    for _ in range(n):
        # The cumulated distances, not a draw with probabilities: these must sum to exactly 1.
        cumulated = np.cumsum(np.minimum(distance, np.quantile(distance, _OUTER_QUANTILE)))
        drawn = int(np.searchsorted(cumulated, random.random() * cumulated[-1], side="right"))
        chosen.append(min(drawn, len(points) - 1))
        own = ((points - points[chosen[-1]]) ** 2).sum(axis=1)
        distance = own if len(chosen) == 1 else np.minimum(distance, own)
    return chosen


def _most_likely(mixture: Mixture, sums: NDArray[np.float64]) -> Mixture:
    """Return the mixture after a step: its shares, means and covariances, the broad one fixed."""
    free = np.array(mixture.free)
    counts = sums[:, 0]
    weights = (counts + _LEAST_VOXELS) / (counts + _LEAST_VOXELS).sum()
    weights[-1] = max(weights[-1], _MIN_BROAD_WEIGHT)
    weights /= weights.sum()
    means, covariances = mixture.means.copy(), mixture.covariances.copy()
    for k in range(mixture.size - 1):
        if counts[k] <= 1.0:
            continue
        means[k] = sums[k, 1:4] / counts[k]
        own = np.zeros((3, 3))
        for position, (i, j) in enumerate(UPPER, start=4):
            own[i, j] = own[j, i] = sums[k, position] / counts[k] - means[k, i] * means[k, j]
        steady = _STEADY_VOXELS * np.diag(np.square(_STEADY_SD))
        own = (counts[k] * own + steady) / (counts[k] + _STEADY_VOXELS)
        own += _MIN_VARIANCE * np.eye(3)
        both = free[:, None] & free[None, :]
        covariances[k] = np.where(both, own, np.eye(3))
    return Mixture(weights, means * free, covariances, mixture.free)
