"""Options and dictionary of a fit of two decays, computed once per acquisition."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.kernels.two_decays.atoms import build_dictionary
from ivimkit.kernels.two_decays.option_positions import two_decay_options
from ivimkit.kernels.two_decays.profile import search_rows

__all__ = ["search_plan"]

# Numbers of rates. A parabola is laid through the gains of the slow ones, so these must be dense;
# of the fast ones each basin needs one. benchmarks/optimum.py counts the voxels that a coarser
# choice misses.
_N_SLOW = 16
_N_FAST = 8


def search_plan(
    b: NDArray[np.float64],
    weight: NDArray[np.float64],
    positions: tuple[int, int, int, int],
    slow: tuple[float, float],
    fast: tuple[float, float],
    fraction: tuple[float, float],
    degrees: int,
    own: Mapping[int, ArrayLike],
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return options, table and scratch of `ivimkit.kernels.two_decays.search.global_fit`.

    Parameters
    ----------
    b, weight : ndarray, shape (n_b,)
        b-values in s/mm^2 and weights (zero for padding).
    positions, degrees, own
        As for `ivimkit.kernels.two_decays.option_positions.two_decay_options`.
    slow, fast, fraction : tuple of float
        Bounds of the rates in mm^2/s and of the fraction.

    Returns
    -------
    options, table : ndarray
        Read by the search.
    scratch : int
        How many numbers of scratch it needs.
    """
    dictionary = build_dictionary(b, weight, slow, fast, fraction, _N_SLOW, _N_FAST)
    options = two_decay_options(positions, dictionary.n1, dictionary.n2, degrees, own)
    return options, dictionary.table, search_rows(dictionary.n1) * dictionary.table.shape[1]
