"""Variable projection: the global least-squares optimum inside the bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import Batch, FitMethod, Step, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.extend.two_decay_method import TwoDecayMethod
from ivimkit.kernels.device import device
from ivimkit.kernels.mean_excess import excess_tables
from ivimkit.kernels.separable.dictionary import plan as separable_plan
from ivimkit.kernels.separable.layout import MAX_COMPARTMENTS, Option
from ivimkit.kernels.separable.magnitude import magnitude_function, magnitude_plan
from ivimkit.kernels.separable.mean_magnitude import mean_magnitude_function, mean_magnitude_plan
from ivimkit.kernels.separable.voxel_fit import voxel_function
from ivimkit.kernels.two_decays.fitted_decays import Box, Fit, with_cost
from ivimkit.kernels.two_decays.lane_fit import fit_voxels
from ivimkit.kernels.two_decays.lane_schedule import FIT_COLUMNS, N_COUNTERS
from ivimkit.kernels.two_decays.lane_search import lane_scratch
from ivimkit.kernels.two_decays.magnitude import magnitude_fit, magnitude_scratch
from ivimkit.kernels.two_decays.mean_magnitude import mean_magnitude_fit, mean_magnitude_scratch
from ivimkit.kernels.two_decays.option_positions import DEGREES, N_FAST, N_SLOW, OWN
from ivimkit.kernels.two_decays.pools import pool_bounds, store_pools
from ivimkit.kernels.two_decays.search import global_fit
from ivimkit.kernels.voxel import Voxel
from ivimkit.noise.noise_kinds import NOISES, check_noise_kind
from ivimkit.scan.acquisition import Acquisition

# Own options: number of coils, noise of the floor, where the tables for means of magnitudes begin.
_COILS, _FLOOR, _EXCESS = OWN, OWN + 1, OWN + 2


_LEAST_SQUARES = (
    "Golub GH, Pereyra V. Separable nonlinear least squares: the variable projection method "
    "and its applications. Inverse Problems 2003;19:R1-R26. doi:10.1088/0266-5611/19/2/201",
    "Farooq H et al. Microstructure imaging of crossing (MIX) white matter fibers from "
    "diffusion MRI. Sci Rep 2016;6:38927. doi:10.1038/srep38927",
)
_MAGNITUDES = (
    "Sijbers J et al. Maximum-likelihood estimation of Rician distribution parameters. IEEE "
    "Trans Med Imaging 1998;17:357-361. doi:10.1109/42.712125",
)


@device
def _fit_voxel(voxel: Voxel, out: NDArray[np.float64]) -> int:
    box = pool_bounds(voxel.lower, voxel.upper, voxel.options)
    return store_pools(global_fit(voxel, box), voxel.options, box, out)


@device
def _store_magnitudes(
    fit: Fit, variance: float, voxel: Voxel, box: Box, out: NDArray[np.float64]
) -> int:
    """Write a fit of magnitudes, or of their means, with its sigma; return the status.

    Which compartments count as seen depends on the noise, not on the residuals.
    """
    options = voxel.options
    noise = variance * options[DEGREES] if variance > 0.0 else fit.cost
    judged = with_cost(fit, noise, fit.iterations)
    n = voxel.lower.size
    code = store_pools(judged, options, box, out[: n + 2])
    out[n] = fit.cost
    out[n + 2] = math.sqrt(variance)
    return code


@device
def _fit_magnitudes(voxel: Voxel, out: NDArray[np.float64]) -> int:
    options = voxel.options
    box = pool_bounds(voxel.lower, voxel.upper, options)
    fit, variance = magnitude_fit(voxel, options[_COILS], box)
    return _store_magnitudes(fit, variance, voxel, box, out)


@device
def _fit_means(voxel: Voxel, out: NDArray[np.float64]) -> int:
    options = voxel.options
    box = pool_bounds(voxel.lower, voxel.upper, options)
    fit, variance = mean_magnitude_fit(voxel, options[_COILS], options[_FLOOR], _EXCESS, box)
    return _store_magnitudes(fit, variance, voxel, box, out)


@final
@dataclass(frozen=True)
class VarPro(TwoDecayMethod):
    """Variable projection: the global least-squares optimum inside the bounds.

    The amplitudes S0 f and S0 (1-f) are eliminated in closed form with their constraints; a
    dictionary of decays finds the basins of the remaining two rates; Newton steps with an active
    set for the bounds finish each, and where one pool is left a slope test decides whether a
    second one could lower the cost. Deterministic, without threshold, starting values or
    logarithm: signals may be negative.

    This is the idea of MIX (Farooq 2016) with its random search and its convex solver replaced
    by closed forms.

    With ``noise="rician"`` or ``"chi"`` the result is the maximum of the likelihood of
    magnitudes in place of least squares, which takes the noise floor for signal: D too low, f too
    high. sigma is that given to `ivimkit.fit`, or else is estimated with the parameters of every
    voxel; either way it is stored as the map ``sigma``. ``cost``, ``rmse`` and ``r2`` still
    compare the magnitudes with the curve S(b), so that the noise floor is part of them. Of volumes
    that were averaged it is known what the mean of so many magnitudes is: the floor of one, and a
    spread that is smaller. Their sigma, where it is not given, is that of the repeated volumes,
    and their floor that of the noise which `ivimkit.noise.for_floor` finds in the scan.

    Parameters
    ----------
    noise : {"gaussian", "rician", "chi"}
        Noise of the signal: that of complex or real data or of magnitudes well above the noise;
        that of magnitudes; that of a root of a sum of squares of several coils.
    coils : int
        Number of coils of noise ``"chi"``, >= 1; with one it is ``"rician"``.
    robust : bool
        Whether volumes and single values that do not belong to the scan, such as dropouts, are
        found by a robust fit and left out first; `ivimkit.FitResult.screening` says which.

    Raises
    ------
    OptionError
        For an unknown noise, or a number of coils that does not fit it.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.methods.VarPro().full_fit
    True
    >>> ik.methods.VarPro(noise="rician")
    VarPro(noise='rician', coils=1, robust=False)

    References
    ----------
    Golub GH, Pereyra V. Inverse Problems 2003;19:R1. doi:10.1088/0266-5611/19/2/201
    Farooq H et al. Sci Rep 2016;6:38927. doi:10.1038/srep38927
    Sijbers J et al. IEEE Trans Med Imaging 1998;17:357-361. doi:10.1109/42.712125
    """

    name: ClassVar[str] = "varpro"
    title: ClassVar[str] = "variable projection"
    full_fit: ClassVar[bool] = True

    noise: str = field(default="gaussian", metadata={"choices": tuple(NOISES)})
    coils: int = 1
    robust: bool = False

    def __post_init__(self) -> None:
        check_noise_kind(self.noise, self.coils)

    @property
    def voxel(self) -> Callable[..., Any]:  # type: ignore[override]
        """The compiled voxel function: that of the noise, so that neither waits for the other."""
        return _fit_voxel if self.noise == "gaussian" else _fit_magnitudes

    def voxel_of(self, model: SignalModel) -> Callable[..., Any]:
        """Return the voxel function: a fast one for two decays of b, or that of the model."""
        if model.two_decays() is not None:
            return self.voxel
        function = voxel_function if self.noise == "gaussian" else magnitude_function
        return function(model.structure)

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the equation of the model is not known or has too many compartments."""
        if model.two_decays() is not None:
            super().check(model, acquisition)
            return
        if len(model.compartments) > MAX_COMPARTMENTS:
            raise OptionError(
                f"model {model.name} has {len(model.compartments)} compartments; method varpro "
                f"fits up to {MAX_COMPARTMENTS}. Use a model with fewer"
            )
        # Raises if the equation is not known.
        _ = model.structure

    def batch(self, model: SignalModel, plan: VoxelPlan, n_rows: int) -> Batch | None:
        """Return the function for many voxels: of Gaussian noise and a model without fixed values.

        A fixed value may differ from voxel to voxel, and a map of one value gives the same bits as
        that value.
        """
        decays = model.two_decays()
        two_rates = decays is not None and decays.fast is not None
        free = all(p.lower < p.upper for p in model.parameters)
        s0 = model["S0"].lower, model["S0"].upper
        if not (self.noise == "gaussian" and two_rates and free and s0 == (0.0, math.inf)):
            return None
        n_slow, n_fast = int(plan.options[N_SLOW]), int(plan.options[N_FAST])
        scratch = lane_scratch(n_rows, n_slow, n_fast, plan.table.shape[1])
        return Batch((Step(fit_voxels),), scratch, FIT_COLUMNS, N_COUNTERS)

    @property
    def references(self) -> tuple[str, ...]:  # type: ignore[override]
        """The papers behind it: that of the likelihood of magnitudes only where it is used."""
        return _LEAST_SQUARES if self.least_squares else _LEAST_SQUARES + _MAGNITUDES

    @property
    def least_squares(self) -> bool:
        """Whether the noise is Gaussian; the likelihood of magnitudes is something else."""
        return self.noise == "gaussian"

    def takes_float32(self, model: SignalModel) -> bool:
        """Return whether noise is Gaussian and the model a sum of two decays of b.

        Likelihoods are compared to the last digits, and so are the fits of other models.
        """
        return self.noise == "gaussian" and model.two_decays() is not None

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        """Return ``sigma``, if the noise has a part in the fit."""
        return () if self.noise == "gaussian" else ("sigma",)

    def for_means(
        self, directions: NDArray[np.float64], repeats: NDArray[np.float64]
    ) -> FitMethod:
        """Return what fits means of several magnitudes, if the noise has a part in the fit."""
        if self.noise == "gaussian":
            return self
        return _MeansOfMagnitudes(self.coils, tuple(directions), tuple(repeats))

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> Mapping[int, ArrayLike]:
        """Return the number of coils, if the noise has a part in the fit."""
        return {} if self.noise == "gaussian" else {_COILS: self.coils}

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the dictionary of decays; with noise of magnitudes also make room for those."""
        if model.two_decays() is None:
            plan = _separable_plan(model, x, weight)
            if self.noise == "gaussian":
                return plan
            more = magnitude_plan(
                model.structure, plan.options, plan.scratch, x.shape[1], self.coils
            )
            return replace(plan, options=more[0], scratch=more[1])
        plan = super().plan(model, x, weight)
        if self.noise == "gaussian":
            return plan
        return replace(plan, scratch=magnitude_scratch(x.shape[1], plan.scratch))


def _separable_plan(
    model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
) -> VoxelPlan:
    """Return the plan of a model of any compartments: a dictionary of tuples of atoms."""
    lower = np.array([parameter.lower for parameter in model.parameters])
    upper = np.array([parameter.upper for parameter in model.parameters])
    options, table, scratch = separable_plan(model.structure, lower, upper, x, weight)
    options = options.copy()
    # A parameter that maps fix is not free, although its values differ.
    options[Option().degrees] = np.count_nonzero(weight) - model.n_free
    return VoxelPlan(options, table[np.newaxis], scratch)


@final
@dataclass(frozen=True)
class _MeansOfMagnitudes(TwoDecayMethod):
    """What `VarPro` with noise of magnitudes is for values that are means of several."""

    name: ClassVar[str] = "varpro"
    title: ClassVar[str] = VarPro.title
    full_fit: ClassVar[bool] = True
    voxel = staticmethod(_fit_means)
    references: ClassVar[tuple[str, ...]] = _LEAST_SQUARES + _MAGNITUDES

    coils: int
    directions: tuple[float, ...]
    repeats: tuple[float, ...]
    floor: float = 0.0

    @property
    def wants_floor(self) -> bool:
        return True

    def with_floor(self, sigma: float) -> _MeansOfMagnitudes:
        return replace(self, floor=sigma)

    @property
    def least_squares(self) -> bool:
        return False

    @property
    def measures_noise(self) -> bool:
        return True

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        return ("sigma",)

    def voxel_of(self, model: SignalModel) -> Callable[..., Any]:
        if model.two_decays() is not None:
            return self.voxel
        return mean_magnitude_function(model.structure)

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> Mapping[int, ArrayLike]:
        tables = excess_tables(self.coils, np.array(self.directions), np.array(self.repeats))
        return {_COILS: self.coils, _FLOOR: self.floor, _EXCESS: tables}

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        if model.two_decays() is None:
            plan = _separable_plan(model, x, weight)
            directions, repeats = np.array(self.directions), np.array(self.repeats)
            options, scratch = mean_magnitude_plan(
                plan.options,
                plan.scratch,
                x.shape[1],
                self.coils,
                self.floor,
                directions,
                repeats,
            )
            return replace(plan, options=options, scratch=scratch)
        plan = super().plan(model, x, weight)
        return replace(plan, scratch=mean_magnitude_scratch(x.shape[1], plan.scratch))


METHOD = VarPro
