"""Exp time: the time of one exponential, a machine-independent unit of speed."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.clock import best_seconds
from ivimkit.kernels.exponential import exp

__all__ = ["N_EXPS", "exp_nanoseconds", "many_exps"]

_N = 1024  # 8 KiB: fits in the L1 cache.
_PASSES = 2000
N_EXPS = _N * _PASSES
"""Number of exponentials in one call of `many_exps`."""


@njit(error_model="numpy", nogil=True)
def _repeatedly(x: NDArray[np.float64], passes: int) -> None:
    # Each pass works on the output of the last one, so that none can be optimised away.
    for _ in range(passes):
        for i in range(x.size):
            x[i] = -exp(x[i])


def many_exps() -> None:
    """Compute `N_EXPS` exponentials."""
    _repeatedly(np.full(_N, -1.0), _PASSES)


def exp_nanoseconds() -> float:
    """Return the time of one float64 exp in a vectorised loop on the current core, in ns.

    Raises
    ------
    AssertionError
        If the exp is not NumPy's to 4e-16.
    """
    x = -np.random.default_rng(0).uniform(0.0, 5.0, _N)
    once = x.copy()
    _repeatedly(once, 1)
    if not np.allclose(-once, np.exp(x), rtol=4e-16, atol=0.0):
        raise AssertionError("the exp of ivimkit.kernels.exponential is not NumPy's")
    seconds = best_seconds(lambda: _repeatedly(x, _PASSES), repeats=15)
    return 1e9 * seconds / (_N * _PASSES)
