"""Profile: the range of a parameter at which the other parameters can still explain the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ivimkit.errors import OptionError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.covariance import BLOCK, MOST, invert, normal_matrix
from ivimkit.status import FAILED, FitStatus

# Options: values with a weight, whether each parameter is wanted (2: in its logarithm), then
# Student quantiles of 0, 1 and more degrees of freedom and at last the normal quantile.
_N_USED, _WANTED = 0, 1
_LOGARITHMIC = 2.0
# Rows of the scratch array behind those of the normal matrix.
_LOW, _HIGH, _TRIAL = 2 * MOST + 1, 2 * MOST + 2, 2 * MOST + 3
# Columns: room for the parameters and for all that a method writes beside them.
_COLUMNS = 4 * BLOCK

# Share of the way to the limit that it may be off: far less than noise makes of it.
_TOLERANCE = 3e-4
_MOST_REFITS = 50
# A bracket is closed at this share of its distance from the estimate; and what rounding leaves.
_CLOSED = 1e-4
_ROUNDING = 1e-15
# How many times farther a search may reach that has not found the limit.
_FARTHER = 4.0
# Least share of a bracket that a secant may cut off.
_LEAST = 0.05
# First step where the slopes tell none: of the logarithm, and as a share of the way to the bound.
_FIRST_LOG = 0.5
_FIRST = 0.05
# A rate that is searched in its logarithm is not 0.
_SLOWEST = 1e-6

_NO_SD = int(FitStatus.SD_NOT_AVAILABLE)
_FAILED = int(FAILED)


def fit_voxel(*_: Any) -> int:
    """Stand for the voxel function of the method."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def _limit(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    sigma: float,
    found: NDArray[np.float64],
    k: int,
    bound: float,
    logarithmic: bool,
    step: float,
    rise: float,
    start: NDArray[np.float64],
    method_options: NDArray[np.float64],
    method_table: NDArray[np.float64],
    method_work: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    trial: NDArray[np.float64],
) -> float:
    """Return where the least cost with parameter `k` fixed has risen by `rise`; NaN if unknown.

    The root of the rise is nearly linear in the parameter, so secants of it lead to the limit.
    """
    n = low.size
    own_low, own_high = low[k], high[k]
    here = math.log(max(found[k], _SLOWEST)) if logarithmic else found[k]
    end = math.log(max(bound, _SLOWEST)) if logarithmic else bound
    if here == end:
        return bound
    target = math.sqrt(rise)
    inner, z_inner = here, 0.0
    outer, z_outer = end, math.inf
    bracketed = False
    limit = math.nan
    at = here + step
    before = older = math.inf
    farther = 0.8
    for _ in range(_MOST_REFITS):
        if not bracketed and abs(at - here) >= abs(end - here):
            at = end
        value = math.exp(at) if logarithmic else at
        if at == end and not bracketed:
            value = bound
        low[k] = high[k] = value
        code = fit_voxel(
            b,
            root_weight,
            signal,
            sigma,
            low,
            high,
            start,
            method_options,
            method_table,
            method_work,
            trial,
        )
        z = math.inf if code & _FAILED else math.sqrt(max(trial[n] - found[n], 0.0))
        if abs(z - target) <= _TOLERANCE * target:
            limit = value
            break
        if z < target:
            if value == bound:
                limit = bound
                break
            inner, z_inner = at, z
        else:
            bracketed = True
            outer, z_outer = at, z
        if not bracketed:
            reach = target / z_inner if z_inner > 0.0 else _FARTHER
            # A flat profile promises a limit close by for ever: each step reaches farther.
            farther = min(1.3 * farther, _FARTHER)
            at = here + min(max(reach, farther), _FARTHER) * (inner - here)
            continue
        width = abs(outer - inner)
        if width <= _CLOSED * abs(outer - here) + _ROUNDING * abs(outer):
            # The cost jumps here: the limit is where it does, if the refit beyond was one.
            limit = value if z_outer < math.inf else math.nan
            break
        share = 0.5
        if z_outer < math.inf and width < 0.5 * older:
            share = min(max((target - z_inner) / (z_outer - z_inner), _LEAST), 1.0 - _LEAST)
        older = before if share != 0.5 else math.inf
        before = width
        at = inner + share * (outer - inner)
    low[k], high[k] = own_low, own_high
    return limit


def _estimate(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    sigma: float,
    found: NDArray[np.float64],
    code: int,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    start: NDArray[np.float64],
    method_options: NDArray[np.float64],
    method_table: NDArray[np.float64],
    method_work: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    n = lower.size
    n_free = 0
    for i in range(n):
        n_free += 1 if lower[i] < upper[i] else 0
    quantile = options[options.size - 1]
    variance = sigma * sigma
    if not sigma > 0.0:
        degrees = int(options[_N_USED]) - n_free
        if degrees < 1:
            return _NO_SD
        variance = found[n] / degrees
        quantile = options[_WANTED + n + degrees]
    rise = quantile * quantile * variance
    normal_matrix(b, root_weight, found, n, work)
    for i in range(n):
        if lower[i] == upper[i]:
            for k in range(n):
                work[MOST + i, k] = work[MOST + k, i] = 0.0
    known = invert(work, MOST, n)
    low, high, trial = work[_LOW][:n], work[_HIGH][:n], work[_TRIAL][: found.size]
    for i in range(n):
        low[i], high[i] = lower[i], upper[i]
    missing = False
    n_out = 0
    for k in range(n):
        if options[_WANTED + k] == 0.0:
            continue
        n_out += 1
        if lower[k] == upper[k]:
            continue
        logarithmic = options[_WANTED + k] == _LOGARITHMIC
        own = work[MOST + k, k] if known else 0.0
        step = math.sqrt(rise * own) if own > 0.0 else 0.0
        if logarithmic:
            step = step / found[k] if step > 0.0 else _FIRST_LOG
        elif step == 0.0:
            step = _FIRST * (upper[k] - lower[k] if upper[k] < math.inf else found[k])
        lo = hi = found[k]
        for side in (-1.0, 1.0):
            limit = _limit(
                b,
                root_weight,
                signal,
                sigma,
                found,
                k,
                lower[k] if side < 0.0 else upper[k],
                logarithmic,
                side * step,
                rise,
                start,
                method_options,
                method_table,
                method_work,
                low,
                high,
                trial,
            )
            if side < 0.0:
                lo = min(limit, lo) if limit == limit else limit
            else:
                hi = max(limit, hi) if limit == limit else limit
        first = 3 * (n_out - 1)
        out[first + 1], out[first + 2] = lo, hi
        out[first] = 0.5 * (hi - lo) / quantile
        missing = missing or not (lo <= hi)
    return _NO_SD if missing else 0


@final
@dataclass(frozen=True)
class Profile(Estimator):
    """Profile likelihood: all values of a parameter with which the others still explain the data.

    The parameter is fixed to a value and all others are fitted again. The 95 % interval holds the
    values whose least sum of squares is at most ``t^2 sigma^2`` above that of the fit: with the
    noise given to `ivimkit.fit`, t = 1.96; without it, sigma comes from the residuals of the
    voxel, and t is Student's quantile of its degrees of freedom. Limits need not be symmetric and
    do not depend on the scale a parameter is written in, which makes a difference for D*.

    Where no value up to a bound is excluded, the limit is the bound: the data do not say more. The
    standard deviation is half the width of the interval divided by t: that of a normal
    distribution with this interval. A dozen or more fits per parameter make this slow.

    Parameters
    ----------
    parameters : tuple of str, optional
        Names of the parameters to look at; all by default. The fewer, the faster.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1), snr=100).dwi
    >>> result = ik.fit(dwi, uncertainty=ik.uncertainty.Profile(parameters=("D", "D_star")))
    >>> low, high = result.interval["D_star"]
    >>> bool((low <= high)[result.status == 0].all())
    True

    References
    ----------
    Bates DM, Watts DG. Nonlinear Regression Analysis and Its Applications, 1988, chapter 6.
    doi:10.1002/9780470316757
    Raue A et al. Bioinformatics 2009;25:1923. doi:10.1093/bioinformatics/btp358
    """

    name: ClassVar[str] = "profile"
    title: ClassVar[str] = "profile likelihood"
    voxel = staticmethod(_estimate)
    references: ClassVar[tuple[str, ...]] = (
        "Bates DM, Watts DG. Nonlinear Regression Analysis and Its Applications. Wiley, 1988. "
        "doi:10.1002/9780470316757",
        "Raue A et al. Structural and practical identifiability analysis of partially observed "
        "dynamical models by exploiting the profile likelihood. Bioinformatics "
        "2009;25:1923-1929. doi:10.1093/bioinformatics/btp358",
    )

    parameters: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        given: object = self.parameters
        if isinstance(given, str):
            raise OptionError(
                f"parameters is {self.parameters!r}; expected a tuple of names, like ('D', 'f')"
            )
        if self.parameters is not None:
            # A record of options has lists.
            object.__setattr__(self, "parameters", tuple(self.parameters))

    def check(self, model: SignalModel, method: FitMethod) -> None:
        """Raise for an unknown parameter, or a method that does not look for the least cost."""
        for name in self.parameters or ():
            model.index(name)
        if not method.least_squares:
            raise OptionError(
                f"method {method.name} with its options does not look for the least sum of "
                "squares, and uncertainty profile is about how much that rises. Use method varpro "
                "for Gaussian noise, or uncertainty bootstrap"
            )
        if len(model.parameters) > MOST:
            raise OptionError(
                f"model {model.name} has {len(model.parameters)} parameters; uncertainty "
                f"profile serves up to {MOST}. Use bootstrap"
            )

    def _wanted(self, model: SignalModel) -> tuple[str, ...]:
        return tuple(
            name for name in model.names if self.parameters is None or name in self.parameters
        )

    def maps(self, model: SignalModel) -> tuple[str, ...]:
        """Return sd, lower and upper limit of each parameter that is wanted."""
        return tuple(
            f"{name}_{what}" for name in self._wanted(model) for what in ("sd", "lo", "hi")
        )

    def plan(
        self, model: SignalModel, b: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the quantiles."""
        wanted = [
            0.0 if p.name not in self._wanted(model) else _LOGARITHMIC if p.scale == "log" else 1.0
            for p in model.parameters
        ]
        n_used = int(np.count_nonzero(weight))
        quantiles = stdtrit(np.arange(1, n_used + 1), 0.975)
        options = np.array([n_used, *wanted, np.nan, *quantiles, stdtrit(np.inf, 0.975)])
        return VoxelPlan(options, np.zeros((1, _COLUMNS)), _TRIAL + 1)


ESTIMATOR = Profile
