"""Automatic prior: the one for which the scan has what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ivimkit import organs, priors
from ivimkit.extend.prior import ChoosingPrior, Likelihoods, NearPrior, Prior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel


@final
@dataclass(frozen=True)
class Auto(ChoosingPrior):
    """`Local` where voxels have neighbours, `Learned` where they are many, else `Organ` or `Flat`.

    `ivimkit.fit` decides: an image of two or three dimensions whose voxels touch each other gets
    `Local`; any other scan, and a list of voxels, gets `Learned` if at least 50 voxels can be
    fitted, and otherwise the prior of the organ that was named, or a flat one. If the voxels
    around predict a voxel worse than the whole scan does (the mean of their evidence is lower by
    more than two standard errors), the scan is fitted again with `Learned`: it is a list in the
    form of an image, say, or the same tissue everywhere. On a tie `Local` stays, as it keeps the
    contrast of small regions.

    The settings of the result have the prior that was taken, and
    ``result.provenance.chosen["prior"]`` says why.

    Parameters
    ----------
    organ : str, optional
        One of `ivimkit.organs.names`, for scans with too few voxels to learn from.
    n_voxels : int
        Maximum number of voxels to learn from, see `Learned`.
    seed : int
        Seed of that.

    Raises
    ------
    OptionError
        For an unknown organ, or a number that is out of range.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1)).dwi
    >>> result = ik.fit(dwi, method=ik.methods.Bayes(prior="auto"))
    >>> result.priors["all"].rule, result.provenance.chosen["prior"]
    ('local', 'auto, voxels have neighbours')
    """

    name: ClassVar[str] = "auto"
    title: ClassVar[str] = "chosen by what the scan has"
    references: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.organ is not None:
            organs.get(self.organ)
        _ = self.learned  # It checks the numbers.

    @property
    def local(self) -> NearPrior:
        """The prior for voxels that have neighbours."""
        found = priors.get("local", n_voxels=self.n_voxels, seed=self.seed)
        assert isinstance(found, NearPrior)
        return found

    @property
    def learned(self) -> Prior:
        """The prior for many voxels."""
        return priors.get("learned", n_voxels=self.n_voxels, seed=self.seed)

    @property
    def fixed(self) -> Prior:
        """The prior for too few voxels to learn from."""
        if self.organ is None:
            return priors.get("flat")
        return priors.get("organ", organ=self.organ)

    def tabulate(self, model: SignalModel, likelihoods: Likelihoods | None = None) -> PriorTable:
        """Return the table of `Learned` with likelihoods, of `fixed` without."""
        if likelihoods is None:
            return self.fixed.tabulate(model)
        return self.learned.tabulate(model, likelihoods)


PRIOR = Auto
