"""How far the mean of a magnitude lies above the signal without noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device

__all__ = ["N_FLOOR", "excess", "excess_table"]

N_FLOOR = 97
"""Number of entries of the table."""
# From this signal to noise on, the first terms of the series are enough.
_END = 12.0
_STEP = _END / (N_FLOOR - 1)


def excess_table() -> NDArray[np.float64]:
    """Return the mean of a Rician magnitude less its signal, for a noise of 1.

    Returns
    -------
    ndarray, shape (N_FLOOR,)
        At signals from 0 to 12 in equal steps.

    References
    ----------
    Gudbjartsson H, Patz S. Magn Reson Med 1995;34:910-914. doi:10.1002/mrm.1910340618
    """
    from scipy.special import ive  # Slow to load, and few fits need it.

    signal = np.linspace(0.0, _END, N_FLOOR)
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
        Holds `excess_table` from position `first` on.
    first : int
        Where it starts.

    Returns
    -------
    float
        With an error below 0.0012.
    """
    if ratio >= _END:
        return 0.5 / ratio * (1.0 + 0.25 / (ratio * ratio))
    place = ratio / _STEP
    index = int(place)
    low = table[first + index]
    excess_here: float = low + (place - index) * (table[first + index + 1] - low)
    return excess_here
