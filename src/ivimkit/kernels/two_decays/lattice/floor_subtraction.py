"""Subtract from a signal what Rician noise adds to its mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.noise_floor import excess, noise_of
from ivimkit.kernels.two_decays.lattice.lattice_options import (
    FLOOR_NOISE,
    FLOOR_TABLE,
    NOISE_DEGREES,
    NOISE_SCALE,
)
from ivimkit.kernels.two_decays.option_positions import DEGREES
from ivimkit.kernels.voxel import Voxel

__all__ = ["Curve", "noise_of_floor", "without_floor"]

Curve = tuple[float, float, float, float]
"""Slow rate, fast rate, and the amplitudes of both."""


@device
def noise_of_floor(voxel: Voxel, cost: float) -> float:
    """Return the noise that sizes the floor of a voxel, see `ivimkit.kernels.noise_floor`.

    Parameters
    ----------
    voxel : Voxel
        The voxel, with options as in `ivimkit.kernels.two_decays.lattice.lattice_options`.
    cost : float
        Sum of squared residuals of its best fit; 0 if it is not known.
    """
    options = voxel.options
    residual = 0.0
    if options[NOISE_DEGREES] > 0.0:
        residual = math.sqrt(options[NOISE_SCALE])
    elif options[DEGREES] > 0.0:
        residual = math.sqrt(cost / options[DEGREES])
    return noise_of(voxel, options[FLOOR_NOISE], residual)


@device
def without_floor(voxel: Voxel, curve: Curve, noise: float, clean: NDArray[np.float64]) -> None:
    """Write the signal less what Rician noise adds to its mean to `clean`.

    Parameters
    ----------
    voxel : Voxel
        The voxel, with options as in `ivimkit.kernels.two_decays.lattice.lattice_options`.
    curve : Curve
        The signal without noise.
    noise : float
        Noise of one volume, a.u.; 0 leaves the signal as it is.
    clean : ndarray, shape (n_b,)
        Receives the signal.
    """
    b, root_weight, signal, options = voxel.x[0], voxel.root_weight, voxel.signal, voxel.options
    r1, r2, a1, a2 = curve
    for j in range(b.size):
        clean[j] = signal[j]
        if root_weight[j] > 0.0 and noise > 0.0:
            expected = a1 * exp(-b[j] * r1) + a2 * exp(-b[j] * r2)
            clean[j] -= noise * excess(max(expected, 0.0) / noise, options, FLOOR_TABLE)
