"""PosteriorMethod: what the methods share that integrate the likelihood over the parameters."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ivimkit import priors
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import VoxelPlan
from ivimkit.extend.prior import Prior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.extend.two_decay_method import TwoPoolMethod
from ivimkit.kernels.device import device
from ivimkit.kernels.noise_floor import excess_table
from ivimkit.kernels.pools import EXTRA, pool_bounds, store_pools
from ivimkit.kernels.posterior import SCRATCH, WIDTH, posterior_voxel, without_floor
from ivimkit.kernels.search import global_fit
from ivimkit.noise.noise_kinds import check_noise_kind
from ivimkit.scan.acquisition import Acquisition
from ivimkit.status import FAILED

__all__ = ["PosteriorMethod", "fit_voxel", "posterior_options", "with_room"]

NOISE = ("rician", "gaussian")
_FAILED = int(FAILED)
# Where the options say whether the noise floor is taken off.
_FLOOR = EXTRA + 12
# Where they have the number of knots of the fraction.
_N_FRACTION = EXTRA + 7


@device
def fit_voxel(
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
    """Fit one voxel, and replace the best fit by what the posterior says."""
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
    if code & _FAILED != 0:
        return code
    failure = posterior_voxel(
        b, root_weight, clean, signal, sigma, fit, box, n, options, table, work, out
    )
    return failure if failure != 0 else code


@dataclass(frozen=True)
class PosteriorMethod(TwoPoolMethod):
    """Base of the methods with a posterior: a prior and a noise variance, both perhaps learned.

    What is learned from the voxels of a scan, `ivimkit.fitting.training.settle` fills in.
    """

    full_fit: ClassVar[bool] = False
    voxel = staticmethod(fit_voxel)

    prior: str | Prior | PriorTable = "learned"
    noise: str = field(default="rician", metadata={"choices": NOISE})
    variance: str | tuple[float, float] = "scan"

    def __post_init__(self) -> None:
        check_noise_kind(self.noise, known=NOISE)
        if not isinstance(self.prior, PriorTable):
            priors.get(self.prior)
        if isinstance(self.variance, str):
            if self.variance not in ("scan", "voxel"):
                raise OptionError(
                    f"variance is {self.variance!r}; expected scan, voxel or a pair of numbers"
                )
            return
        pair = tuple(self.variance)
        if not (len(pair) == 2 and min(pair) >= 0.0 and math.isfinite(pair[1])):
            raise OptionError(
                f"variance is {self.variance!r}; expected degrees of freedom and scale, >= 0"
            )
        object.__setattr__(self, "variance", pair)

    @classmethod
    def from_options(cls, **options: Any) -> PosteriorMethod:
        """Build the method from named options; a prior may be a mapping with its own options."""
        prior = options.get("prior")
        if isinstance(prior, dict):
            if "name" not in prior:
                raise OptionError(
                    f"prior is {prior!r}; expected the name of a prior beside its options, or the "
                    "table itself. A table is in the prior.npz of a result",
                    python="It is in result.priors, or in a file of ivimkit.save_prior",
                )
            options = {**options, "prior": priors.get(**prior)}
        method = super().from_options(**options)
        assert isinstance(method, PosteriorMethod)
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

    @property
    def learns(self) -> bool:
        """Whether the prior or the noise variance comes from the scan."""
        rule = self.rule
        return self.variance == "scan" or (rule is not None and rule.trains)

    def with_table(self, table: PriorTable, variance: tuple[float, float]) -> Self:
        """Return the method with everything settled that it may have to learn from a scan."""
        return replace(self, prior=table, variance=variance)

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the model is no sum of decays, S0 is bounded, or the prior is of another."""
        super().check(model, acquisition)
        s0 = model["S0"]
        if s0.lower > 0.0 or math.isfinite(s0.upper):
            raise OptionError(
                f"S0 is bound to {s0.lower:g} to {s0.upper:g}; method {self.name} integrates over "
                "all S0. Leave S0 free, or use method varpro"
            )
        if isinstance(self.prior, PriorTable):
            self.prior.check(model)

    def plan(
        self, model: SignalModel, b: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the dictionary of decays and room for the lattice."""
        return with_room(super().plan(model, b, weight), b.size)


def with_room(plan: VoxelPlan, n_b: int) -> VoxelPlan:
    """Return the plan with scratch behind that of the search: lattice, signal, knots of f."""
    options = plan.options.copy()
    options[EXTRA] = plan.work_rows
    room = SCRATCH * WIDTH + n_b + int(options[_N_FRACTION])
    rows = -(-room // plan.table.shape[1])
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
