"""Shells: groups of b-values that are the same except for jitter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ABSOLUTE", "RELATIVE", "shell_clusters"]

ABSOLUTE = 1.0
"""b-values closer than this, in s/mm^2, form one shell: whole numbers stay separate."""

RELATIVE = 0.04
"""b-values within 2 % of their middle form one shell."""

# A chain of close b-values that is longer than this, as a share of b, is not jitter.
_MAX_CHAIN_SHARE = 0.10
# Differences of b-values that are equal up to rounding.
_ROUNDING = 1e-6


def shell_clusters(bvals: NDArray[np.float64], tolerance: float | None) -> NDArray[np.intp]:
    """Return the number of the shell of every b-value, ascending with b.

    Parameters
    ----------
    bvals : ndarray, shape (n,)
        b-values in any order, s/mm^2.
    tolerance : float or None
        Largest gap within a shell, s/mm^2, which is then at most twice as wide. None means gaps
        below 1 s/mm^2 or up to 4 % of b, if they are smaller than the gaps to the b-values on
        either side, in shells of at most 1 s/mm^2 or 10 % of b.

    Returns
    -------
    ndarray of int, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> shell_clusters(np.array([0, 1.4, 5, 10, 985, 1000, 1015]), None).tolist()
    [0, 1, 2, 3, 4, 4, 4]
    """
    values, position = np.unique(bvals, return_inverse=True)
    if tolerance is None and not _near(values, np.diff(values)).any():
        return np.asarray(position, dtype=np.intp)
    chains = _jitter(values) if tolerance is None else _close(values, tolerance)
    number = np.repeat(np.arange(len(chains)), [len(chain) for chain in chains])
    return np.asarray(number[position], dtype=np.intp)


def _close(values: NDArray[np.float64], tolerance: float) -> list[NDArray[np.float64]]:
    """Return chains of gaps up to the tolerance; one that is too long is split."""
    chains = np.split(values, np.flatnonzero(np.diff(values) > tolerance) + 1)
    return [
        part
        for chain in chains
        for part in ([chain] if np.ptp(chain) <= 2 * tolerance else np.split(chain, len(chain)))
    ]


def _jitter(values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the clusters of values that differ by jitter only."""
    gaps = np.diff(values)
    # Split at the greatest gaps, down to single values if necessary.
    waiting = np.split(values, np.flatnonzero(~_near(values, gaps)) + 1)[::-1]
    settled: list[NDArray[np.float64]] = []
    while waiting:
        chain = waiting.pop()
        if len(chain) == 1 or _is_one(chain, values):
            settled.append(chain)
            continue
        inner = np.diff(chain)
        cuts = np.flatnonzero(inner >= inner.max() * (1.0 - _ROUNDING)) + 1
        waiting += np.split(chain, cuts)[::-1]
    return settled


def _near(values: NDArray[np.float64], gaps: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (gaps < ABSOLUTE) | (gaps <= RELATIVE * values[1:] * (1.0 + _ROUNDING))


def _is_one(chain: NDArray[np.float64], values: NDArray[np.float64]) -> bool:
    """Whether a chain is short, and its gaps are smaller than those to its neighbours."""
    low, high = chain[0], chain[-1]
    if not (high - low < ABSOLUTE or high - low <= _MAX_CHAIN_SHARE * high):
        return False
    below, above = values[values < low], values[values > high]
    outer = min(
        low - below[-1] if below.size else np.inf, above[0] - high if above.size else np.inf
    )
    # In a ladder (..., 120, 125, 130) the steps are equal, however small relative to b.
    return bool(np.diff(chain).max() < outer * (1.0 - _ROUNDING))
