"""best_counts: how many volumes to spend on each candidate, by coordinate exchange."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.planning.information import Information

__all__ = ["Constraints", "best_counts"]

_SEED = 0
_MAX_PASSES = 1000
# A move must gain this share of the criterion, so that rounding errors do not turn in circles.
_MIN_GAIN = 1e-9

Counts = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Constraints:
    """What every design keeps: b = 0, enough distinct b-values, and enough low ones.

    Parameters
    ----------
    n : int
        Number of volumes.
    distinct : ndarray, shape (n_candidates,)
        Number of the b-value of each candidate, 0 for the lowest.
    low : ndarray of bool, shape (n_candidates,)
        Which candidates have a low b-value.
    min_distinct, min_low : int
        Number of distinct b-values, and of low ones among them, at least.

    Raises
    ------
    OptionError
        If they cannot be kept.
    """

    n: int
    distinct: NDArray[np.intp]
    low: NDArray[np.bool_]
    min_distinct: int
    min_low: int

    def __post_init__(self) -> None:
        there = int(self.distinct.max()) + 1
        n_low = len(np.unique(self.distinct[self.low]))
        if self.n < self.min_distinct:
            raise OptionError(
                f"{self.n} volumes were asked for with {self.min_distinct} distinct b-values; "
                f"expected {self.min_distinct} volumes or more. Raise the number of volumes "
                "(--n), or allow fewer distinct b-values (--min-distinct)",
                python="Raise n=, or pass Goal(min_distinct=...)",
            )
        if there < self.min_distinct or n_low < self.min_low:
            raise OptionError(
                f"there are {there} distinct b-values to choose from, {n_low} of them low; "
                f"expected {self.min_distinct} and {self.min_low}. Add candidates, or allow fewer "
                "distinct b-values (--min-distinct)",
                python="Add candidates=, or pass Goal(min_distinct=...)",
            )

    def allowed(self, counts: Counts) -> NDArray[np.bool_]:
        """Return the candidates with which a protocol of one volume less keeps the constraints."""
        used = counts > 0.0
        there, low = (
            np.bincount(self.distinct[which], minlength=self.distinct.max() + 1) > 0
            for which in (used, used & self.low)
        )
        new = ~there[self.distinct]
        found: NDArray[np.bool_] = there.sum() + new >= self.min_distinct
        found &= low.sum() + (new & self.low) >= self.min_low
        if not there[0]:
            found &= self.distinct == 0
        return found

    def start(self, generator: np.random.Generator) -> Counts:
        """Return random counts that keep the constraints."""
        low_values = np.unique(self.distinct[self.low])[1:]
        chosen = [0, *generator.permutation(low_values)[: max(self.min_low - 1, 0)].tolist()]
        others = np.setdiff1d(np.unique(self.distinct), chosen)
        chosen += generator.permutation(others)[: self.min_distinct - len(chosen)].tolist()
        counts = np.zeros(len(self.distinct))
        for value in chosen:
            counts[generator.choice(np.flatnonzero(self.distinct == value))] += 1.0
        for place in generator.integers(0, len(counts), self.n - len(chosen)):
            counts[place] += 1.0
        return counts


def best_counts(information: Information, constraints: Constraints, starts: int) -> Counts:
    """Return the number of volumes at each candidate that minimises the criterion.

    One volume of each setting in turn, or all of them, are moved to the candidate where they lower
    the criterion most, until none can be moved to a better place; the best of several starts
    counts. Their random numbers have a fixed seed.

    Parameters
    ----------
    information : Information
        What the candidates tell.
    constraints : Constraints
        What the design keeps.
    starts : int
        Number of starts.

    Returns
    -------
    ndarray, shape (n_candidates,)

    References
    ----------
    Fedorov VV. Theory of Optimal Experiments. Academic Press, New York 1972.
    Meyer RK, Nachtsheim CJ. Technometrics 1995;37:60-69. doi:10.1080/00401706.1995.10485889
    """
    generator = np.random.default_rng(_SEED)
    moves = _Moves(information, constraints)
    found: list[tuple[float, Counts]] = []
    for _ in range(starts):
        counts = _settled(moves, constraints.start(generator))
        found.append((information.value(counts), counts))
    return min(found, key=lambda pair: pair[0])[1]


@dataclass(eq=False)
class _Moves:
    """Where volumes are best moved to, remembered: most starts meet, and go on together."""

    information: Information
    constraints: Constraints
    _known: dict[tuple[bytes, float], tuple[int, float]] = field(default_factory=dict)

    def best(self, rest: Counts, size: float) -> tuple[int, float]:
        """Return the best candidate for so many volumes beside the others, and the criterion."""
        key = rest.tobytes(), size
        if key not in self._known:
            values = self.information.values_with_more(rest, size)
            values[~self.constraints.allowed(rest)] = np.inf
            best = int(np.argmin(values))
            self._known[key] = best, float(values[best])
        return self._known[key]


def _settled(moves: _Moves, counts: Counts) -> Counts:
    """Move volumes to better places until there are none: one of a setting, or all of them."""
    counts = counts.copy()
    value = moves.information.value(counts)
    for _ in range(_MAX_PASSES):
        before = value
        for place in np.flatnonzero(counts):
            for size in sorted({1.0, float(counts[place])}):
                if not 0.0 < size <= counts[place] or size == counts.sum():
                    continue
                rest = counts.copy()
                rest[place] -= size
                best, found = moves.best(rest, size)
                if found < value * (1.0 - _MIN_GAIN):
                    value = found
                    counts = rest
                    counts[best] += size
        if value >= before:
            break
    return counts
