"""Local prior: the population of the neighbours of each voxel, with a share of the scan's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

from ivimkit.errors import OptionError
from ivimkit.extend.mixture_learning import learned_table
from ivimkit.extend.prior import Likelihoods, NearPrior
from ivimkit.extend.prior_table import NEIGHBOURS, PriorTable
from ivimkit.extend.signal_model import SignalModel

# As of prior learned.
_MAX_STEPS, _N_COMPONENTS = 40, 12
_MAX_ROUNDS = 100


@final
@dataclass(frozen=True)
class Local(NearPrior):
    """The population of the voxels around each voxel, with a share of the whole scan's.

    Neighbours know what a voxel is. The prior of a voxel is learned from the posteriors of the
    voxels around it, itself left out: two Gaussians of ln D, ln D* and logit f, which tell two
    tissues apart at an edge, and whose widths are those of the tissues, because the uncertainty of
    each neighbour is taken off. Shares of the prior of the scan (`Learned`) and of a broad density
    let a voxel leave that is unlike its neighbours. The posteriors become those under the new
    priors, and this is repeated.

    Voxels are then no longer independent of each other: their errors are alike, a test that
    compares voxels counts them too often, and the smallest lesions, of one or a few voxels, are
    taken for their surroundings more than without neighbours.

    Parameters
    ----------
    reach : float
        Standard deviation of the weight of a neighbour by its distance, in edge lengths of a voxel
        (the mean of the two shorter edges). Neighbours are within two of these; distances are in
        mm, so that thick slices count for less.
    rounds : int
        How often the priors are learned anew.
    scan_share : float
        Share of the prior of the scan, above 0 and below 1.
    broad_share : float
        Share of the broad density, above 0 and below 1.
    n_voxels : int
        Maximum number of voxels to learn the prior of the scan from, see `Learned`.
    seed : int
        Seed of that.

    Raises
    ------
    OptionError
        If a number is out of range.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1)).dwi
    >>> result = ik.fit(dwi, method=ik.methods.Bayes(prior="local"))
    >>> result.maps["local_weight"].shape, result.priors["all"].rule
    ((16, 12, 1), 'local')

    References
    ----------
    Freiman M et al. Med Image Anal 2013;17:325. doi:10.1016/j.media.2012.12.001
    """

    name: ClassVar[str] = "local"
    title: ClassVar[str] = "learned from the voxels around each voxel"
    trains: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = (
        "Dempster AP, Laird NM, Rubin DB. Maximum likelihood from incomplete data via the EM "
        "algorithm. J R Stat Soc B 1977;39:1-38. doi:10.1111/j.2517-6161.1977.tb01600.x",
        "Freiman M, Perez-Rossello JM, Callahan MJ, et al. Reliable estimation of incoherent "
        "motion parametric maps from diffusion-weighted MRI using fusion bootstrap moves. Med "
        "Image Anal 2013;17:325-336. doi:10.1016/j.media.2012.12.001",
    )

    n_voxels: int = 3000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_voxels < 1:
            raise OptionError(f"n_voxels is {self.n_voxels!r}; expected a number >= 1")
        if not 0.5 <= self.reach <= 10.0:
            raise OptionError(f"reach is {self.reach!r}; expected 0.5 to 10 edges of a voxel")
        if self.rounds != int(self.rounds) or not 1 <= self.rounds <= _MAX_ROUNDS:
            raise OptionError(
                f"rounds is {self.rounds!r}; expected a whole number, 1 to {_MAX_ROUNDS}"
            )
        for name in ("scan_share", "broad_share"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise OptionError(
                    f"{name} is {getattr(self, name)!r}; expected a number above 0 and below 1"
                )
        if self.scan_share + self.broad_share >= 1.0:
            raise OptionError(
                f"scan_share and broad_share are {self.scan_share + self.broad_share:g} together; "
                "expected less than 1, or neighbours would not count"
            )

    def tabulate(self, model: SignalModel, likelihoods: Likelihoods | None = None) -> PriorTable:
        """Return the prior of the scan, of which every voxel gets a share."""
        if likelihoods is None:
            raise OptionError("prior local needs a scan to learn from; use it in ivimkit.fit")
        table = learned_table(
            likelihoods,
            self.name,
            seed=self.seed,
            max_steps=_MAX_STEPS,
            n_components=_N_COMPONENTS,
        )
        return replace(table, about={**table.about, NEIGHBOURS: self.options()})


PRIOR = Local
