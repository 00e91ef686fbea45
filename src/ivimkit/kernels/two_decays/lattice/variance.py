"""The noise variance of a posterior: known, or integrated out, and what follows for the rates."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import pasted
from ivimkit.kernels.two_decays.lattice.locate import TAIL
from ivimkit.kernels.two_decays.lattice.options import N_VALUES, NOISE_DEGREES, NOISE_SCALE

__all__ = ["Variance", "variance_of"]

# A noise variance below this share of the signal's squared norm is taken for it: beyond, the
# rounding of the inner products would be seen.
_MIN_VARIANCE_SHARE = 1e-11
# With this many degrees of freedom, a distribution of the variance is one value.
_MIN_KNOWN_DEGREES = 1e4


class Variance(NamedTuple):
    """What a voxel's noise variance makes of the gain, the squared norm of what is explained.

    Parameters
    ----------
    known : float
        The variance; NaN where it is integrated out.
    inverse, power : float
        The likelihood is ``exp((gain - top) inverse)``, or ``(1 + (top - gain) inverse)^-power``
        if `power` is above 0.
    residual : float
        Sum of squares behind the variance that is integrated out: that of the best fit with what
        the prior adds.
    limit : float
        Least gain that counts.
    """

    known: float
    inverse: float
    power: float
    residual: float
    limit: float


@pasted
def variance_of(sigma: float, norm: float, cost: float, options: NDArray[np.float64]) -> Variance:
    """Return what is known of the noise variance of a voxel.

    Parameters
    ----------
    sigma : float
        Noise of one volume, a.u.; NaN if it is not known.
    norm, cost : float
        Squared norm of the signal, and of the residual of the best fit.
    options : ndarray
        As in `ivimkit.kernels.two_decays.lattice.options`.
    """
    top = norm - cost
    least = _MIN_VARIANCE_SHARE * norm
    degrees, scale = options[NOISE_DEGREES], options[NOISE_SCALE]
    variance = math.nan
    if sigma > 0.0:
        variance = max(sigma * sigma, least)
    elif degrees >= _MIN_KNOWN_DEGREES:
        variance = max(scale, least)
    power = 0.0
    if variance > 0.0:
        inverse = 0.5 / variance
        limit = top - 2.0 * TAIL * variance
        residual = 0.0
    else:
        power = 0.5 * (degrees + options[N_VALUES] - 1.0)
        residual = max(degrees * scale + cost, 2.0 * power * least)
        inverse = 1.0 / residual
        limit = top - residual * (math.exp(min(TAIL / power, 30.0)) - 1.0)
    limit = max(limit, 0.0)
    return Variance(variance, inverse, power, residual, limit)
