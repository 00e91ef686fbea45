"""Learn a mixture of Gaussians of the coordinates of a model from samples of posteriors.

A voxel's posterior is sampled under a prior p. Under another prior q its evidence is larger by the
factor mean(q / p) over the samples, and their weights are proportional to q / p. So the mixture
that makes the signals most likely is found by expectation-maximisation over all samples, and they
are drawn anew under it, a few times: the further q is from p, the fewer samples count.
"""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.model_prior import Coordinate, ModelPrior, coordinates_of
from ivimkit.extend.prior import ModelPosteriors
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.posterior.point_rows import MAX_PRIOR_COMPONENTS

__all__ = ["learned_prior"]

# Rounds of drawing samples.
_ROUNDS = 4
# Voxels for each Gaussian, at least, and weight of one without any, in voxels.
_VOXELS_PER_COMPONENT = 150
_LEAST_VOXELS = 0.5
# The broad Gaussian keeps this share; its standard deviations are as wide as the usual range of a
# parameter, but not narrower than this.
_BROAD_SHARE = 0.03
_MIN_BROAD_SD = 0.1
# Variance, in logits, that steadies that of a Gaussian as so many voxels would.
_STEADY_VARIANCE, _STEADY_VOXELS = 0.05**2, 3.0
_MIN_VARIANCE = 1e-4
# Places between bounds beyond which a usual value does not count.
_MIN_PLACE = 0.02
# Stop the steps of a round after a smaller gain per voxel in the logarithm of the likelihood.
_MIN_GAIN = 2e-4


def learned_prior(
    model: SignalModel,
    posteriors: ModelPosteriors,
    rule: str,
    *,
    seed: int,
    max_steps: int,
    n_components: int,
) -> ModelPrior:
    """Return the mixture that makes the signals of voxels most likely.

    Parameters
    ----------
    model : SignalModel
        The model.
    posteriors : ModelPosteriors
        Of the voxels.
    rule : str
        Name of the prior that asks for it.
    seed : int
        Of the first means.
    max_steps : int
        Maximum number of steps of all rounds.
    n_components : int
        Maximum number of Gaussians, of which the last one is broad.
    """
    coordinates = coordinates_of(model)
    prior = broad_prior(model, rule)
    n_own = min(n_components - 1, MAX_PRIOR_COMPONENTS - 1)
    n_own = max(min(n_own, posteriors.n_voxels // _VOXELS_PER_COMPONENT), 1)
    first = prior
    steps = 0
    for number in range(_ROUNDS):
        samples = posteriors.draw(prior)
        features = _features(samples)
        drawn_under = _densities(prior, features).sum(axis=0)
        if number == 0:
            prior = _spread(first, samples, n_own, seed)
        before = -math.inf
        for _ in range(max(max_steps // _ROUNDS, 1)):
            prior, level = _step(prior, first, features, drawn_under, len(samples))
            steps += 1
            if level - before < _MIN_GAIN:
                break
            before = level
    about = {"voxels": posteriors.n_voxels, "steps": steps}
    return ModelPrior(
        model.name, rule, coordinates, prior.weights, prior.means, prior.covariances, about
    )


def broad_prior(model: SignalModel, rule: str = "broad") -> ModelPrior:
    """Return one Gaussian around the usual values of a model, as wide as their range."""
    coordinates = coordinates_of(model)
    usual = [_usual(model, c) for c in coordinates]
    mean = np.array([sum(pair) / 2.0 for pair in usual])
    sd = np.array([max(abs(high - low), _MIN_BROAD_SD) for low, high in usual])
    return ModelPrior(model.name, rule, coordinates, np.ones(1), mean[None], np.diag(sd**2)[None])


def _usual(model: SignalModel, coordinate: Coordinate) -> tuple[float, float]:
    """Return the logits of the ends of the usual range of a parameter."""
    ends = np.array(model[coordinate.name].usual, dtype=np.float64)
    low, high = (0.0, 1.0) if coordinate.share else (coordinate.lower, coordinate.upper)
    if coordinate.logarithmic:
        ends, low, high = np.log(np.maximum(ends, low)), math.log(low), math.log(high)
    place = np.clip((ends - low) / (high - low), _MIN_PLACE, 1.0 - _MIN_PLACE)
    one, two = np.log(place / (1.0 - place))
    return float(one), float(two)


def _features(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1, the coordinates and their products, shape (n_features, n_voxels * n_samples)."""
    flat = samples.reshape(-1, samples.shape[2]).T
    rows = [np.ones(flat.shape[1]), *flat]
    rows += [flat[i] * flat[k] for i, k in combinations_with_replacement(range(len(flat)), 2)]
    return np.array(rows)


def _densities(prior: ModelPrior, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weight times density of each Gaussian at samples, shape (n, n_samples of all).

    Without a library of linear algebra, whose last digits differ between machines.
    """
    d = prior.means.shape[1]
    found = np.empty((prior.weights.size, features.shape[1]))
    for k, (weight, mean, covariance) in enumerate(
        zip(prior.weights, prior.means, prior.covariances, strict=True)
    ):
        precision = np.linalg.inv(covariance)
        level = math.log(max(weight, 1e-300)) - 0.5 * float(np.linalg.slogdet(covariance)[1])
        level -= 0.5 * (d * math.log(2.0 * math.pi) + float(mean @ precision @ mean))
        pairs = combinations_with_replacement(range(d), 2)
        bends = [-precision[i, j] * (0.5 if i == j else 1.0) for i, j in pairs]
        weights = np.array([level, *(precision @ mean), *bends])
        found[k] = np.exp(np.einsum("i,ij->j", weights, features))
    return found


def _spread(broad: ModelPrior, samples: NDArray[np.float64], n: int, seed: int) -> ModelPrior:
    """Return Gaussians around voxels that are far from each other, and the broad one."""
    centres = samples.mean(axis=1)
    # With the spread of each posterior: a Gaussian becomes narrower more quickly than wider.
    scale = samples.std(axis=(0, 1)) + 0.1
    random = np.random.default_rng(seed)
    chosen = [int(np.argmin(np.square((centres - np.median(centres, axis=0)) / scale).sum(1)))]
    for _ in range(n - 1):
        apart = np.min(
            [np.square((centres - centres[i]) / scale).sum(axis=1) for i in chosen], axis=0
        )
        total = apart.sum()
        if not total > 0.0:
            break
        chosen.append(int(random.choice(len(centres), p=apart / total)))
    n = len(chosen)
    covariance = np.diag(scale**2 / n ** (2.0 / scale.size) + _MIN_VARIANCE)
    weights = np.append(np.full(n, (1.0 - _BROAD_SHARE) / n), _BROAD_SHARE)
    means = np.concatenate([centres[chosen], broad.means])
    covariances = np.concatenate([np.repeat(covariance[None], n, axis=0), broad.covariances])
    return ModelPrior(broad.model, broad.rule, broad.coordinates, weights, means, covariances)


def _step(
    prior: ModelPrior,
    broad: ModelPrior,
    features: NDArray[np.float64],
    drawn_under: NDArray[np.float64],
    n_voxels: int,
) -> tuple[ModelPrior, float]:
    """Return the mixture after a step, and the mean log-likelihood per voxel before it."""
    ratio = _densities(prior, features) / np.maximum(drawn_under, 1e-290)
    each = ratio.sum(axis=0).reshape(n_voxels, -1)
    evidence = np.maximum(each.mean(axis=1), 1e-290)
    n_samples = each.shape[1]
    share = ratio / np.repeat(evidence * n_samples, n_samples)
    level = float(np.log(evidence).mean())
    d = prior.means.shape[1]
    sums = np.einsum("ki,fi->kf", share, features)
    weights, means, covariances = [], prior.means.copy(), prior.covariances.copy()
    for k in range(prior.weights.size - 1):
        mass = sums[k, 0]
        weights.append(max(mass, _LEAST_VOXELS))
        if mass <= _LEAST_VOXELS:
            continue
        mean = sums[k, 1 : 1 + d] / mass
        scatter = np.zeros((d, d))
        for (i, j), total in zip(
            combinations_with_replacement(range(d), 2), sums[k, 1 + d :], strict=True
        ):
            scatter[i, j] = scatter[j, i] = total - mass * mean[i] * mean[j]
        scatter += _STEADY_VOXELS * _STEADY_VARIANCE * np.eye(d)
        means[k] = mean
        covariances[k] = scatter / (mass + _STEADY_VOXELS) + _MIN_VARIANCE * np.eye(d)
    left = max(float(sums[-1, 0]) / n_voxels, _BROAD_SHARE)
    shares = np.append(np.array(weights) / sum(weights) * (1.0 - left), left)
    found = ModelPrior(prior.model, prior.rule, prior.coordinates, shares, means, covariances)
    return found, level
