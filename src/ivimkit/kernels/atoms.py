"""The dictionary of decays that the global search looks through, computed once per protocol.

For a given signal only its inner products with each decay are needed; every pair of decays is
then a problem with two unknowns whose Gram terms stand here. The rates are spread evenly in the
angle between neighbouring decays, so that every protocol gets its own, equally dense grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dictionary", "build_dictionary", "even_rates"]

_LANES = 8
_FINE = 4000


def even_rates(
    b: NDArray[np.float64], weight: NDArray[np.float64], lower: float, upper: float, n: int
) -> NDArray[np.float64]:
    """Return `n` rates from `lower` to `upper`, evenly spaced in the angle of their decays.

    Parameters
    ----------
    b, weight : ndarray, shape (n_b,)
        b-values in s/mm^2 and weights.
    lower, upper : float
        Range of rates in mm^2/s.
    n : int
        Number of rates; one if the range is a point.

    Returns
    -------
    ndarray, shape (n,)
    """
    if lower == upper or n == 1:
        return np.array([lower])
    floor = max(lower, 1e-3 * upper)
    fine = np.concatenate(
        [np.linspace(lower, floor, _FINE // 10, endpoint=False), np.geomspace(floor, upper, _FINE)]
    )
    decays = np.sqrt(weight) * np.exp(-np.outer(fine, b))
    decays /= np.linalg.norm(decays, axis=1, keepdims=True)
    steps = np.linalg.norm(np.diff(decays, axis=0), axis=1)
    # A little of the logarithm keeps rates apart that the protocol hardly tells apart.
    arc = np.concatenate([[0.0], np.cumsum(steps + 1e-9)])
    return np.interp(np.linspace(0.0, arc[-1], n), arc, fine)


@dataclass(frozen=True)
class Dictionary:
    """Decays of both pools and their Gram terms, flattened for the device.

    Parameters
    ----------
    n1, n2 : int
        Number of slow and of fast rates.
    table : ndarray, shape (n_table,)
        Rates, squared norms of their decays, the five pair terms (fast rate by slow rate), weighted decays (b-value by rate).
    """

    n1: int
    n2: int
    table: NDArray[np.float64]

    @property
    def n_work(self) -> int:
        """Scratch numbers that the search needs."""
        return 2 * (_padded(self.n1) + _padded(self.n2)) + self.n2 + self.n1 + 2


def _padded(n: int) -> int:
    return -(-n // _LANES) * _LANES


def _pair_terms(
    gram11: NDArray[np.float64],
    gram12: NDArray[np.float64],
    gram22: NDArray[np.float64],
    f_low: float,
    f_high: float,
    apart: NDArray[np.bool_],
) -> list[NDArray[np.float64]]:
    """Return inverse Gram terms of the two generators (f_low, f_high) of every pair."""

    def product(f: float, g: float) -> NDArray[np.float64]:
        return (1 - f) * (1 - g) * gram11 + (f + g - 2 * f * g) * gram12 + f * g * gram22

    low, cross, high = product(f_low, f_low), product(f_low, f_high), product(f_high, f_high)
    det = low * high - cross**2
    good = apart & (det > 1e-12 * low * high)
    inverse = np.where(good, 1.0 / np.where(good, det, 1.0), 0.0)
    single_low = np.where(low > 0, 1.0 / np.where(low > 0, low, 1.0), 0.0)
    single_high = np.where(high > 0, 1.0 / np.where(high > 0, high, 1.0), 0.0)
    return [high * inverse, cross * inverse, low * inverse, single_low, single_high]


def build_dictionary(
    b: NDArray[np.float64],
    weight: NDArray[np.float64],
    slow: tuple[float, float],
    fast: tuple[float, float],
    fraction: tuple[float, float],
    n1: int,
    n2: int,
) -> Dictionary:
    """Compute the dictionary of a protocol.

    Parameters
    ----------
    b, weight : ndarray, shape (n_b,)
        b-values in s/mm^2 and weights (zero for padding).
    slow, fast : tuple of float
        Ranges of the two rates in mm^2/s.
    fraction : tuple of float
        Bounds of the fraction of the fast pool.
    n1, n2 : int
        How many rates of each.

    Returns
    -------
    Dictionary
    """
    rates1 = even_rates(b, weight, *slow, n1)
    rates2 = even_rates(b, weight, *fast, n2)
    n1, n2 = rates1.size, rates2.size
    first, second = slice(0, _padded(n1)), slice(_padded(n1), _padded(n1) + n2)
    rates = np.zeros(_padded(n1) + _padded(n2))
    rates[:n1] = rates1
    rates[second] = rates2
    decays = np.exp(-np.outer(rates, b))
    decays[n1 : _padded(n1)] = 0.0
    decays[second.stop :] = 0.0
    weighted = weight * decays
    gram = decays @ weighted.T
    norms = np.diag(gram)
    terms = _pair_terms(
        norms[None, first],
        gram[second, first],
        norms[second, None],
        *fraction,
        rates[second, None] > 1.02 * rates[None, first],
    )
    for term in terms:
        term[:, n1:] = 0.0
    parts = [rates, norms, *terms, weighted.T]
    return Dictionary(n1, n2, np.concatenate([part.ravel() for part in parts]))
