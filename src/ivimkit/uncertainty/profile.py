"""Profile: the range of a parameter in which the others can still explain the data."""

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
from ivimkit.kernels.covariance import invert, matrix_columns, normal_matrix, normal_rows
from ivimkit.kernels.memory import matrix
from ivimkit.kernels.voxel import Found, Tables, Voxel, with_bounds
from ivimkit.status import FAILED, FitStatus

# Options: number of values with a weight, whether each parameter is selected (2: in its
# logarithm), then Student quantiles for 0, 1 and more degrees of freedom, and finally the normal
# quantile.
_N_USED, _SELECTED = 0, 1
_LOGARITHMIC = 2.0
# Scratch for the parameters and all other values that a method writes.
_N_VALUES = 128

# Error of a limit, relative to its distance from the estimate: far below the effect of noise.
_MAX_RELATIVE_ERROR = 3e-4
_MAX_REFITS = 50
# Width of a bracket, relative to its distance from the estimate, at which it is closed; rounding.
_MIN_BRACKET = 1e-4
_MAX_ROUNDING = 1e-15
# Factor by which the next step may be longer while the limit is not bracketed.
_MAX_REACH = 4.0
# Smallest share of a bracket that a secant may cut off.
_MIN_BRACKET_SHARE = 0.05
# First step where the slopes do not determine it: in the logarithm, and as a share of the distance
# to the bound.
_FIRST_LOG_STEP = 0.5
_FIRST_STEP = 0.05
# Smallest rate of a search in the logarithm, mm^2/s.
_MIN_RATE = 1e-6

_NO_SD = int(FitStatus.SD_NOT_AVAILABLE)
_FAILED = int(FAILED)


def fit_voxel(*_: Any) -> int:
    """Stand for the voxel function of the method."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def _limit(
    voxel: Voxel,
    values: NDArray[np.float64],
    k: int,
    bound: float,
    logarithmic: bool,
    step: float,
    rise: float,
    trial: NDArray[np.float64],
) -> float:
    """Return where the minimum cost with parameter `k` fixed has risen by `rise`; NaN if unknown.

    Near the minimum the rise is quadratic in the parameter, so its root z is nearly linear, and
    secants of z lead to the limit in a few refits. The bounds of the voxel are arrays that may be
    written to.
    """
    low, high = voxel.lower, voxel.upper
    n = low.size
    own_low, own_high = low[k], high[k]
    here = math.log(max(values[k], _MIN_RATE)) if logarithmic else values[k]
    end = math.log(max(bound, _MIN_RATE)) if logarithmic else bound
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
    for _ in range(_MAX_REFITS):
        if not bracketed and abs(at - here) >= abs(end - here):
            at = end
        value = math.exp(at) if logarithmic else at
        if at == end and not bracketed:
            value = bound
        low[k] = high[k] = value
        code = fit_voxel(voxel, trial)
        z = math.inf if code & _FAILED else math.sqrt(max(trial[n] - values[n], 0.0))
        if abs(z - target) <= _MAX_RELATIVE_ERROR * target:
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
            reach = target / z_inner if z_inner > 0.0 else _MAX_REACH
            # A flat profile always predicts a limit close by: make each step longer.
            farther = min(1.3 * farther, _MAX_REACH)
            at = here + min(max(reach, farther), _MAX_REACH) * (inner - here)
            continue
        width = abs(outer - inner)
        if width <= _MIN_BRACKET * abs(outer - here) + _MAX_ROUNDING * abs(outer):
            # The cost jumps here: that is the limit, if the refit beyond it did not fail.
            limit = value if z_outer < math.inf else math.nan
            break
        share = 0.5
        if z_outer < math.inf and width < 0.5 * older:
            share = min(
                max((target - z_inner) / (z_outer - z_inner), _MIN_BRACKET_SHARE),
                1.0 - _MIN_BRACKET_SHARE,
            )
        older = before if share != 0.5 else math.inf
        before = width
        at = inner + share * (outer - inner)
    low[k], high[k] = own_low, own_high
    return limit


def _estimate(voxel: Voxel, found: Found, tables: Tables, out: NDArray[np.float64]) -> int:
    n = voxel.lower.size
    values, lower, upper, options = found.values, voxel.lower, voxel.upper, tables.options
    n_free = 0
    for i in range(n):
        n_free += 1 if lower[i] < upper[i] else 0
    quantile = options[options.size - 1]
    variance = voxel.sigma * voxel.sigma
    if not voxel.sigma > 0.0:
        degrees = int(options[_N_USED]) - n_free
        if degrees < 1:
            return _NO_SD
        variance = values[n] / degrees
        quantile = options[_SELECTED + n + degrees]
    rise = quantile * quantile * variance
    rows, columns = normal_rows(n), matrix_columns(n)
    work = matrix(tables.work, rows, columns)
    normal_matrix(voxel.x, voxel.root_weight, values, n, work)
    for i in range(n):
        if lower[i] == upper[i]:
            for k in range(n):
                work[n + i, k] = work[n + k, i] = 0.0
    known = invert(work, n, n)
    rest = tables.work[rows * columns :]
    low, high, trial = rest[:n], rest[n : 2 * n], rest[2 * n : 2 * n + values.size]
    trials = with_bounds(voxel, low, high)
    for i in range(n):
        low[i], high[i] = lower[i], upper[i]
    missing = False
    n_out = 0
    for k in range(n):
        if options[_SELECTED + k] == 0.0:
            continue
        n_out += 1
        if lower[k] == upper[k]:
            continue
        logarithmic = options[_SELECTED + k] == _LOGARITHMIC
        own = work[n + k, k] if known else 0.0
        step = math.sqrt(rise * own) if own > 0.0 else 0.0
        if logarithmic:
            step = step / values[k] if step > 0.0 else _FIRST_LOG_STEP
        elif step == 0.0:
            step = _FIRST_STEP * (upper[k] - lower[k] if upper[k] < math.inf else values[k])
        lo = hi = values[k]
        for side in (-1.0, 1.0):
            limit = _limit(
                trials,
                values,
                k,
                lower[k] if side < 0.0 else upper[k],
                logarithmic,
                side * step,
                rise,
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

    The parameter is fixed to a value and all others are fitted again. The 95 % interval contains
    the values whose minimum sum of squares is at most ``t^2 sigma^2`` above that of the fit: with
    the noise given to `ivimkit.fit`, t = 1.96; without it, sigma is estimated from the residuals
    of the voxel, and t is Student's quantile of its degrees of freedom. Limits need not be
    symmetric and do not depend on whether a parameter or its logarithm is fitted, which makes a
    difference for D*.

    Where the data do not exclude any value up to a bound, the limit is the bound. The standard
    deviation is half the width of the interval divided by t: that of a normal distribution with
    this interval. A dozen or more fits per parameter make this slow.

    Parameters
    ----------
    parameters : tuple of str, optional
        Names of the parameters; all by default. The fewer, the faster.

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
            # Options from a file are lists.
            object.__setattr__(self, "parameters", tuple(self.parameters))

    def check(self, model: SignalModel, method: FitMethod) -> None:
        """Raise for an unknown parameter, or a method that does not minimise the cost."""
        for name in self.parameters or ():
            model.index(name)
        if not method.least_squares:
            raise OptionError(
                f"method {method.name} with its options does not minimise the sum of squares, and "
                "uncertainty profile measures how much that rises. Use method varpro "
                "for Gaussian noise, or uncertainty bootstrap"
            )

    def _selected(self, model: SignalModel) -> tuple[str, ...]:
        return tuple(
            name for name in model.names if self.parameters is None or name in self.parameters
        )

    def maps(self, model: SignalModel) -> tuple[str, ...]:
        """Return sd, lower and upper limit of each selected parameter."""
        return tuple(
            f"{name}_{what}" for name in self._selected(model) for what in ("sd", "lo", "hi")
        )

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the quantiles."""
        from scipy.special import stdtrit  # Slow to load, and few need it.

        selected = [
            0.0
            if p.name not in self._selected(model)
            else _LOGARITHMIC
            if p.scale == "log"
            else 1.0
            for p in model.parameters
        ]
        n_used = int(np.count_nonzero(weight))
        quantiles = stdtrit(np.arange(1, n_used + 1), 0.975)
        options = np.array([n_used, *selected, np.nan, *quantiles, stdtrit(np.inf, 0.975)])
        n = len(model.parameters)
        scratch = normal_rows(n) * matrix_columns(n) + 2 * n + _N_VALUES
        return VoxelPlan(options, np.zeros((1, 1)), scratch)


ESTIMATOR = Profile
