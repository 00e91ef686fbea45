"""positions_of_ranks: some entries of a sorted order, without sorting everything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["positions_of_ranks"]

# More than so many are sorted in parts: an order of all would need as much memory as the keys.
_MAX_SORTED = 1 << 22
# Keys that say where parts end.
_EDGES_FROM = 1 << 16
_PIECE = 1 << 20


def positions_of_ranks(keys: NDArray[np.float64], ranks: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return ``numpy.lexsort(keys)[ranks]``.

    Parameters
    ----------
    keys : ndarray, shape (n_keys, n)
        The last one counts most.
    ranks : ndarray of int, shape (n_ranks,)
        Ascending.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.fitting.ranks import positions_of_ranks
    >>> positions_of_ranks(np.array([[0.0, 0.0, 0.0], [3.0, 1.0, 2.0]]), np.array([0, 2]))
    array([1, 0])
    """
    n = keys.shape[1]
    if n <= _MAX_SORTED:
        return np.lexsort(keys)[ranks]
    n_parts = min(-(-4 * n // _MAX_SORTED), 255)
    part_of = _parts(keys[-1], n_parts)
    ends = np.cumsum(np.bincount(part_of, minlength=n_parts))
    found = np.empty(len(ranks), dtype=np.intp)
    first = 0
    for part, end in enumerate(ends):
        last = int(np.searchsorted(ranks, end))
        if last > first:
            members = np.flatnonzero(part_of == part)
            before = end - members.size
            order = np.lexsort(keys[:, members])
            found[first:last] = members[order[ranks[first:last] - before]]
        first = last
    return found


def _parts(key: NDArray[np.float64], n_parts: int) -> NDArray[np.uint8]:
    """Return numbers of parts, of about the same size, in the order of a key."""
    some = np.sort(key[:: -(-key.size // _EDGES_FROM)])
    edges = some[(np.arange(1, n_parts) * some.size) // n_parts]
    found = np.empty(key.size, dtype=np.uint8)
    for start in range(0, key.size, _PIECE):
        piece = slice(start, start + _PIECE)
        found[piece] = np.searchsorted(edges, key[piece], side="right")
    return found
