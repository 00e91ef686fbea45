"""Positions of numbers in the options of the methods for two decays.

Python writes them and kernels read them by these names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "DEGREES",
    "FAST",
    "FRACTION",
    "N_FAST",
    "N_SLOW",
    "OWN",
    "S0",
    "SLOW",
    "two_decay_options",
]

S0, FRACTION, FAST, SLOW = range(4)
"""Positions of these parameters in the model; -1 if the model lacks one."""

N_SLOW, N_FAST = 4, 5
"""Number of slow and of fast rates in the dictionary."""

DEGREES = 6
"""Degrees of freedom of the residual."""

OWN = 7
"""The first of the numbers that only one method uses."""


def two_decay_options(
    positions: tuple[int, int, int, int],
    n_slow: int,
    n_fast: int,
    degrees: int,
    own: Mapping[int, ArrayLike],
) -> NDArray[np.float64]:
    """Return the options array of a method for two decays.

    Parameters
    ----------
    positions : tuple of int
        Positions of S0, fraction, fast and slow rate among the model's parameters; -1 if missing.
    n_slow, n_fast : int
        Number of slow and of fast rates in the dictionary.
    degrees : int
        Degrees of freedom of the residual.
    own : mapping of int to number or array
        A method's own numbers by their position, from `OWN` on; an array begins there.

    Returns
    -------
    ndarray, shape (n_options,)
    """
    arrays = {position: np.atleast_1d(values) for position, values in own.items()}
    ends = [position + values.size for position, values in arrays.items()]
    options = np.zeros(max(ends, default=OWN))
    options[[S0, FRACTION, FAST, SLOW]] = positions
    options[N_SLOW], options[N_FAST], options[DEGREES] = n_slow, n_fast, degrees
    for position, values in arrays.items():
        options[position : position + values.size] = values
    return options
