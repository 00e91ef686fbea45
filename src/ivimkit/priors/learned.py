"""Learned prior: the distribution of the parameters over the voxels of the scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ivimkit.errors import OptionError
from ivimkit.extend.mixture_learning import learned_table
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.model_prior_learning import learned_prior
from ivimkit.extend.prior import Likelihoods, ModelPosteriors, Prior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel


@final
@dataclass(frozen=True)
class Learned(Prior):
    """A mixture of Gaussians of ln D, ln D* and logit f, fitted to the voxels.

    This is empirical Bayes: the mixture that makes the signals of all voxels most likely, found by
    expectation-maximisation over the likelihoods of the voxels, not over their estimates. So noise
    does not widen it. One Gaussian is broad and keeps at least 3 % of the mass, for voxels unlike
    the others; the density is then tabulated, with knots where the Gaussians are.

    Where two explanations fit a signal equally well (little blood in tissue, or nearly all of the
    signal from a compartment only a little faster than the rest) the likelihood cannot decide. The
    first Gaussians do: they are spread among the posteriors under a density that is broad in ln D
    and ln D*, falls with f as (1-f)^3, and is zero where D* is below 0.006 mm^2/s, twice the
    diffusion of free water in the body.

    For models that are not a sum of two decays, the Gaussians are those of the logits of all
    parameters between their bounds, of rates by their logarithms, learned from samples of the
    posteriors (`ivimkit.extend.model_prior_learning`).

    Parameters
    ----------
    n_voxels : int
        Maximum number of voxels to learn from, drawn at random.
    seed : int
        Seed of the draw and of the first means.
    max_steps : int
        Maximum number of steps.
    n_components : int
        Maximum number of Gaussians, the broad one included; few voxels get fewer.

    Raises
    ------
    OptionError
        If a number is out of range.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(32, 24, 1)).dwi
    >>> result = ik.fit(dwi, method=ik.methods.Bayes(prior=ik.priors.Learned(seed=1)))
    >>> result.priors["all"].rule
    'learned'

    References
    ----------
    Dempster AP, Laird NM, Rubin DB. J R Stat Soc B 1977;39:1.
    doi:10.1111/j.2517-6161.1977.tb01600.x
    """

    name: ClassVar[str] = "learned"
    title: ClassVar[str] = "learned from the voxels of the scan"
    trains: ClassVar[bool] = True
    any_model: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = (
        "Dempster AP, Laird NM, Rubin DB. Maximum likelihood from incomplete data via the EM "
        "algorithm. J R Stat Soc B 1977;39:1-38. doi:10.1111/j.2517-6161.1977.tb01600.x",
        "Laird N. Nonparametric maximum likelihood estimation of a mixing distribution. "
        "J Am Stat Assoc 1978;73:805-811. doi:10.1080/01621459.1978.10480103",
    )

    n_voxels: int = 3000
    seed: int = 0
    max_steps: int = 40
    n_components: int = 12

    def __post_init__(self) -> None:
        for name in ("n_voxels", "max_steps", "n_components"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)!r}; expected a number >= 1")

    def tabulate(self, model: SignalModel, likelihoods: Likelihoods | None = None) -> PriorTable:
        """Return the mixture that makes the signals most likely, as a density."""
        if likelihoods is None:
            raise OptionError("prior learned needs a scan to learn from; use it in ivimkit.fit")
        return learned_table(
            likelihoods,
            self.name,
            seed=self.seed,
            max_steps=self.max_steps,
            n_components=self.n_components,
        )

    def for_model(
        self, model: SignalModel, posteriors: ModelPosteriors | None = None
    ) -> ModelPrior:
        """Return the mixture that makes the signals most likely."""
        if posteriors is None:
            raise OptionError("prior learned needs a scan to learn from; use it in ivimkit.fit")
        return learned_prior(
            model,
            posteriors,
            self.name,
            seed=self.seed,
            max_steps=self.max_steps,
            n_components=self.n_components,
        )


PRIOR = Learned
