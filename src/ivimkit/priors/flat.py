"""Flat prior: every value inside the bounds is as likely as any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ivimkit.extend.model_prior import ModelPrior, coordinates_of
from ivimkit.extend.prior import Likelihoods, ModelPosteriors, Prior, even_knots
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel

# Knots are needed only for the marginals that the information maps compare with.
_N_KNOTS = (33, 65, 33)


@final
@dataclass(frozen=True)
class Flat(Prior):
    """Uniform in D, D* and f inside the bounds of the model, with D* > D.

    Of other models, it is uniform in all shape parameters, and in the fractions where they and
    the remainder are not negative.

    This is not the absence of a prior: uniform in D* is not uniform in its logarithm, and the
    posterior mean of a parameter that the data do not determine is the middle of its bounds.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.priors.Flat().tabulate(ik.models.get("biexp")).flat
    True
    """

    name: ClassVar[str] = "flat"
    title: ClassVar[str] = "uniform inside the bounds"
    trains: ClassVar[bool] = False
    any_model: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ()

    def tabulate(self, model: SignalModel, likelihoods: Likelihoods | None = None) -> PriorTable:
        """Return the table; it has knots but needs no density."""
        return even_knots(model, _N_KNOTS)

    def for_model(
        self, model: SignalModel, posteriors: ModelPosteriors | None = None
    ) -> ModelPrior:
        """Return the prior, which is uniform inside the bounds."""
        return ModelPrior(model.name, self.name, coordinates_of(model))


PRIOR = Flat
