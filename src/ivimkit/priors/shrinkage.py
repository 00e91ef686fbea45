"""Shrinkage prior: a Gaussian on transformed parameters, fitted to the voxels of the scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.model_prior_learning import learned_prior
from ivimkit.extend.prior import Likelihoods, ModelPosteriors, Prior, broad
from ivimkit.extend.prior_table import PriorTable, with_floor
from ivimkit.extend.signal_model import SignalModel

# Share of the mass that is uniform.
_UNIFORM_SHARE = 0.01
# Smallest argument of the transforms, so that they are finite.
_MIN_FRACTION = 1e-6
# Centre of the interval of an outermost knot, in units of the distance to its neighbour.
_OUTER_KNOT_DISTANCE = 0.25
# Number of steps at most, and change of a mean that ends them.
_MAX_STEPS = 200
_MAX_MEAN_CHANGE = 1e-5
# Minimum variance of a transformed parameter: anything narrower is below the knot spacing.
_MIN_VARIANCE = 1e-3


@final
@dataclass(frozen=True)
class Shrinkage(Prior):
    """Hierarchical Gaussian on ln D, ln D* and logit f, its mean and covariance from the scan.

    Every voxel is drawn towards the mean of all, the more so the less information it has (Orton
    2014). Mean and covariance are those that make the signals most likely, found by
    expectation-maximisation. One hundredth of the mass is uniform within the bounds.

    Parameters
    ----------
    n_voxels : int
        Maximum number of voxels to learn from, drawn at random.
    seed : int
        Seed of the draw.

    Raises
    ------
    OptionError
        If a number is out of range.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(32, 24, 1)).dwi
    >>> result = ik.fit(dwi, method=ik.methods.Bayes(prior="shrinkage"))
    >>> sorted(result.priors["all"].about)
    ['covariance', 'mean', 'steps', 'voxels']

    References
    ----------
    Orton MR et al. Magn Reson Med 2014;71:411-420. doi:10.1002/mrm.24649
    """

    name: ClassVar[str] = "shrinkage"
    title: ClassVar[str] = "Gaussian on transformed parameters, fitted to the scan"
    trains: ClassVar[bool] = True
    any_model: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = (
        "Orton MR, Collins DJ, Koh DM, Leach MO. Improved intravoxel incoherent motion analysis "
        "of diffusion weighted imaging by data driven Bayesian modeling. Magn Reson Med "
        "2014;71:411-420. doi:10.1002/mrm.24649",
    )

    n_voxels: int = 8000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_voxels < 1:
            raise OptionError(f"n_voxels is {self.n_voxels!r}; expected a number >= 1")

    def tabulate(self, model: SignalModel, likelihoods: Likelihoods | None = None) -> PriorTable:
        """Return the Gaussian that makes the signals most likely, as a density."""
        if likelihoods is None:
            raise OptionError("prior shrinkage needs a scan to learn from; use it in ivimkit.fit")
        frame, matrix = likelihoods.frame, likelihoods.matrix
        volumes = frame.volumes().ravel()
        points, jacobian = _transformed(frame)
        mass = broad(likelihoods.frame, likelihoods.median).ravel() * volumes
        mass /= mass.sum()
        mean = np.full(points.shape[1], np.inf)
        covariance = np.eye(points.shape[1])
        matrix = matrix[matrix @ mass > 0.0]
        steps = 0
        still = False
        while not still and steps < _MAX_STEPS:
            steps += 1
            share = mass * (matrix.T @ (1.0 / (matrix @ mass))) / matrix.shape[0]
            new_mean = share @ points
            offset = points - new_mean
            new_covariance = (share[:, None] * offset).T @ offset
            new_covariance += _MIN_VARIANCE * np.eye(points.shape[1])
            still = bool(np.abs(new_mean - mean).max() < _MAX_MEAN_CHANGE)
            mean, covariance = new_mean, new_covariance
            mass = _gaussian(points, mean, covariance) * jacobian * volumes
            mass /= mass.sum()
        about = {
            "voxels": likelihoods.n_voxels,
            "steps": steps,
            "mean": mean.tolist(),
            "covariance": covariance.tolist(),
        }
        density = (mass / volumes).reshape([axis.size for axis in frame.knots])
        return with_floor(
            replace(frame, rule=self.name, density=density, about=about), _UNIFORM_SHARE
        )

    def for_model(
        self, model: SignalModel, posteriors: ModelPosteriors | None = None
    ) -> ModelPrior:
        """Return one Gaussian of all parameters, and a broad one with a small share."""
        if posteriors is None:
            raise OptionError("prior shrinkage needs a scan to learn from; use it in ivimkit.fit")
        return learned_prior(
            model,
            posteriors,
            self.name,
            seed=self.seed,
            max_steps=_MAX_STEPS,
            n_components=2,
        )


def _transformed(frame: PriorTable) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ln D, ln D* and logit f of all knots, of those that vary, and the density's factor.

    The factor turns a density of the transformed parameters into one of D, ln D* and f.
    """
    slow, fast, fraction = frame.knots
    # The outermost knots represent the interval between them and their neighbours.
    slow = np.maximum(slow, _OUTER_KNOT_DISTANCE * slow[min(1, slow.size - 1)])
    fraction = np.maximum(fraction, _OUTER_KNOT_DISTANCE * fraction[min(1, fraction.size - 1)])
    fraction = np.minimum(
        fraction, 1.0 - _OUTER_KNOT_DISTANCE * (1.0 - fraction[max(-2, -fraction.size)])
    )
    fraction = np.clip(fraction, _MIN_FRACTION, 1.0 - _MIN_FRACTION)
    values = np.meshgrid(
        np.log(slow), np.log(fast), np.log(fraction / (1.0 - fraction)), indexing="ij"
    )
    varies = [axis.size > 1 for axis in frame.knots]
    points = np.stack([v.ravel() for v, free in zip(values, varies, strict=True) if free], axis=1)
    one = 1.0 / slow if varies[0] else np.ones(1)
    three = 1.0 / (fraction * (1.0 - fraction)) if varies[2] else np.ones(1)
    jacobian = one[:, None, None] * np.ones(fast.size)[None, :, None] * three[None, None, :]
    return points, jacobian.ravel()


def _gaussian(
    points: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    offset = points - mean
    square = (offset * np.linalg.solve(covariance, offset.T).T).sum(axis=1)
    density: NDArray[np.float64] = np.exp(-0.5 * (square - square.min()))
    return density


PRIOR = Shrinkage
