"""Excess of the mean of a magnitude over the signal without noise."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.voxel import Voxel

__all__ = ["N_FLOOR", "excess", "excess_table", "geometric_share", "magnitude_mean", "noise_of"]

N_FLOOR = 97
"""Number of entries of the table."""
# Signal-to-noise ratio from which on the first terms of the series are enough.
_MAX_TABLE_SNR = 12.0
_STEP = _MAX_TABLE_SNR / (N_FLOOR - 1)
# Mean of a magnitude without signal, and its standard deviation, for a noise of 1.
_MEAN_IN_AIR = math.sqrt(0.5 * math.pi)
_SD_IN_AIR = math.sqrt(2.0 - 0.5 * math.pi)
# Standard deviations by which the mean of the lowest signals may be below its expectation.
_MARGIN = 2.0
# Least expectation that is left after that, for a noise of 1: of one or two values.
_MIN_EXPECTED = 0.2


def excess_table() -> NDArray[np.float64]:
    """Return the mean of a Rician magnitude less its signal, for a noise of 1.

    Returns
    -------
    ndarray, shape (N_FLOOR,)
        For signals from 0 to 12 in equal steps.

    References
    ----------
    Gudbjartsson H, Patz S. Magn Reson Med 1995;34:910-914. doi:10.1002/mrm.1910340618
    """
    from scipy.special import ive  # Slow to load, and few fits need it.

    signal = np.linspace(0.0, _MAX_TABLE_SNR, N_FLOOR)
    half = 0.25 * signal**2
    mean = np.sqrt(0.5 * np.pi) * ((1.0 + 2.0 * half) * ive(0, half) + 2.0 * half * ive(1, half))
    found: NDArray[np.float64] = mean - signal
    return found


@device
def excess(ratio: float, table: NDArray[np.float64], first: int) -> float:
    """Return the mean of a magnitude less its signal, in units of the noise.

    Parameters
    ----------
    ratio : float
        Signal without noise over noise, >= 0.
    table : ndarray
        Contains `excess_table` from position `first` on.
    first : int
        Position of its first number.

    Returns
    -------
    float
        With an error below 0.0012.
    """
    if ratio >= _MAX_TABLE_SNR:
        return 0.5 / ratio * (1.0 + 0.25 / (ratio * ratio))
    place = ratio / _STEP
    index = int(place)
    low = table[first + index]
    excess_here: float = low + (place - index) * (table[first + index + 1] - low)
    return excess_here


def magnitude_mean(signal: NDArray[np.float64], coils: int = 1) -> NDArray[np.float64]:
    """Return the mean of a magnitude, for a noise of 1 in each channel.

    Parameters
    ----------
    signal : ndarray
        Signal without noise, >= 0.
    coils : int
        Number of coils whose squares were added: 1 is Rician noise.

    Returns
    -------
    ndarray
        Of the shape of `signal`; its square is below ``2 coils + signal**2``, the mean square.

    References
    ----------
    Constantinides CD, Atalar E, McVeigh ER. Magn Reson Med 1997;38:852-857.
    doi:10.1002/mrm.1910380524
    """
    return _moment(signal, coils, 1.0)


def geometric_share(
    signal: NDArray[np.float64], coils: int, directions: float, repeats: float
) -> NDArray[np.float64]:
    """Return the ratio of the geometric to the arithmetic mean of magnitudes, in expectation.

    Parameters
    ----------
    signal : ndarray
        Signal without noise, >= 0, for a noise of 1; the same in all directions.
    coils : int
        Number of coils whose squares were added.
    directions : float
        Number of values whose geometric mean is taken; 1 if it is not taken.
    repeats : float
        Number of volumes averaged arithmetically in each of these.

    Returns
    -------
    ndarray
        Mean of the average over that of a magnitude; exact without repeats.
    """
    # Independent magnitudes: the mean of (m_1 ... m_n)^(1/n) is that of m^(1/n), to the power n.
    # The deviation of its logarithm from that of the mean is proportional to the variance to first
    # order, which averaging divides by the number of repeats.
    if directions <= 1.0:
        return np.ones(np.shape(signal))
    log_mean = directions * np.log(_moment(signal, coils, 1.0 / directions))
    shares: NDArray[np.float64] = np.exp(
        (log_mean - np.log(_moment(signal, coils, 1.0))) / repeats
    )
    return shares


def _moment(signal: NDArray[np.float64], coils: int, power: float) -> NDArray[np.float64]:
    """Return the mean of a power, from 0 to 1, of a magnitude."""
    from scipy.special import gammaln, hyp1f1  # Slow to load, and few fits need it.

    half = 0.5 * np.asarray(signal, dtype=np.float64) ** 2
    far = half > 200.0 + 40.0 * coils
    level = 2.0 ** (0.5 * power) * np.exp(gammaln(coils + 0.5 * power) - gammaln(coils))
    near = level * hyp1f1(-0.5 * power, coils, -np.where(far, 0.0, half))
    # Kummer's function at large arguments: the series is cut off long before it would diverge.
    inverse = 1.0 / np.where(far, half, 1.0)
    term = total = np.ones_like(half)
    for k in range(8):
        term = term * (k - 0.5 * power) * (k + 1.0 - 0.5 * power - coils) / (k + 1.0) * inverse
        total = total + term
    found: NDArray[np.float64] = np.where(far, (2.0 * half) ** (0.5 * power) * total, near)
    return found


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
def noise_of(voxel: Voxel, measured: float, residual: float) -> float:
    """Return the noise that sizes the floor of a voxel; 0 if it is not known.

    That of the scan's air, repeats or images, where the method has it; else the one that was given
    with the voxel; else that of the residuals, which also hold what the model does not describe.
    It is never more than the lowest signals allow.

    Parameters
    ----------
    voxel : Voxel
        The voxel, with its signal as measured.
    measured : float
        Noise of one volume of the scan, a.u.; 0 if it is not known.
    residual : float
        That of the residuals; 0 if it is not known.
    """
    noise = measured
    if not noise > 0.0:
        noise = voxel.sigma
    if not noise > 0.0:
        noise = residual
    return min(noise, _largest_noise(voxel))
