"""Learning a prior for a model of any compartments from samples of its voxels' posteriors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.model_prior import ModelPrior, coordinates_of
from ivimkit.extend.prior import ModelPosteriors, Prior
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.kernels.separable.posterior.point_rows import N_SAMPLES
from ivimkit.kernels.separable.posterior.voxel_posterior import posterior_function
from ivimkit.methods._model_posterior import posterior_plan
from ivimkit.scan.acquisition import Acquisition

__all__ = ["learned_model_prior"]

# More voxels make learning longer, and the prior no better.
_MAX_VOXELS = 1500


@final
@dataclass(frozen=True)
class _Samples(FitMethod):
    """Samples of the posterior of every voxel, as extra maps."""

    name: ClassVar[str] = "samples"
    title: ClassVar[str] = "samples of the posterior"
    full_fit: ClassVar[bool] = False
    references: ClassVar[tuple[str, ...]] = ()

    prior: ModelPrior
    variance: tuple[float, float]
    noise: tuple[str, float]

    def voxel_of(self, model: SignalModel):  # type: ignore[no-untyped-def]
        return posterior_function(model.structure)

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        return tuple(map(str, range(N_SAMPLES * len(self.prior.coordinates))))

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Check nothing: that is done before anything is learned."""

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        noise = *self.noise, *self.variance, 0.0
        return posterior_plan(model, x, weight, self.prior, noise, samples=True)


class _ScanPosteriors(ModelPosteriors):
    """Posteriors of the voxels of a sample."""

    def __init__(
        self, sample: TrainingSample, variance: tuple[float, float], noise: tuple[str, float]
    ) -> None:
        self._sample, self._variance, self._noise = sample, variance, noise
        self.n_voxels = sample.n_voxels

    def draw(self, prior: ModelPrior) -> NDArray[np.float64]:
        method = _Samples(prior, self._variance, self._noise)
        values, good = self._sample.fitted(method)
        first = len(self._sample.model.parameters) + 2
        d = len(coordinates_of(self._sample.model))
        return np.ascontiguousarray(values[good, first:]).reshape(-1, N_SAMPLES, d)


def learned_model_prior(
    rule: Prior,
    sample: TrainingSample,
    variance: tuple[float, float],
    noise: tuple[str, float],
) -> ModelPrior:
    """Return the prior that a rule learns from the posteriors of voxels.

    Parameters
    ----------
    rule : Prior
        The prior, which learns.
    sample : TrainingSample
        The voxels, all of which can be fitted.
    variance : tuple of float
        Distribution of the noise variances.
    noise : tuple
        Kind of the noise, as of method bayes, and the noise of one volume that sizes the floor.
    """
    if sample.n_voxels > _MAX_VOXELS:
        sample = sample.drawn(_MAX_VOXELS, seed=getattr(rule, "seed", 0))
    return rule.for_model(sample.model, _ScanPosteriors(sample, variance, noise))
