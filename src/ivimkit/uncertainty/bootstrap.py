"""Bootstrap: the scatter of refits to signals with resampled residuals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.device import device
from ivimkit.kernels.voxel import Found, Tables, Voxel, with_signal
from ivimkit.status import FAILED, FitStatus

KINDS = ("residual", "wild")
"""Ways to resample residuals."""

# Options: values with a weight, number of replicates, whether signs are drawn, positions of the
# fraction and of the fast rate.
_N_USED, _REPLICATES, _WILD, _PRODUCTS = 0, 1, 2, 3
# Scratch for the parameters and all other values that a method writes.
_N_VALUES = 128
# With fewer replicates, the 2.5 % percentile is not defined.
_MIN_REFITS = 40
# Largest share of the replicates that may fail.
_MAX_FAILED_SHARE = 0.1

_NO_SD = int(FitStatus.SD_NOT_AVAILABLE)
_FAILED = int(FAILED)


def fit_voxel(*_: Any) -> int:
    """Stand for the voxel function of the method."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def signal_kernel(*_: Any) -> tuple[float, Any]:
    """Stand for the kernel of the model."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


@device
def _sort(values: NDArray[np.float64], n: int) -> None:
    """Sort the first `n` values in place (Shell's method: without memory or recursion)."""
    gap = 1
    while 3 * gap < n:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, n):
            value = values[i]
            j = i
            while j >= gap and values[j - gap] > value:
                values[j] = values[j - gap]
                j -= gap
            values[j] = value
        gap //= 3


@device
def _percentile(values: NDArray[np.float64], n: int, share: float) -> float:
    """Return the percentile of `n` sorted values, interpolated."""
    place = share * (n - 1)
    below = min(int(place), n - 2)
    found: float = values[below] + (place - below) * (values[below + 1] - values[below])
    return found


@device
def _summarise(values: NDArray[np.float64], n: int, out: NDArray[np.float64], first: int) -> None:
    """Write standard deviation and 95 % limits of `n` values to `out`; sorts the values."""
    mean = 0.0
    for r in range(n):
        mean += values[r] / n
    square = 0.0
    for r in range(n):
        square += (values[r] - mean) ** 2
    _sort(values, n)
    out[first] = math.sqrt(square / (n - 1))
    out[first + 1] = _percentile(values, n, 0.025)
    out[first + 2] = _percentile(values, n, 0.975)


def _estimate(voxel: Voxel, found: Found, tables: Tables, out: NDArray[np.float64]) -> int:
    n, n_rows = voxel.lower.size, voxel.signal.size
    lower, upper, options, work = voxel.lower, voxel.upper, tables.options, tables.work
    root_weight = voxel.root_weight
    n_used, replicates = int(options[_N_USED]), int(options[_REPLICATES])
    wild = options[_WILD] > 0.0
    n_products = (options.size - _PRODUCTS) // 2
    degrees = n_used
    for i in range(n):
        degrees -= 1 if lower[i] < upper[i] else 0
    if degrees < 1:
        return _NO_SD
    # The fit absorbs a part of the errors: n values and p free parameters leave residuals with the
    # expected sum of squares (n - p) sigma^2, so sqrt(n / (n - p)) restores their size. Weighted
    # by the root of the weight, all errors have the same variance and can change places.
    inflation = math.sqrt(n_used / degrees)
    mean = 0.0
    curve, residual = work[:n_rows], work[n_rows : 2 * n_rows]
    noisy, rest = work[2 * n_rows : 3 * n_rows], work[3 * n_rows :]
    trial, values = rest[: found.values.size], rest[_N_VALUES:]
    for j in range(n_rows):
        curve[j] = signal_kernel(voxel.x, j, found.values)[0]
        residual[j] = inflation * root_weight[j] * (voxel.signal[j] - curve[j])
        mean += residual[j] / n_used
    refitted = with_signal(voxel, noisy)
    good = 0
    for r in range(replicates):
        for j in range(n_rows):
            noisy[j] = 0.0
            if root_weight[j] > 0.0:
                if wild:
                    error = tables.table[r, j] * residual[j]
                else:
                    error = residual[int(tables.table[r, j])] - mean
                noisy[j] = curve[j] + error / root_weight[j]
        end = fit_voxel(refitted, trial)
        if end & _FAILED == 0:
            for i in range(n):
                values[i * replicates + good] = trial[i]
            for k in range(n_products):
                one, two = int(options[_PRODUCTS + 2 * k]), int(options[_PRODUCTS + 2 * k + 1])
                values[(n + k) * replicates + good] = trial[one] * trial[two]
            good += 1
    if good < (1.0 - _MAX_FAILED_SHARE) * replicates:
        return _NO_SD
    for i in range(n):
        if lower[i] < upper[i]:
            _summarise(values[i * replicates :], good, out, 3 * i)
    for k in range(n_products):
        _summarise(values[(n + k) * replicates :], good, out, 3 * (n + k))
    return 0


@final
@dataclass(frozen=True)
class Bootstrap(Estimator):
    """Bootstrap: refit signals made of the fitted curve and resampled residuals.

    ``"residual"`` draws centred residuals with replacement; ``"wild"`` leaves each at its b-value
    and draws its sign, for noise that differs between b-values. Both scale the residuals by the
    root of ``n / (n - p)``, with n values and p free parameters, and by the root of the number of
    averages. The standard deviation and the 95 % interval (percentiles) are those of the refitted
    parameters. The noise given to `ivimkit.fit` is not used.

    It can be used with every method, including those that do not minimise a sum of squares; it
    does not include a bias of the method. All voxels share one table of random numbers: the same
    seed gives the same maps, whatever the threads or the mask. Where the estimate is at a bound,
    or f is close to 0, the bootstrap is not consistent: its limits are not reliable there.

    Parameters
    ----------
    kind : {"residual", "wild"}
        What is drawn: residuals or their signs.
    n : int
        Number of refits, 40 or more. With 200 the limits scatter by about a tenth of the width.
    seed : int
        Seed of the draws.

    Raises
    ------
    OptionError
        If an option is out of range.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1), snr=100).dwi
    >>> result = ik.fit(dwi, method="segmented", uncertainty=ik.uncertainty.Bootstrap(n=100))
    >>> result.sd["f"].shape
    (16, 12, 1)

    References
    ----------
    Efron B. Ann Stat 1979;7:1-26. doi:10.1214/aos/1176344552
    Wu CFJ. Ann Stat 1986;14:1261-1295. doi:10.1214/aos/1176350142
    """

    name: ClassVar[str] = "bootstrap"
    title: ClassVar[str] = "bootstrap of the residuals"
    voxel = staticmethod(_estimate)
    references: ClassVar[tuple[str, ...]] = (
        "Efron B. Bootstrap methods: another look at the jackknife. Ann Stat 1979;7:1-26. "
        "doi:10.1214/aos/1176344552",
        "Wu CFJ. Jackknife, bootstrap and other resampling methods in regression analysis. "
        "Ann Stat 1986;14:1261-1295. doi:10.1214/aos/1176350142",
    )

    kind: str = "residual"
    n: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionError(
                f"kind of bootstrap is {self.kind!r}; expected one of {', '.join(KINDS)}"
            )
        if self.n != int(self.n) or self.n < _MIN_REFITS:
            raise OptionError(
                f"n of bootstrap is {self.n!r}; expected a whole number >= {_MIN_REFITS}, "
                "as fewer refits do not define a 95 % interval"
            )
        if self.seed != int(self.seed) or self.seed < 0:
            raise OptionError(f"the seed is {self.seed!r}; expected a whole number >= 0")

    def check(self, model: SignalModel, method: FitMethod) -> None:
        """Accept every model and method."""

    def maps(self, model: SignalModel) -> tuple[str, ...]:
        """Return sd, lower and upper limit of each parameter and of products."""
        names = (*model.names, *(product.name for product in model.products))
        return tuple(f"{name}_{what}" for name in names for what in ("sd", "lo", "hi"))

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Draw the table of random numbers: a row per replicate, a column per b-value."""
        used = np.flatnonzero(weight)
        rng = np.random.default_rng(self.seed)
        wild = self.kind == "wild"
        shape = (self.n, used.size)
        table = np.zeros((self.n, x.shape[1]))
        table[:, used] = rng.choice((-1.0, 1.0), shape) if wild else rng.choice(used, shape)
        factors = [model.index(name) for product in model.products for name in product.factors]
        options = np.array([used.size, self.n, wild, *factors], dtype=np.float64)
        n_values = (len(model.names) + len(model.products)) * self.n
        return VoxelPlan(options, table, 3 * x.shape[1] + _N_VALUES + n_values)


ESTIMATOR = Bootstrap
