"""The noise variance of a posterior: known, or integrated out, and the likelihood that follows.

With n values, of which S0 takes one, a known variance v gives the likelihood exp((gain - top) / (2
v)) relative to the best fit. With a scaled inverse chi-squared prior of nu degrees of freedom and
the scale s, v^(-nu/2-1) exp(-nu s / (2 v)), v is integrated out:

    int v^(-(nu+n-1)/2-1) exp(-(nu s + <y,y> - gain) / (2 v)) dv  ~  (nu s + <y,y> -
    gain)^(-(nu+n-1)/2),

and as <y,y> - gain = cost + (top - gain), relative to the best fit this is
(1 + (top - gain) / residual)^-power with residual = nu s + cost and power = (nu + n - 1) / 2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import pasted
from ivimkit.kernels.two_decays.lattice.lattice_options import N_VALUES, NOISE_DEGREES, NOISE_SCALE
from ivimkit.kernels.two_decays.lattice.locate import MAX_LOG_DROP, MAX_TAILED_DROP

__all__ = ["Variance", "variance_of"]

# Least noise variance as a share of the signal's squared norm: below it, the rounding of the inner
# products would be visible.
_MIN_VARIANCE_SHARE = 1e-11
# Degrees of freedom from which on the distribution of the variance is treated as one value.
_MIN_KNOWN_DEGREES = 1e4


class Variance(NamedTuple):
    """How the likelihood of a voxel depends on the gain, the squared norm of the explained signal.

    Parameters
    ----------
    known : float
        The variance; NaN where it is integrated out.
    inverse, power : float
        The likelihood is ``exp((gain - top) inverse)``, or ``(1 + (top - gain) inverse)^-power``
        if `power` is above 0.
    residual : float
        Sum of squares of the variance that is integrated out: that of the best fit and of the
        prior.
    limit : float
        Gains below this are negligible.
    """

    known: float
    inverse: float
    power: float
    residual: float
    limit: float


@pasted
def variance_of(sigma: float, norm: float, cost: float, options: NDArray[np.float64]) -> Variance:
    """Return the noise variance of a voxel and the likelihood that follows.

    Parameters
    ----------
    sigma : float
        Noise of one volume, a.u.; NaN if it is not known.
    norm, cost : float
        Squared norm of the signal, and of the residual of the best fit.
    options : ndarray
        As in `ivimkit.kernels.two_decays.lattice.lattice_options`.
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
        limit = top - 2.0 * MAX_LOG_DROP * variance
        residual = 0.0
    else:
        power = 0.5 * (degrees + options[N_VALUES] - 1.0)
        residual = max(degrees * scale + cost, 2.0 * power * least)
        inverse = 1.0 / residual
        # (1 + drop / residual)^-power = exp(-MAX_TAILED_DROP), solved for the drop of the gain.
        limit = top - residual * (math.exp(min(MAX_TAILED_DROP / power, 30.0)) - 1.0)
    limit = max(limit, 0.0)
    return Variance(variance, inverse, power, residual, limit)
