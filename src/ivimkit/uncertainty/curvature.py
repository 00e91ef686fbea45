"""Curvature: covariance of a least-squares fit from the slopes of the signal at the optimum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.covariance import invert, matrix_columns, normal_matrix, normal_rows
from ivimkit.kernels.memory import matrix
from ivimkit.kernels.voxel import Found, Tables, Voxel
from ivimkit.status import FitStatus

# Options: values with a weight, fraction, fast and slow rate, then Student quantiles of 0, 1
# and more degrees of freedom and at last the normal quantile.
_N_USED, _FRACTION, _FAST, _SLOW, _QUANTILES = 0, 1, 2, 3, 4
_NO_SD = int(FitStatus.SD_NOT_AVAILABLE)
_NO_FAST = int(FitStatus.PERFUSION_NOT_DETECTED)
_NO_SLOW = int(FitStatus.TISSUE_NOT_DETECTED)


def _estimate(voxel: Voxel, found: Found, tables: Tables, out: NDArray[np.float64]) -> int:
    n = voxel.lower.size
    values, lower, upper, options = found.values, voxel.lower, voxel.upper, tables.options
    work = matrix(tables.work, normal_rows(n), matrix_columns(n))
    normal_matrix(voxel.x, voxel.root_weight, values, n, work)
    n_free = 0
    missing = False
    for i in range(n):
        inside = lower[i] < values[i] < upper[i]
        n_free += 1 if inside else 0
        missing = missing or (not inside and lower[i] < upper[i])
    for i in range(n):
        if not lower[i] < values[i] < upper[i]:
            for k in range(n):
                work[n + i, k] = work[n + k, i] = 0.0
    quantile = options[options.size - 1]
    variance = voxel.sigma * voxel.sigma
    if not voxel.sigma > 0.0:
        degrees = int(options[_N_USED]) - n_free
        if degrees < 1:
            return _NO_SD
        variance = values[n] / degrees
        quantile = options[_QUANTILES + degrees]
    if not invert(work, n, n):
        return _NO_SD
    fraction, fast, slow = int(options[_FRACTION]), int(options[_FAST]), int(options[_SLOW])
    for i in range(n):
        own = variance * work[n + i, i]
        unseen = (i == fast and found.status & _NO_FAST != 0) or (
            i == slow and found.status & _NO_SLOW != 0
        )
        missing = missing or unseen
        if own > 0.0 and not unseen:
            sd = math.sqrt(own)
            out[i] = sd
            out[n + i] = values[i] - quantile * sd
            out[2 * n + i] = values[i] + quantile * sd
    if fraction >= 0 and fast >= 0 and out[fraction] > 0.0 and out[fast] > 0.0:
        f, rate = values[fraction], values[fast]
        joint = variance * work[n + fraction, fast]
        both = (rate * out[fraction]) ** 2 + (f * out[fast]) ** 2 + 2.0 * f * rate * joint
        sd = math.sqrt(max(both, 0.0))
        out[3 * n] = sd
        out[3 * n + 1] = f * rate - quantile * sd
        out[3 * n + 2] = f * rate + quantile * sd
        out[3 * n + 3] = joint / (out[fraction] * out[fast])
    return _NO_SD if missing else 0


@final
@dataclass(frozen=True)
class Curvature(Estimator):
    """Standard deviations from the curvature of the sum of squares at its minimum.

    The covariance of the parameters is ``sigma^2 (J' W J)^-1`` with the slopes J of the signal at
    the estimates. sigma is the noise given to `ivimkit.fit`, or else comes from the residuals of
    the voxel with its degrees of freedom (`ivimkit.fit` with ``sigma=None``). Intervals are
    symmetric: 1.96 standard deviations, or Student's quantile where sigma was estimated.

    A parameter at a bound has no curvature there, and D* none to speak of where f is not
    distinguishable from 0: both get NaN and a status, and so do all parameters where no degree
    of freedom is left. The approximation is good where the parameters are well determined.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1), snr=100).dwi
    >>> result = ik.fit(dwi, uncertainty="curvature")
    >>> result.sd["D"].shape
    (16, 12, 1)

    References
    ----------
    Seber GAF, Wild CJ. Nonlinear Regression, 1989, chapter 5. doi:10.1002/0471725315
    """

    name: ClassVar[str] = "curvature"
    title: ClassVar[str] = "curvature of the sum of squares at its minimum"
    voxel = staticmethod(_estimate)
    references: ClassVar[tuple[str, ...]] = (
        "Seber GAF, Wild CJ. Nonlinear Regression. Wiley, 1989. doi:10.1002/0471725315",
    )

    def check(self, model: SignalModel, method: FitMethod) -> None:
        """Accept every model and method."""

    def maps(self, model: SignalModel) -> tuple[str, ...]:
        """Return sd, lower and upper limits, and the correlation of f and D*."""
        names = tuple(f"{name}_{what}" for what in ("sd", "lo", "hi") for name in model.names)
        pools = model.pools
        if pools is None or pools.fraction is None or pools.fast is None:
            return names
        return (*names, "fD_star_sd", "fD_star_lo", "fD_star_hi", "corr_f_D_star")

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the quantiles."""
        pools = model.pools

        def position(name: str | None) -> int:
            return -1 if name is None else model.index(name)

        places = (
            (-1, -1, -1)
            if pools is None
            else (position(pools.fraction), position(pools.fast), position(pools.slow))
        )
        n_used = int(np.count_nonzero(weight))
        quantiles = stdtrit(np.arange(1, n_used + 1), 0.975)
        options = np.array([n_used, *places, np.nan, *quantiles, stdtrit(np.inf, 0.975)])
        n = len(model.parameters)
        return VoxelPlan(options, np.zeros((1, 1)), normal_rows(n) * matrix_columns(n))


ESTIMATOR = Curvature
