"""PosteriorMethod: base of methods that integrate the likelihood over the parameters."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import priors
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import Batch, Step, VoxelPlan
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior import Prior
from ivimkit.extend.prior_table import PriorTable, wrong_model
from ivimkit.extend.signal_model import SignalModel
from ivimkit.extend.two_decay_method import TwoDecayMethod
from ivimkit.kernels.device import device, pasted
from ivimkit.kernels.memory import matrix
from ivimkit.kernels.noise_floor import excess_table
from ivimkit.kernels.separable.posterior.voxel_posterior import posterior_function
from ivimkit.kernels.two_decays.fitted_decays import Fit
from ivimkit.kernels.two_decays.lane_fit import fit_voxels
from ivimkit.kernels.two_decays.lane_schedule import FIT_COLUMNS, N_COUNTERS, stored_fit
from ivimkit.kernels.two_decays.lane_search import lane_scratch
from ivimkit.kernels.two_decays.lattice.floor_subtraction import (
    Curve,
    noise_of_floor,
    without_floor,
)
from ivimkit.kernels.two_decays.lattice.lattice_options import (
    ESTIMATE,
    FLOOR_NOISE,
    FLOOR_TABLE,
    IS_FLAT,
    LOG_DENSITY,
    N_FAST_KNOTS,
    N_FRACTION_KNOTS,
    N_SLOW_KNOTS,
    N_VALUES,
    NOISE_DEGREES,
    NOISE_SCALE,
    POWER_CONSTANT,
    PRIOR,
    TAKES_FLOOR_OFF,
    WRITES_BASIS,
    WRITES_MOMENTS,
)
from ivimkit.kernels.two_decays.lattice.posterior import lattice_scratch, posterior_voxel
from ivimkit.kernels.two_decays.option_positions import (
    N_FAST,
    N_SLOW,
)
from ivimkit.kernels.two_decays.pools import pool_bounds, store_pools
from ivimkit.kernels.two_decays.profile import search_rows_in_kernel
from ivimkit.kernels.two_decays.search import global_fit
from ivimkit.kernels.voxel import Voxel, Voxels, with_signal
from ivimkit.methods._model_posterior import check_model, posterior_plan
from ivimkit.noise.noise_kinds import check_noise_kind
from ivimkit.scan.acquisition import Acquisition
from ivimkit.status import FAILED, FitStatus

__all__ = [
    "PosteriorMethod",
    "evidence_constant",
    "fit_voxel",
    "posterior_batch",
    "posterior_options",
    "with_room",
]

NOISE = ("rician", "gaussian")
FLOOR_AUTO = "auto"
"""The noise of the floor is measured in the scan."""
_FAILED = int(FAILED)
_UNUSABLE = int(FitStatus.NON_FINITE | FitStatus.NO_SIGNAL)
# Parts of `write_posteriors`.
_CLEAN, _POSTERIOR = 0, 1


@device
def _amplitudes_and_rates(fit: Fit) -> Curve:
    """Return the best fit as a curve."""
    return fit.slow, fit.fast, fit.slow_amplitude, fit.fast_amplitude


@device
def fit_voxel(voxel: Voxel, out: NDArray[np.float64]) -> int:
    """Fit one voxel, and replace the best fit by the estimates from the posterior."""
    n_b = voxel.signal.size
    options = voxel.options
    box = pool_bounds(voxel.lower, voxel.upper, options)
    fit = global_fit(voxel, box)
    cleaned = voxel
    search = search_rows_in_kernel(int(options[N_SLOW])) * voxel.table.shape[1]
    if options[TAKES_FLOOR_OFF] > 0.0:
        clean = voxel.work[search : search + n_b]
        noise = noise_of_floor(voxel, fit.cost)
        without_floor(voxel, _amplitudes_and_rates(fit), noise, clean)
        cleaned = with_signal(voxel, clean)
        fit = global_fit(cleaned, box)
    code = store_pools(fit, options, box, out[: voxel.lower.size + 2])
    if code & _FAILED != 0:
        return code
    work = voxel.work[search + n_b :]
    failure = posterior_voxel(cleaned, voxel.signal, fit, box, work, out)
    return failure if failure != 0 else code


@pasted
def write_posteriors(
    part: int,
    voxels: Voxels,
    scratch: tuple[NDArray[np.float64], ...],
    counters: NDArray[np.int64],
    out: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    """Do a part of what `fit_voxel` does behind the best fits, which are in the scratch.

    The part `_CLEAN` writes the signals to the scratch, without their noise floor if that is to be
    subtracted; then the best fits are found again. The other part writes the posteriors.
    """
    n_b, n_voxels = voxels.root_weight.size, status.size
    work, _, _, measured, each = scratch
    options, sigma = voxels.options, voxels.sigma
    box = pool_bounds(voxels.lower, voxels.upper, options)
    fits = matrix(each, n_voxels, FIT_COLUMNS)
    cleaned = matrix(each[n_voxels * FIT_COLUMNS :], n_voxels, n_b)
    for v in range(n_voxels):
        voxel = _of_chunk(voxels, sigma[min(v, sigma.size - 1)], cleaned[v], work)
        fit = stored_fit(fits, v)
        if part == _CLEAN:
            # That it has a signal was found out before the fit, whatever its end.
            unusable = status[v] & _UNUSABLE != 0
            for j in range(n_b):
                used = voxels.root_weight[j] > 0.0 and not unusable
                cleaned[v, j] = voxels.signals[v, j] if used else 0.0
            if options[TAKES_FLOOR_OFF] > 0.0 and not unusable:
                status[v] = 0
                noise = noise_of_floor(voxel, fit.cost)
                without_floor(voxel, _amplitudes_and_rates(fit), noise, cleaned[v])
        elif status[v] & _FAILED == 0:
            for j in range(n_b):
                measured[j] = voxels.signals[v, j] if voxels.root_weight[j] > 0.0 else 0.0
            failure = posterior_voxel(voxel, measured, fit, box, work, out[v])
            status[v] = failure if failure != 0 else status[v]


@pasted
def _of_chunk(
    voxels: Voxels, noise: float, signal: NDArray[np.float64], work: NDArray[np.float64]
) -> Voxel:
    """Return a voxel of a chunk with a signal of its own."""
    return Voxel(
        voxels.x, voxels.root_weight, signal, noise, voxels.lower, voxels.upper, voxels.lower,
        voxels.options, voxels.table, work,
    )  # fmt: skip


def posterior_batch(model: SignalModel, plan: VoxelPlan, n_rows: int) -> Batch | None:
    """Return the function for many voxels: of a model with two rates and without fixed values.

    A fixed value may differ from voxel to voxel, and a map of one value gives the same bits as
    that value.
    """
    decays = model.two_decays()
    two_rates = decays is not None and decays.fast is not None
    if not (two_rates and all(p.lower < p.upper for p in model.parameters)):
        return None
    n_slow, n_fast = int(plan.options[N_SLOW]), int(plan.options[N_FAST])
    search, *rest = lane_scratch(n_rows, n_slow, n_fast, plan.table.shape[1])
    lattice = lattice_scratch(n_rows, int(plan.options[N_FRACTION_KNOTS]))
    steps = [Step(fit_voxels), Step(write_posteriors, _CLEAN), Step(write_posteriors, _POSTERIOR)]
    if plan.options[TAKES_FLOOR_OFF] > 0.0:
        steps.insert(2, Step(fit_voxels, signals=FIT_COLUMNS))
    return Batch(tuple(steps), (max(search, lattice), *rest), FIT_COLUMNS + n_rows, N_COUNTERS)


@dataclass(frozen=True)
class PosteriorMethod(TwoDecayMethod):
    """Base of the methods with a posterior: prior and noise variance may be learned from the scan.

    `ivimkit.fitting.training.learned_method` replaces them by what was learned.
    """

    full_fit: ClassVar[bool] = False
    voxel = staticmethod(fit_voxel)

    prior: str | Prior | PriorTable | ModelPrior = "auto"
    noise: str = field(default="rician", metadata={"choices": NOISE})
    variance: str | tuple[float, float] = "scan"
    floor: str | float = field(default=FLOOR_AUTO, kw_only=True)

    def __post_init__(self) -> None:
        check_noise_kind(self.noise, known=NOISE)
        object.__setattr__(self, "floor", _floor(self.floor))
        if not isinstance(self.prior, PriorTable | ModelPrior):
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
                    f"prior is {prior!r}; expected the name of a prior with its options, or the "
                    "table itself. A table is in the prior.npz of a result",
                    python="It is in result.priors, or in a file of ivimkit.save_prior",
                )
            options = {**options, "prior": priors.get(**prior)}
        method = super().from_options(**options)
        assert isinstance(method, PosteriorMethod)
        return method

    def options(self) -> dict[str, Any]:
        """Return all options with their values; of a table, the name of the prior that made it."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if isinstance(self.prior, Prior):
            found["prior"] = {"name": self.prior.name, **self.prior.options()}
        elif isinstance(self.prior, PriorTable | ModelPrior):
            found["prior"] = {"table": self.prior.rule}
        return found

    @property
    def wants_floor(self) -> bool:
        """Whether the noise of the floor is to be measured in the scan."""
        return self.noise == "rician" and self.floor == FLOOR_AUTO

    def with_floor(self, sigma: float) -> Self:
        """Return the method with the noise that sizes the floor, a.u."""
        return replace(self, floor=sigma)

    @property
    def floor_noise(self) -> float:
        """The noise that sizes the floor, a.u.; 0 for that of each voxel."""
        return 0.0 if isinstance(self.floor, str) else self.floor

    @property
    def estimate_number(self) -> int:
        """The estimate of a model that is not two decays: 0 is the mean, 1 the median."""
        return 0

    @property
    def rule(self) -> Prior | None:
        """The prior that has to be tabulated; None if it is a table."""
        if isinstance(self.prior, PriorTable | ModelPrior):
            return None
        return priors.get(self.prior)

    @property
    def learns(self) -> bool:
        """Whether the prior or the noise variance comes from the scan."""
        if isinstance(self.prior, PriorTable | ModelPrior):
            return self.variance == "scan" or self.prior.near
        return self.variance == "scan" or priors.get(self.prior).trains

    def with_table(self, table: PriorTable | ModelPrior, variance: tuple[float, float]) -> Self:
        """Return the method with everything that it may have to learn from a scan."""
        return replace(self, prior=table, variance=variance)

    def voxel_of(self, model: SignalModel) -> Callable[..., Any]:
        """Return the voxel function: a fast one for two decays of b, or that of the model."""
        if model.two_decays() is not None:
            return self.voxel
        return posterior_function(model.structure)

    def takes_gpu(self, model: SignalModel) -> bool:
        """Return whether the model is a sum of two decays: points of others take 1 MB a voxel."""
        return model.two_decays() is not None

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the posterior cannot be integrated, or prior or bounds do not fit."""
        two_decays = model.two_decays() is not None
        if two_decays:
            super().check(model, acquisition)
        else:
            check_model(model, self.name)
        s0 = model["S0"]
        if s0.lower > 0.0 or math.isfinite(s0.upper):
            raise OptionError(
                f"S0 is bound to {s0.lower:g} to {s0.upper:g}; method {self.name} integrates over "
                "all S0. Leave S0 free, or use method varpro"
            )
        if isinstance(self.prior, PriorTable | ModelPrior):
            if isinstance(self.prior, PriorTable) != two_decays:
                raise wrong_model(self.prior.model, model)
            self.prior.check(model)
        elif not two_decays and not priors.get(self.prior).any_model:
            known = [name for name in priors.names() if priors.get(name).any_model]
            raise OptionError(
                f"prior {priors.get(self.prior).name} is one of D, D* and f, and model "
                f"{model.name} has other parameters; expected prior {', '.join(known)}"
            )

    def batch(self, model: SignalModel, plan: VoxelPlan, n_rows: int) -> Batch | None:
        """Return the function that finds the best fits of many voxels side by side."""
        return posterior_batch(model, plan, n_rows)

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the dictionary of decays and room for the lattice, or what points need."""
        if model.two_decays() is None:
            degrees, scale = (0.0, 0.0) if isinstance(self.variance, str) else self.variance
            constant = evidence_constant((degrees, scale), int(np.count_nonzero(weight)))
            prior = self.prior
            if not isinstance(prior, ModelPrior):
                assert self.rule is not None
                prior = self.rule.for_model(model)
            noise = self.noise, self.floor_noise, degrees, scale, constant
            return posterior_plan(model, x, weight, prior, noise, estimate=self.estimate_number)
        return with_room(super().plan(model, x, weight), x.shape[1])


def _floor(value: object) -> str | float:
    """Return the noise of the floor as it was given; refuse what is neither auto nor a number."""
    if value == FLOOR_AUTO:
        return FLOOR_AUTO
    with contextlib.suppress(TypeError, ValueError):
        # Of the command line it is a text.
        number = float(value)  # type: ignore[arg-type]
        if 0.0 < number < math.inf:
            return number
    raise OptionError(
        f"floor is {value!r}; expected auto, or the standard deviation of the noise of one "
        "volume, > 0, in the unit of the scan. To subtract no noise floor, use noise gaussian"
    )


def with_room(plan: VoxelPlan, n_b: int) -> VoxelPlan:
    """Return the plan with scratch behind that of the search: signal, lattice, knots of f."""
    n_knots = int(plan.options[N_FRACTION_KNOTS])
    return replace(plan, scratch=plan.scratch + n_b + lattice_scratch(n_b, n_knots))


def posterior_options(
    table: PriorTable,
    variance: tuple[float, float],
    n_b: int,
    noise: str,
    estimate: int = 0,
    *,
    floor: float = 0.0,
    basis: bool = False,
    log_moments: bool = False,
) -> dict[int, ArrayLike]:
    """Return the options of a posterior, by position.

    The positions are those of `ivimkit.kernels.two_decays.lattice.lattice_options`.
    """
    degrees, scale = variance
    n_slow, n_fast, n_fraction = (axis.size for axis in table.knots)
    slow, fast, fraction = table.knots
    volume = 1.0
    for axis in (slow, fast, fraction):
        if axis.size > 1:
            volume *= float(axis[-1] - axis[0])
    constant = evidence_constant(variance, n_b)
    arrays = [*table.axes(), *table.marginals(), table.density.ravel()]
    return {
        ESTIMATE: estimate,
        NOISE_DEGREES: degrees,
        NOISE_SCALE: scale,
        N_VALUES: n_b,
        N_SLOW_KNOTS: n_slow,
        N_FAST_KNOTS: n_fast,
        N_FRACTION_KNOTS: n_fraction,
        IS_FLAT: table.flat,
        LOG_DENSITY: -math.log(volume) if table.flat else 0.0,
        POWER_CONSTANT: constant,
        WRITES_BASIS: basis,
        WRITES_MOMENTS: log_moments,
        TAKES_FLOOR_OFF: noise == "rician",
        FLOOR_NOISE: floor,
        FLOOR_TABLE: excess_table(),
        PRIOR: np.concatenate(arrays),
    }


def evidence_constant(variance: tuple[float, float], n_b: int) -> float:
    """Return what the integral over the noise variance adds to the evidence."""
    degrees, scale = variance
    # Constants of the integral over the noise variance: Gamma((nu + n - 1) / 2) of the integral,
    # (2 pi)^(-(n - 1) / 2) of the likelihood, and (nu s / 2)^(nu / 2) / Gamma(nu / 2) of the
    # prior; for Jeffreys' prior of sigma, dv / (2 v), a factor 1/2.
    power = degrees + n_b - 1.0
    constant = math.lgamma(0.5 * power) - 0.5 * (n_b - 1.0) * math.log(2.0 * math.pi)
    if degrees > 0.0 and scale > 0.0:
        constant += 0.5 * degrees * math.log(0.5 * degrees * scale) - math.lgamma(0.5 * degrees)
    else:
        constant -= math.log(2.0)
    return constant
