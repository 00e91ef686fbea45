"""Curvature: covariance of a least-squares fit from the slopes of the signal at the optimum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.covariance import invert, matrix_columns, normal_matrix, normal_rows
from ivimkit.kernels.memory import matrix
from ivimkit.kernels.voxel import Found, Tables, Voxel
from ivimkit.status import FitStatus

# Options: number of values with a weight, number of products, for each parameter the status flag
# of voxels that do not determine it, the factors of each product, then Student quantiles for 0, 1
# and more degrees of freedom, and finally the normal quantile.
_N_USED, _N_PRODUCTS, _UNSEEN = 0, 1, 2
_NO_SD = int(FitStatus.SD_NOT_AVAILABLE)


def _estimate(voxel: Voxel, found: Found, tables: Tables, out: NDArray[np.float64]) -> int:
    n = voxel.lower.size
    values, lower, upper, options = found.values, voxel.lower, voxel.upper, tables.options
    n_products = int(options[_N_PRODUCTS])
    factors = _UNSEEN + n
    quantiles = factors + 2 * n_products
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
    # To first order the errors of the parameters are (J' W J)^-1 J' W e with errors e of the
    # variance sigma^2 / w, so their covariance is sigma^2 (J' W J)^-1.
    variance = voxel.sigma * voxel.sigma
    if not voxel.sigma > 0.0:
        degrees = int(options[_N_USED]) - n_free
        if degrees < 1:
            return _NO_SD
        variance = values[n] / degrees
        quantile = options[quantiles + degrees]
    if not invert(work, n, n):
        return _NO_SD
    for i in range(n):
        own = variance * work[n + i, i]
        unseen = found.status & int(options[_UNSEEN + i]) != 0
        missing = missing or unseen
        if own > 0.0 and not unseen:
            sd = math.sqrt(own)
            out[i] = sd
            out[n + i] = values[i] - quantile * sd
            out[2 * n + i] = values[i] + quantile * sd
    for k in range(n_products):
        one, two = int(options[factors + 2 * k]), int(options[factors + 2 * k + 1])
        if out[one] > 0.0 and out[two] > 0.0:
            # To first order var(x y) = (y sd_x)^2 + (x sd_y)^2 + 2 x y cov(x, y).
            x, y = values[one], values[two]
            joint = variance * work[n + one, two]
            both = (y * out[one]) ** 2 + (x * out[two]) ** 2 + 2.0 * x * y * joint
            sd = math.sqrt(max(both, 0.0))
            place = 3 * n + 4 * k
            out[place] = sd
            out[place + 1] = x * y - quantile * sd
            out[place + 2] = x * y + quantile * sd
            out[place + 3] = joint / (out[one] * out[two])
    return _NO_SD if missing else 0


@final
@dataclass(frozen=True)
class Curvature(Estimator):
    """Standard deviations from the curvature of the sum of squares at its minimum.

    The covariance of the parameters is ``sigma^2 (J' W J)^-1`` with the slopes J of the signal at
    the estimates. sigma is the noise given to `ivimkit.fit`, or else is estimated from the
    residuals of the voxel and their degrees of freedom (``sigma=None``). Intervals are symmetric:
    1.96 standard deviations, or Student's quantile where sigma was estimated.

    The approximation is not valid for a parameter at a bound, nor for D* where f is not
    distinguishable from 0: these get NaN and a status, and so do all parameters without a
    remaining degree of freedom. It is good where the parameters are well determined.

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
        """Raise for a method with a penalty, which the curvature of the cost knows nothing of."""
        if method.has_penalty:
            raise OptionError(
                f"method {method.name} minimises a penalty with the sum of squares, and "
                "uncertainty curvature is that of the sum of squares alone. Use uncertainty "
                "bootstrap"
            )

    def maps(self, model: SignalModel) -> tuple[str, ...]:
        """Return sd and limits; those of products too, with the correlation of the factors."""
        names = tuple(f"{name}_{what}" for what in ("sd", "lo", "hi") for name in model.names)
        products: list[str] = []
        for product in model.products:
            products += [f"{product.name}_{what}" for what in ("sd", "lo", "hi")]
            products.append(f"corr_{'_'.join(product.factors)}")
        return (*names, *products)

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the quantiles."""
        from scipy.special import stdtrit  # Slow to load.

        unseen = [model.unseen_flag(name) for name in model.names]
        factors = [model.index(name) for product in model.products for name in product.factors]
        n_used = int(np.count_nonzero(weight))
        quantiles = stdtrit(np.arange(1, n_used + 1), 0.975)
        options = np.array(
            [
                n_used,
                len(model.products),
                *unseen,
                *factors,
                np.nan,
                *quantiles,
                stdtrit(np.inf, 0.975),
            ]
        )
        n = len(model.parameters)
        return VoxelPlan(options, np.zeros((1, 1)), normal_rows(n) * matrix_columns(n))


ESTIMATOR = Curvature
