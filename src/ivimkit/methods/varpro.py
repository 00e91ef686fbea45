"""Variable projection: the global least-squares optimum inside the bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.extend.two_decay_method import TwoPoolMethod
from ivimkit.kernels.device import device, pasted
from ivimkit.kernels.magnitude import MORE_ROWS, magnitude_fit
from ivimkit.kernels.mean_magnitude import excess_tables, mean_magnitude_fit
from ivimkit.kernels.pools import EXTRA, pool_bounds, store_pools
from ivimkit.kernels.search import global_fit, ordered
from ivimkit.kernels.side_by_side import fit_side_by_side, stored_fit

NOISES = ("gaussian", "rician", "chi")
"""The distributions of noise that `VarPro` knows."""


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
    box = pool_bounds(lower, upper, options)
    fit = global_fit(
        b, root_weight, signal, box, int(options[4]), int(options[5]), options[6], table, work
    )
    return store_pools(fit, options, box, out)


@pasted
def _fit_voxels(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signals: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    memory: NDArray[np.float64],
    state: NDArray[np.float64],
    order: NDArray[np.int64],
    fits: NDArray[np.float64],
    clean: NDArray[np.float64],
    out: NDArray[np.float64],
    status: NDArray[np.int32],
) -> None:
    box = pool_bounds(lower, upper, options)
    fit_side_by_side(
        b, root_weight, signals, status, ordered(box), int(options[4]), int(options[5]),
        options[6], table, work, memory, state, order, fits, clean,
    )  # fmt: skip
    for v in range(signals.shape[0]):
        if status[v] == 0:
            status[v] = store_pools(stored_fit(fits, v), options, box, out[v])


@device
def _fit_magnitudes(
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
    box = pool_bounds(lower, upper, options)
    degrees = options[6]
    fit, variance = magnitude_fit(
        b, root_weight, signal, sigma, options[EXTRA], box,
        int(options[4]), int(options[5]), degrees, table, work,
    )  # fmt: skip
    # What counts as seen depends on the noise, and that is not what the residuals say.
    noise = variance * degrees if variance > 0.0 else fit[4]
    judged = fit[0], fit[1], fit[2], fit[3], noise, fit[5], fit[6], fit[7], fit[8]
    n = lower.size
    code = store_pools(judged, options, box, out[: n + 2])
    out[n] = fit[4]
    out[n + 2] = math.sqrt(variance)
    return code


@device
def _fit_means(
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
    box = pool_bounds(lower, upper, options)
    degrees = options[6]
    fit, variance = mean_magnitude_fit(
        b, root_weight, signal, sigma, options[EXTRA], box,
        int(options[4]), int(options[5]), degrees, options, EXTRA + 1, table, work,
    )  # fmt: skip
    noise = variance * degrees if variance > 0.0 else fit[4]
    judged = fit[0], fit[1], fit[2], fit[3], noise, fit[5], fit[6], fit[7], fit[8]
    n = lower.size
    code = store_pools(judged, options, box, out[: n + 2])
    out[n] = fit[4]
    out[n + 2] = math.sqrt(variance)
    return code


@final
@dataclass(frozen=True)
class VarPro(TwoPoolMethod):
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
    spread that is smaller. Their sigma, where it is not given, is that of the repeated volumes.

    Parameters
    ----------
    noise : {"gaussian", "rician", "chi"}
        Noise of the signal: that of complex or real data or of magnitudes well above the noise;
        that of magnitudes; that of a root of a sum of squares of several coils.
    coils : int
        Number of coils of noise ``"chi"``, >= 1; with one it is ``"rician"``.

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
    VarPro(noise='rician', coils=1)

    References
    ----------
    Golub GH, Pereyra V. Inverse Problems 2003;19:R1. doi:10.1088/0266-5611/19/2/201
    Farooq H et al. Sci Rep 2016;6:38927. doi:10.1038/srep38927
    Sijbers J et al. IEEE Trans Med Imaging 1998;17:357-361. doi:10.1109/42.712125
    """

    name: ClassVar[str] = "varpro"
    title: ClassVar[str] = "variable projection, global optimum"
    full_fit: ClassVar[bool] = True

    noise: str = field(default="gaussian", metadata={"choices": NOISES})
    coils: int = 1

    def __post_init__(self) -> None:
        if self.noise not in NOISES:
            raise OptionError(
                f"noise is {self.noise!r}; expected one of {', '.join(NOISES)}. Magnitude images "
                "of one coil, or of coils combined with their phases, are rician"
            )
        if self.coils < 1 or self.coils % 1 != 0:
            raise OptionError(f"coils is {self.coils!r}; expected a whole number >= 1")
        if self.coils != 1 and self.noise != "chi":
            raise OptionError(
                f"coils is {self.coils} with noise {self.noise}; expected 1. Several coils are "
                "noise chi"
            )

    @property
    def voxel(self) -> Callable[..., Any]:  # type: ignore[override]
        """The compiled voxel function: that of the noise, so that neither waits for the other."""
        return _fit_voxel if self.noise == "gaussian" else _fit_magnitudes

    def side_by_side(self, model: SignalModel) -> Callable[..., Any] | None:
        """Return the function for many voxels: of Gaussian noise and a model without fixed values.

        A fixed value may differ from voxel to voxel, and a map of one value gives the same bits as
        that value.
        """
        decays = model.two_decays()
        two_rates = decays is not None and decays.fast is not None
        free = all(p.lower < p.upper for p in model.parameters)
        s0 = model["S0"].lower, model["S0"].upper
        side_by_side = self.noise == "gaussian" and two_rates and free and s0 == (0.0, math.inf)
        return _fit_voxels if side_by_side else None

    @property
    def references(self) -> tuple[str, ...]:  # type: ignore[override]
        """The papers behind it: that of the likelihood of magnitudes only where it is used."""
        return _LEAST_SQUARES if self.least_squares else _LEAST_SQUARES + _MAGNITUDES

    @property
    def least_squares(self) -> bool:
        """Whether the noise is Gaussian; the likelihood of magnitudes is something else."""
        return self.noise == "gaussian"

    @property
    def takes_float32(self) -> bool:
        """Whether the noise is Gaussian; likelihoods are compared to the last digits."""
        return self.noise == "gaussian"

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

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> tuple[float, ...]:
        """Return the number of coils, if the noise has a part in the fit."""
        return () if self.noise == "gaussian" else (float(self.coils),)

    def plan(
        self, model: SignalModel, b: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the dictionary of decays; with noise of magnitudes also make room for those."""
        plan = super().plan(model, b, weight)
        return plan if self.noise == "gaussian" else _with_rows(plan, b.size, MORE_ROWS)


@final
@dataclass(frozen=True)
class _MeansOfMagnitudes(TwoPoolMethod):
    """What `VarPro` with noise of magnitudes is for values that are means of several."""

    name: ClassVar[str] = "varpro"
    title: ClassVar[str] = VarPro.title
    full_fit: ClassVar[bool] = True
    voxel = staticmethod(_fit_means)
    references: ClassVar[tuple[str, ...]] = _LEAST_SQUARES + _MAGNITUDES

    coils: int
    directions: tuple[float, ...]
    repeats: tuple[float, ...]

    @property
    def least_squares(self) -> bool:
        return False

    @property
    def measures_noise(self) -> bool:
        return True

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        return ("sigma",)

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> tuple[float, ...]:
        tables = excess_tables(self.coils, np.array(self.directions), np.array(self.repeats))
        return (float(self.coils), *tables.tolist())

    def plan(
        self, model: SignalModel, b: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        return _with_rows(super().plan(model, b, weight), b.size, 1)


def _with_rows(plan: VoxelPlan, n_b: int, more: int) -> VoxelPlan:
    """Return the plan with more rows of scratch, each as long as the signal."""
    rows, columns = plan.table.shape
    table = np.zeros((rows, max(columns, n_b)))
    table[:, :columns] = plan.table
    return VoxelPlan(plan.options, table, plan.work_rows + more)


METHOD = VarPro
