"""How far means of several magnitudes lie above the signal: tables of a protocol.

References
----------
Gudbjartsson H, Patz S. Magn Reson Med 1995;34:910-914. doi:10.1002/mrm.1910340618
Constantinides CD, Atalar E, McVeigh ER. Magn Reson Med 1997;38:852-857. doi:10.1002/mrm.1910380524
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.noise_floor import geometric_share, magnitude_mean

__all__ = ["MIN_SHARE_IN_AIR", "N_EXCESS", "excess_tables", "mean_excess"]

N_EXCESS = 257
"""Number of entries of each table of `excess_tables`."""
# From this signal to noise on, times the root of the number of coils, the series is enough.
_TABLE_END = 16.0

MIN_SHARE_IN_AIR = 0.429
"""Share of the noise variance of a channel that a magnitude has in air: 2 - pi / 2."""


def excess_tables(
    coils: int, directions: NDArray[np.float64], repeats: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what `mean_excess` reads: how far each average is above its signal.

    Parameters
    ----------
    coils : int
        Number of coils whose squares were added.
    directions : ndarray, shape (n_b,)
        Number of values whose geometric mean each value of the signal is.
    repeats : ndarray, shape (n_b,)
        Number of volumes behind each of these, averaged arithmetically.

    Returns
    -------
    ndarray
        The step of the tables, the number of values, where the table of each value starts,
        and the tables: average less signal, for a noise of 1.
    """
    step = _TABLE_END * math.sqrt(coils) / (N_EXCESS - 1)
    signal = np.asarray(step * np.arange(N_EXCESS), dtype=np.float64)
    mean = magnitude_mean(signal, coils)
    kinds = list(dict.fromkeys(zip(directions.tolist(), repeats.tolist(), strict=True)))
    tables = [mean * geometric_share(signal, coils, *kind) - signal for kind in kinds]
    n = directions.size
    first = [
        2.0 + n + N_EXCESS * kinds.index(kind)
        for kind in zip(directions.tolist(), repeats.tolist(), strict=True)
    ]
    return np.concatenate([[step, float(n)], first, *tables])


@device
def mean_excess(ratio: float, column: int, options: NDArray[np.float64], first: int) -> float:
    """Return the mean of an average less its signal, in units of the noise."""
    place = ratio / options[first]
    start = first + int(options[first + 2 + column])
    if place >= N_EXCESS - 1:
        # Inversely to the signal, as the first term of the series is.
        end: float = options[start + N_EXCESS - 1] * (N_EXCESS - 1) / place
        return end
    index = int(place)
    low = options[start + index]
    excess_here: float = low + (place - index) * (options[start + index + 1] - low)
    return excess_here
