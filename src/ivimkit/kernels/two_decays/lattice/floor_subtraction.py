"""Subtract from a signal what Rician noise adds to its mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp, log
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

Curve = tuple[float, float, float, float, float, float]
"""Slow rate, fast rate, the amplitudes of both, and the squared relative spread of both rates."""

# Squared relative spread of a rate below which it is one rate.
_MIN_SPREAD = 1e-6


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
def _mean_decay(b: float, rate: float, spread: float) -> float:
    """Return the mean of exp(-b r) over rates r with this mean and squared relative spread.

    exp(-b r) is convex: at the mean rate of a wide posterior it is far below its mean. For rates
    that have a gamma distribution, of the shape 1 / spread, it is (1 + b r spread)^(-1 / spread).
    """
    if spread < _MIN_SPREAD:
        return exp(-b * rate)
    return exp(-log(1.0 + b * rate * spread) / spread)


@device
def without_floor(voxel: Voxel, curve: Curve, noise: float, clean: NDArray[np.float64]) -> float:
    """Write the signal less what Rician noise adds to its mean to `clean`.

    Parameters
    ----------
    voxel : Voxel
        The voxel, with options as in `ivimkit.kernels.two_decays.lattice.lattice_options`.
    curve : Curve
        The signal without noise: its rates and amplitudes, and how much the rates spread.
    noise : float
        Noise of one volume, a.u.; 0 leaves the signal as it is.
    clean : ndarray, shape (n_b,)
        What was written before; receives the signal.

    Returns
    -------
    float
        The largest change of `clean`, in standard deviations of a value with this noise.
    """
    b, root_weight, signal, options = voxel.x[0], voxel.root_weight, voxel.signal, voxel.options
    r1, r2, a1, a2, spread1, spread2 = curve
    moved = 0.0
    for j in range(b.size):
        value = signal[j]
        if root_weight[j] > 0.0 and noise > 0.0:
            expected = a1 * _mean_decay(b[j], r1, spread1) + a2 * _mean_decay(b[j], r2, spread2)
            value -= noise * excess(max(expected, 0.0) / noise, options, FLOOR_TABLE)
            moved = max(moved, root_weight[j] * abs(value - clean[j]) / noise)
        clean[j] = value
    return moved
