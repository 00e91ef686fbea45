"""Subtract from a signal what Rician noise adds to its mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.noise_floor import excess
from ivimkit.kernels.two_decays.fitted_decays import Fit
from ivimkit.kernels.two_decays.lattice.lattice_options import (
    FLOOR_TABLE,
    NOISE_DEGREES,
    NOISE_SCALE,
)
from ivimkit.kernels.two_decays.option_positions import DEGREES
from ivimkit.kernels.voxel import Voxel

__all__ = ["without_floor"]


@device
def without_floor(voxel: Voxel, fit: Fit, clean: NDArray[np.float64]) -> None:
    """Write the signal less what Rician noise adds to its mean to `clean`.

    The excess is that at the signal of the best fit. It needs the noise: that given, or that of
    the scan, or that of the voxel's residuals; without any of them the signal stays as it is.

    Parameters
    ----------
    voxel : Voxel
        The voxel, with options as in `ivimkit.kernels.two_decays.lattice.lattice_options`.
    fit : Fit
        The best fit.
    clean : ndarray, shape (n_b,)
        Receives the signal.
    """
    b, root_weight, signal, options = voxel.x[0], voxel.root_weight, voxel.signal, voxel.options
    noise = voxel.sigma
    if not noise > 0.0:
        if options[NOISE_DEGREES] > 0.0:
            noise = math.sqrt(options[NOISE_SCALE])
        elif options[DEGREES] > 0.0:
            noise = math.sqrt(fit.cost / options[DEGREES])
    r1, r2, a1, a2 = fit.slow, fit.fast, fit.slow_amplitude, fit.fast_amplitude
    for j in range(b.size):
        clean[j] = signal[j]
        if root_weight[j] > 0.0 and noise > 0.0:
            expected = a1 * exp(-b[j] * r1) + a2 * exp(-b[j] * r2)
            clean[j] -= noise * excess(max(expected, 0.0) / noise, options, FLOOR_TABLE)
