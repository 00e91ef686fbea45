"""Bayes: the posterior of every voxel, by integration instead of sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.prior_table import PriorTable, parameter_names
from ivimkit.extend.signal_model import SignalModel
from ivimkit.methods._model_posterior import model_extras
from ivimkit.methods._posterior import PosteriorMethod, posterior_options
from ivimkit.scan.acquisition import Acquisition

ESTIMATES = ("mean", "median", "mode")


@final
@dataclass(frozen=True)
class Bayes(PosteriorMethod):
    """The posterior of D, D* and f of every voxel, by quadrature.

    S0 is integrated out in closed form (flat), the noise variance is known or integrated out, and
    the rest is summed on a lattice that covers, voxel by voxel, the region where the posterior is
    not negligible: without chains and seeds, bit-identical every time. In addition to each
    parameter it returns the standard deviation, 95 % and 50 % credible intervals (equal tails),
    the correlations, and the information (bits) that the data added to the prior (Kullback-Leibler
    divergence of the marginals).

    Parameters
    ----------
    prior : str, Prior or PriorTable
        The prior: a name of `ivimkit.priors`, an object with options, or a table that was learned
        before. ``"auto"`` takes the one for which the scan has what it needs, see
        `ivimkit.priors.auto.Auto`.
    noise : {"rician", "gaussian"}
        ``"rician"`` first subtracts what the noise adds to the mean of a magnitude, computed from
        the best fit and then from the estimates themselves; ``"gaussian"`` uses the signal as it
        is, for data that were averaged as complex numbers.
    variance : "scan", "voxel" or tuple of float
        The noise variance, if sigma was not given to `ivimkit.fit`: ``"scan"`` uses a scaled
        inverse chi-squared distribution fitted to the residuals of all voxels (with fewer than 50
        voxels it is ``"voxel"``), ``"voxel"`` Jeffreys' prior in each voxel. A pair is the degrees
        of freedom and the scale (a variance) of the distribution.
    floor : "auto" or float
        The noise of one volume that sizes the noise floor of ``"rician"``, a.u. ``"auto"`` takes
        the sigma given to `ivimkit.fit`, or measures it in the scan, see
        `ivimkit.noise.for_floor`: motion and pulsation make residuals and sigma larger, but raise
        no floor.
    estimate : {"mean", "median", "mode"}
        The estimate in the maps of the parameters: the mean has the smallest mean squared error;
        median and mode are those of each parameter alone. S0 is always the mean.
    robust : bool
        Whether volumes and single values that do not belong to the scan, such as dropouts, are
        found by a robust fit and left out first; `ivimkit.FitResult.screening` says which.

    Raises
    ------
    OptionError
        For an unknown estimate, prior or variance.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1)).dwi
    >>> result = ik.fit(dwi, method=ik.methods.Bayes(prior="flat"), sigma=20.0)
    >>> low, high = result.interval["f"]
    >>> bool((low < high)[result.status == 0].all())
    True

    References
    ----------
    Neil JJ, Bretthorst GL. Magn Reson Med 1993;29:642-647. doi:10.1002/mrm.1910290510
    Orton MR et al. Magn Reson Med 2014;71:411-420. doi:10.1002/mrm.24649
    """

    name: ClassVar[str] = "bayes"
    title: ClassVar[str] = "Bayesian inference"
    references: ClassVar[tuple[str, ...]] = (
        "Neil JJ, Bretthorst GL. On the use of Bayesian probability theory for analysis of "
        "exponential decay data. Magn Reson Med 1993;29:642-647. doi:10.1002/mrm.1910290510",
        "Orton MR, Collins DJ, Koh DM, Leach MO. Improved intravoxel incoherent motion analysis "
        "of diffusion weighted imaging by data driven Bayesian modeling. Magn Reson Med "
        "2014;71:411-420. doi:10.1002/mrm.24649",
    )

    estimate: str = field(default="mean", metadata={"choices": ESTIMATES})
    robust: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimate not in ESTIMATES:
            raise OptionError(
                f"estimate is {self.estimate!r}; expected one of {', '.join(ESTIMATES)}"
            )

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        """Return the maps of uncertainty, information and evidence, and perhaps accuracy."""
        if model.two_decays() is None:
            return model_extras(model)
        names = [
            f"{name}_{what}" for name in model.names for what in ("sd", "lo", "hi", "lo50", "hi50")
        ]
        slow, fast, fraction = parameter_names(model)
        names += [f"{name}_bits" for name in (slow, fast, fraction) if name is not None]
        if fast is not None and fraction is not None:
            names += ["fD_star", "fD_star_sd"]
            names += [f"corr_{fraction}_{fast}", f"corr_{fraction}_{slow}", f"corr_{fast}_{slow}"]
        return (*names, "sigma", "ln_evidence")

    @property
    def estimate_number(self) -> int:
        """The number of the estimate in the maps."""
        return ESTIMATES.index(self.estimate)

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the posterior cannot be integrated, or prior or bounds do not fit."""
        if self.estimate == "mode" and model.two_decays() is None:
            raise OptionError(
                f"estimate is 'mode', which method {self.name} has for sums of two decays only; "
                f"expected mean or median for model {model.name}"
            )
        super().check(model, acquisition)

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> Mapping[int, ArrayLike]:
        """Return the numbers that the posterior reads, the table of the prior last."""
        table = self.prior
        if not isinstance(table, PriorTable):
            rule = self.rule
            assert rule is not None
            table = rule.tabulate(model)
        degrees, scale = (0.0, 0.0) if isinstance(self.variance, str) else self.variance
        return posterior_options(
            table,
            (degrees, scale),
            b.size,
            self.noise,
            ESTIMATES.index(self.estimate),
            floor=self.floor_noise,
        )


METHOD = Bayes
