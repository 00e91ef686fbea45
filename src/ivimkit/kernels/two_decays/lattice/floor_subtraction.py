"""Subtract from a signal what Rician noise adds to its mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.noise_floor import excess
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

# Mean of a magnitude without signal, and its standard deviation, for a noise of 1.
_MEAN_IN_AIR = math.sqrt(0.5 * math.pi)
_SD_IN_AIR = math.sqrt(2.0 - 0.5 * math.pi)
# Standard deviations by which the mean of the lowest signals may be below its expectation.
_MARGIN = 2.0
# Squared relative spread of a rate below which it is one rate.
_MIN_SPREAD = 1e-6
# Least expectation that is left after that, for a noise of 1: of one or two values.
_MIN_EXPECTED = 0.2


@device
def _largest_noise(voxel: Voxel) -> float:
    """Return the largest noise that is possible where the signal of a voxel is lowest.

    A magnitude is sqrt(pi / 2) times the noise on average if there is no signal, and more if there
    is one; the signal is lowest at high b, where the mean of several values is taken.
    """
    b, root_weight, signal = voxel.x[0], voxel.root_weight, voxel.signal
    highest = 0.0
    for j in range(b.size):
        if root_weight[j] > 0.0:
            highest = max(highest, b[j])
    total = weights = squares = 0.0
    for j in range(b.size):
        if root_weight[j] > 0.0 and b[j] >= 0.5 * highest:
            w = root_weight[j] * root_weight[j]
            total += w * signal[j]
            weights += w
            squares += w * w
    if not weights > 0.0:
        return math.inf
    spread = _MARGIN * _SD_IN_AIR * math.sqrt(squares) / weights
    return max(total / weights, 0.0) / max(_MEAN_IN_AIR - spread, _MIN_EXPECTED)


@device
def noise_of_floor(voxel: Voxel, cost: float) -> float:
    """Return the noise that sizes the floor of a voxel; 0 if it is not known.

    That of the scan's air, repeats or images, where the method has it; else the one that was given
    with the voxel; else that of the residuals, which also hold what the model does not describe.
    It is never more than the lowest signals allow.

    Parameters
    ----------
    voxel : Voxel
        The voxel, with options as in `ivimkit.kernels.two_decays.lattice.lattice_options`.
    cost : float
        Sum of squared residuals of its best fit; 0 if it is not known.
    """
    options = voxel.options
    noise: float = options[FLOOR_NOISE]
    if not noise > 0.0:
        noise = voxel.sigma
    if not noise > 0.0:
        noise = 0.0
        if options[NOISE_DEGREES] > 0.0:
            noise = math.sqrt(options[NOISE_SCALE])
        elif options[DEGREES] > 0.0:
            noise = math.sqrt(cost / options[DEGREES])
    return min(noise, _largest_noise(voxel))


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
