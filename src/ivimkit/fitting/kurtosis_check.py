"""The check of two decays against kurtosis, in scans with b-values above 1000 s/mm^2.

The decay of tissue bends above b = 1000 because its diffusion is not Gaussian. A model of two
exponential decays then takes the bend for a large fraction of slow blood. A voxel is flagged if a
curve with kurtosis and no more parameters describes it as well: see `kurtosis_flags`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from ivimkit import methods, models
from ivimkit.engine import Task
from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.curved_decay import B_SCALE, curved_decay, curved_decay_table
from ivimkit.kernels.device import device
from ivimkit.kernels.voxel import Voxel
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.scan.acquisition import Acquisition
from ivimkit.status import FAILED, FitStatus

__all__ = ["MIN_B_OF_KURTOSIS", "kurtosis_flags", "kurtosis_tasks"]

MIN_B_OF_KURTOSIS = 1020.0
"""Highest b-value from which a scan is checked, s/mm^2: above b = 1000 with its tolerance."""

_BLOOD_RATE: Final = 0.02
# Models whose information criteria differ by less have both substantial support (Burnham and
# Anderson 2002, section 2.6).
_MAX_DIFFERENCE = 2.0
# A kurtosis is established if it is above 0 by this many standard deviations.
_MIN_DETECTABILITY = 1.959964
_NOT_CONVERGED = int(FitStatus.NOT_CONVERGED)


@device
def _fit_voxel(voxel: Voxel, out: NDArray[np.float64]) -> int:
    fit = curved_decay(voxel)
    if not math.isfinite(fit.cost):
        return _NOT_CONVERGED
    tissue = math.exp(fit.c0)
    out[0] = tissue + fit.blood
    out[1] = fit.blood / out[0]
    out[2] = voxel.lower[2]
    out[3] = -fit.c1 / B_SCALE
    out[4] = 6.0 * fit.c2 / (fit.c1 * fit.c1)
    out[5] = fit.cost
    out[6] = fit.steps
    out[7] = fit.c2 / math.sqrt(fit.variance)
    return 0


@final
@dataclass(frozen=True)
class _WithKurtosis(FitMethod):
    """Blood of a given rate and tissue with kurtosis, without bounds; the extra map is c2 / sd."""

    name: ClassVar[str] = "with_kurtosis"
    title: ClassVar[str] = "blood of a given rate, and kurtosis"
    full_fit: ClassVar[bool] = True
    voxel = staticmethod(_fit_voxel)
    references: ClassVar[tuple[str, ...]] = ()

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Accept everything: `kurtosis_tasks` has checked it."""

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        """Return the name of the curvature in standard deviations for noise of 1."""
        return ("curvature",)

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute what `curved_decay` needs."""
        table = curved_decay_table(x[0], weight, _BLOOD_RATE)
        return VoxelPlan(np.zeros(1), table)


_MODEL: Final = models.get("kurtosis").with_fixed(D_star=_BLOOD_RATE)
_COST, _CURVATURE = len(_MODEL.parameters), len(_MODEL.parameters) + 2


def kurtosis_tasks(
    model: SignalModel, method: FitMethod, b: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[Task, ...]:
    """Return the fits that the check needs; none where there is nothing to check.

    Parameters
    ----------
    model : SignalModel
        The model that is fitted. Only sums of two decays with a free fraction are checked.
    method : FitMethod
        Its method. One that fits D to a part of the b-values is not checked.
    b, weight : ndarray, shape (n_b,)
        b-values that are fitted, s/mm^2, and their weights.

    Returns
    -------
    tuple of Task
        The curve with kurtosis; and the model by least squares, if the method does something else.
    """
    decays = model.two_decays()
    used = weight > 0.0
    if decays is None or decays.fast is None or b[used].max() < MIN_B_OF_KURTOSIS:
        return ()
    fixed = {p.name for p in model.parameters if p.fixed} | set(model.fixed_maps)
    whole = method.full_fit or isinstance(method, PosteriorMethod)
    if not whole or {decays.fraction, decays.slow} & fixed or model.fixed_maps:
        return ()
    if np.count_nonzero(used) <= _MODEL.n_free:
        return ()
    curve = Task(_MODEL, _WithKurtosis(), weight)
    return (
        (curve,) if method.least_squares else (curve, Task(model, methods.get("varpro"), weight))
    )


def kurtosis_flags(
    curve: tuple[NDArray[np.float64], NDArray[np.int32]],
    cost: NDArray[np.float64],
    n_free: int,
    weight: NDArray[np.float64],
    sigma: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return the voxels that kurtosis describes as well as two decays do, shape (n_voxels,).

    Two conditions: the information criterion (AIC) of the curve with kurtosis is higher by less
    than 2, or lower; and its kurtosis is above 0 by 1.96 standard deviations, so that a straight
    decay, which every model describes, is not flagged.

    Parameters
    ----------
    curve : tuple of ndarray
        Values and status of the first task of `kurtosis_tasks`.
    cost : ndarray, shape (n_voxels,)
        Lowest weighted sum of squares of the two decays.
    n_free : int
        Number of free parameters of the two decays.
    weight : ndarray, shape (n_b,)
        The weights.
    sigma : ndarray, shape (1,) or (n_voxels,)
        Noise of one volume, a.u.; NaN where it is not known.

    References
    ----------
    Burnham KP, Anderson DR. Springer 2002. doi:10.1007/b97636
    """
    values, status = curve
    n, more = int(np.count_nonzero(weight)), _MODEL.n_free - n_free
    own = values[:, _COST]
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.isfinite(sigma)
        noise = np.where(known, sigma, np.sqrt(own / (n - _MODEL.n_free)))
        apart = np.where(known, (own - cost) / sigma**2, n * np.log(own / cost))
        bent = values[:, _CURVATURE] > _MIN_DETECTABILITY * noise
        flagged = bent & (apart + 2.0 * more < _MAX_DIFFERENCE)
    return np.asarray(flagged & ((status & int(FAILED)) == 0))
