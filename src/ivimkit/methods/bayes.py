"""Bayes: the posterior of every voxel, integrated, not sampled."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit import priors
from ivimkit.acquisition import Acquisition
from ivimkit.errors import OptionError
from ivimkit.fit_method import VoxelPlan
from ivimkit.kernels.device import device
from ivimkit.kernels.noise_floor import excess_table
from ivimkit.kernels.pools import EXTRA, pool_bounds, store_pools
from ivimkit.kernels.posterior import SCRATCH, WIDTH, posterior_voxel, without_floor
from ivimkit.kernels.search import global_fit
from ivimkit.prior import Prior
from ivimkit.prior_table import PriorTable, parameter_names
from ivimkit.signal_model import SignalModel
from ivimkit.status import FAILED
from ivimkit.two_pool_method import TwoPoolMethod

ESTIMATES = ("mean", "median", "mode")
NOISE = ("rician", "gaussian")
_FAILED = int(FAILED)
# Where the options say whether the noise floor is taken off.
_FLOOR = EXTRA + 12


@device
def _fit_voxel(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    sigma: float,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    start: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    n = lower.size
    box = pool_bounds(lower, upper, options)
    fit = global_fit(
        b, root_weight, signal, box, int(options[4]), int(options[5]), options[6], table, work
    )
    clean = signal
    if options[_FLOOR] > 0.0:
        clean = work[int(options[EXTRA]) :].reshape(-1)[SCRATCH * WIDTH :][: b.size]
        without_floor(b, root_weight, signal, sigma, fit, options, clean)
        fit = global_fit(
            b, root_weight, clean, box, int(options[4]), int(options[5]), options[6], table, work
        )
    code = store_pools(fit, options, box, out[: n + 2])
    if code & _FAILED == 0:
        posterior_voxel(
            b, root_weight, clean, signal, sigma, fit, box, n, options, table, work, out
        )
    return code


@final
@dataclass(frozen=True)
class Bayes(TwoPoolMethod):
    """The posterior of D, D* and f of every voxel, by quadrature.

    S0 is integrated out in closed form (flat), the noise variance is known or integrated out, and
    the rest is summed on a lattice that is laid, voxel by voxel, where the posterior is: no chain,
    no seed, the same bits every time. Beside each parameter come its standard deviation, 95 % and
    50 % intervals (equal tails), the correlations, and the information in bits that the data
    gave beyond the prior (Kullback-Leibler divergence of the marginals).

    Parameters
    ----------
    prior : str, Prior or PriorTable
        What is known before: a name of `ivimkit.priors`, an object with options, or a table
        that was learned before. ``"learned"`` learns it from the scan.
    estimate : {"mean", "median", "mode"}
        What the maps of the parameters show: the mean has the least mean squared error; median
        and mode are those of each parameter alone. S0 is always the mean.
    noise : {"rician", "gaussian"}
        ``"rician"`` first takes off what the noise adds to the mean of a magnitude, as computed
        from the best fit; ``"gaussian"`` takes the signal as it is, for data that were averaged
        as complex numbers.
    variance : "scan", "voxel" or tuple of float
        The noise variance, where `ivimkit.fit` got no sigma: ``"scan"`` takes a scaled inverse
        chi-squared distribution fitted to the residuals of all voxels (with fewer than 50 voxels
        it is ``"voxel"``), ``"voxel"`` Jeffreys' prior, each voxel for itself. A pair gives
        degrees of freedom and scale (a variance) of the distribution.

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
    title: ClassVar[str] = "posterior by quadrature"
    full_fit: ClassVar[bool] = False
    voxel = staticmethod(_fit_voxel)
    references: ClassVar[tuple[str, ...]] = (
        "Neil JJ, Bretthorst GL. On the use of Bayesian probability theory for analysis of "
        "exponential decay data. Magn Reson Med 1993;29:642-647. doi:10.1002/mrm.1910290510",
        "Orton MR, Collins DJ, Koh DM, Leach MO. Improved intravoxel incoherent motion analysis "
        "of diffusion weighted imaging by data driven Bayesian modeling. Magn Reson Med "
        "2014;71:411-420. doi:10.1002/mrm.24649",
    )

    prior: str | Prior | PriorTable = "learned"
    estimate: str = "mean"
    noise: str = "rician"
    variance: str | tuple[float, float] = "scan"

    def __post_init__(self) -> None:
        if self.estimate not in ESTIMATES:
            raise OptionError(
                f"estimate is {self.estimate!r}; expected one of {', '.join(ESTIMATES)}"
            )
        if self.noise not in NOISE:
            raise OptionError(f"noise is {self.noise!r}; expected one of {', '.join(NOISE)}")
        if not isinstance(self.prior, PriorTable):
            priors.get(self.prior)
        if isinstance(self.variance, str):
            if self.variance not in ("scan", "voxel"):
                raise OptionError(
                    f"variance is {self.variance!r}; expected scan, voxel or a pair of numbers"
                )
        else:
            degrees, scale = self.variance
            if not (degrees >= 0.0 and scale >= 0.0 and math.isfinite(scale)):
                raise OptionError(
                    f"variance is {self.variance!r}; expected degrees of freedom and scale, >= 0"
                )

    @classmethod
    def from_options(cls, **options: Any) -> Bayes:
        """Build the method from named options; a prior may be a mapping with its own options."""
        prior = options.get("prior")
        if isinstance(prior, dict):
            if "name" not in prior:
                raise OptionError(
                    f"prior is {prior!r}; expected the name of a prior beside its options, or the "
                    "table itself. A table is in result.priors, or in a file of ivimkit.save_prior"
                )
            options = {**options, "prior": priors.get(**prior)}
        method = super().from_options(**options)
        assert isinstance(method, Bayes)
        return method

    def options(self) -> dict[str, Any]:
        """Return all options with their values; of a table, the name of what made it."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if isinstance(self.prior, Prior):
            found["prior"] = {"name": self.prior.name, **self.prior.options()}
        elif isinstance(self.prior, PriorTable):
            found["prior"] = {"table": self.prior.rule}
        return found

    @property
    def rule(self) -> Prior | None:
        """The prior that is to be tabulated; None if it is a table."""
        return None if isinstance(self.prior, PriorTable) else priors.get(self.prior)

    def with_table(self, table: PriorTable, variance: tuple[float, float]) -> Bayes:
        """Return the method with everything settled that it may have to learn from a scan."""
        return replace(self, prior=table, variance=variance)

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the model is no sum of decays, S0 is bounded, or the prior is of another."""
        super().check(model, acquisition)
        s0 = model["S0"]
        if s0.lower > 0.0 or math.isfinite(s0.upper):
            raise OptionError(
                f"S0 is bound to {s0.lower:g} to {s0.upper:g}; method bayes integrates over all "
                "S0. Leave S0 free, or use method varpro"
            )
        if isinstance(self.prior, PriorTable):
            self.prior.check(model)

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        """Return the maps of uncertainty, information and evidence."""
        names = [
            f"{name}_{what}" for name in model.names for what in ("sd", "lo", "hi", "lo50", "hi50")
        ]
        slow, fast, fraction = parameter_names(model)
        names += [f"{name}_bits" for name in (slow, fast, fraction) if name is not None]
        if fast is not None and fraction is not None:
            names += ["fD_star", "fD_star_sd"]
            names += [f"corr_{fraction}_{fast}", f"corr_{fraction}_{slow}", f"corr_{fast}_{slow}"]
        return (*names, "sigma", "ln_evidence")

    def plan(
        self, model: SignalModel, b: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the dictionary of decays and room for the lattice."""
        return with_room(super().plan(model, b, weight), b.size)

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> tuple[float, ...]:
        """Return the numbers that the posterior reads, the prior's table last."""
        table = self.prior
        if not isinstance(table, PriorTable):
            rule = priors.get(table)
            table = rule.tabulate(model)
        degrees, scale = (0.0, 0.0) if isinstance(self.variance, str) else self.variance
        return posterior_options(
            table, (degrees, scale), b.size, self.noise, ESTIMATES.index(self.estimate)
        )


def with_room(plan: VoxelPlan, n_b: int) -> VoxelPlan:
    """Return the plan with scratch for the lattice and a signal, behind that of the search."""
    options = plan.options.copy()
    options[EXTRA] = plan.work_rows
    rows = -(-(SCRATCH * WIDTH + n_b) // plan.table.shape[1])
    return VoxelPlan(options, plan.table, plan.work_rows + rows)


def posterior_options(
    table: PriorTable,
    variance: tuple[float, float],
    n_b: int,
    noise: str,
    estimate: int = 0,
    *,
    basis: bool = False,
) -> tuple[float, ...]:
    """Return what `ivimkit.kernels.posterior.posterior_voxel` reads from the options.

    The first number is the place of the scratch array, which the plan fills in.
    """
    degrees, scale = variance
    n_slow, n_fast, n_fraction = (axis.size for axis in table.knots)
    slow, fast, fraction = table.knots
    volume = 1.0
    for axis in (slow, fast, fraction):
        if axis.size > 1:
            volume *= float(axis[-1] - axis[0])
    power = degrees + n_b - 1.0
    constant = math.lgamma(0.5 * power) - 0.5 * (n_b - 1.0) * math.log(2.0 * math.pi)
    if degrees > 0.0 and scale > 0.0:
        constant += 0.5 * degrees * math.log(0.5 * degrees * scale) - math.lgamma(0.5 * degrees)
    else:
        constant -= math.log(2.0)
    head = (
        0.0,
        float(estimate),
        degrees,
        scale,
        float(n_b),
        float(n_slow),
        float(n_fast),
        float(n_fraction),
        float(table.flat),
        -math.log(volume) if table.flat else 0.0,
        constant,
        float(basis),
        float(noise == "rician"),
    )
    arrays = [excess_table(), *table.axes(), *table.marginals(), table.density.ravel()]
    return (*head, *np.concatenate(arrays).tolist())


METHOD = Bayes
