"""Take off a signal what Rician noise adds to its mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.noise_floor import excess
from ivimkit.kernels.two_decays.fit import Fit
from ivimkit.kernels.two_decays.lattice.options import DEGREES, FLOOR_TABLE, SCALE
from ivimkit.kernels.two_decays.pools import EXTRA

__all__ = ["without_floor"]


@device
def without_floor(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    sigma: float,
    fit: Fit,
    options: NDArray[np.float64],
    clean: NDArray[np.float64],
) -> None:
    """Write the signal less what Rician noise adds to its mean to `clean`.

    The excess is that of the best fit's signal. It needs the noise: the one given, or that of the
    scan, or that of the voxel's residuals; without any the signal stays as it is.

    Parameters
    ----------
    b, root_weight, signal : ndarray, shape (n_b,)
        b-values in s/mm^2, square roots of the weights, signal.
    sigma : float
        Noise of one volume, a.u.; NaN if it is not known.
    fit : tuple
        As `ivimkit.kernels.two_decays.search.global_fit` returns it.
    options : ndarray
        As `ivimkit.posterior_method.posterior_options` makes them.
    clean : ndarray, shape (n_b,)
        Receives the signal.
    """
    own = options[EXTRA:]
    noise = sigma
    if not noise > 0.0:
        if own[DEGREES] > 0.0:
            noise = math.sqrt(own[SCALE])
        elif options[6] > 0.0:
            noise = math.sqrt(fit.cost / options[6])
    r1, r2, a1, a2 = fit.slow, fit.fast, fit.slow_amplitude, fit.fast_amplitude
    for j in range(b.size):
        clean[j] = signal[j]
        if root_weight[j] > 0.0 and noise > 0.0:
            expected = a1 * exp(-b[j] * r1) + a2 * exp(-b[j] * r2)
            clean[j] -= noise * excess(max(expected, 0.0) / noise, own, FLOOR_TABLE)
