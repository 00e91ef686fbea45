"""Excess of the mean of a magnitude over the signal without noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device

__all__ = ["N_FLOOR", "excess", "excess_table", "geometric_share", "magnitude_mean"]

N_FLOOR = 97
"""Number of entries of the table."""
# Signal-to-noise ratio from which on the first terms of the series are enough.
_MAX_TABLE_SNR = 12.0
_STEP = _MAX_TABLE_SNR / (N_FLOOR - 1)


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
