"""Check: whether the mean signal falls with b; if not, which volume order explains it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.checks.finding import ScanFinding, named
from ivimkit.scan.checks.volume_sample import VolumeSample
from ivimkit.scan.checks.volume_scatter import (
    grouped,
    mean_of,
    relative_spread,
    repeat_scatter,
    shells_of,
)

__all__ = ["rises"]

# A smaller rise is scanner drift or motion, whatever the noise.
_MIN_RISE = 0.03
_SCATTERS = 4.0
# Difference of D between directions that differ between two b-values, mm^2/s.
_DIRECTION = 0.6e-3
_MIN_DIRECTIONS = 3
_MAX_SWAPS = 45


@dataclass(frozen=True, eq=False)
class _Decay:
    """The shells of a scan and the rise from one to the next that is acceptable."""

    sample: VolumeSample
    scatter: float
    directional: bool

    def excess(
        self, bvals: NDArray[np.float64], *, own: bool = True
    ) -> tuple[NDArray[np.float64], list[NDArray[np.intp]]]:
        """Return how far each shell lies above each one of lower b, beyond chance.

        Parameters
        ----------
        bvals : ndarray, shape (n_volumes,)
            b-values to try, a permutation of those of the sample.
        own : bool
            Whether shells whose volumes scatter more than is usual are trusted less.

        Returns
        -------
        excess : ndarray, shape (n_shells, n_shells)
            a.u.; positive where the second shell (of higher b) lies too high above the first.
        shells : list of ndarray of int
            Columns of each shell, by ascending b.
        """
        sample = self.sample
        shells = grouped(bvals)
        weights = np.zeros((len(shells), len(bvals)))
        for row, columns in enumerate(shells):
            weights[row, columns] = 1.0 / len(columns)
        b = weights @ bvals
        mean = weights @ sample.mean
        spread = weights @ sample.covariance @ weights.T
        alone = np.diag(spread)
        variance = np.clip(alone[:, None] + alone[None, :] - 2.0 * spread, 0.0, None)
        counts = np.array([len(columns) for columns in shells])
        usual = np.full(len(shells), self.scatter)
        if own:
            usual = np.maximum(usual, [relative_spread(sample.mean[c]) for c in shells])
        error = usual**2 / counts
        allowed = np.sqrt(error[:, None] + error[None, :])
        share = np.maximum(_MIN_RISE, _SCATTERS * allowed)
        if self.directional:
            few = np.minimum(counts[:, None], counts[None, :]) < _MIN_DIRECTIONS
            share = share + few * np.expm1(np.minimum(_DIRECTION * np.maximum(b[:, None], b), 5.0))
        chance = sample.sure * np.sqrt(variance / sample.n_independent)
        rise = mean[None, :] - mean[:, None]
        limit = np.maximum(chance, share * np.clip(mean[:, None], 0.0, None))
        excess = np.where(b[None, :] > b[:, None], rise - limit, -np.inf)
        return excess, shells

    def explains(self, bvals: NDArray[np.float64]) -> bool:
        """Whether the signal falls with these b-values."""
        return not (self.excess(bvals, own=False)[0] > 0.0).any()

    def roughness(self, bvals: NDArray[np.float64]) -> float:
        """Return how irregular the decay is with these b-values: the lower, the more likely."""
        order = np.argsort(bvals, kind="stable")
        height = np.log(np.clip(self.sample.mean[order], 1e-300, None))
        return float(np.abs(np.diff(height, 2)).sum())


def rises(
    sample: VolumeSample, shell_numbers: NDArray[np.intp], *, directional: bool
) -> ScanFinding | None:
    """Report a mean signal that rises with b by more than noise and scatter.

    Parameters
    ----------
    sample : VolumeSample
        The voxels.
    shell_numbers : ndarray of int, shape (n_volumes of the acquisition,)
        Shell of every volume.
    directional : bool
        Whether directions are known, and therefore differ between b-values with few volumes.
    """
    shells = shells_of(sample, shell_numbers)
    if len(shells) < 2:
        return None
    b = sample.bvals.copy()
    for columns in shells:
        b[columns] = mean_of(sample.bvals, columns)
    scatter = repeat_scatter(sample, shells, unweighted=True)
    decay = _Decay(sample, scatter, directional)
    excess, found = decay.excess(b)
    if not (excess > 0.0).any():
        return None
    low, high = np.unravel_index(int(np.argmax(excess)), excess.shape)
    first, second = found[int(low)], found[int(high)]
    rise = (
        f"the mean signal rises with b, from {_shown(sample, first)} to "
        f"{_shown(sample, second)}, by far more than noise"
    )
    swap = _swap(decay, b, excess, found)
    if swap is not None:
        pair = np.array(swap)
        return ScanFinding(
            "order",
            _numbers(sample, pair),
            f"{rise}; {named(_numbers(sample, pair), sample.bvals[pair].tolist())} look swapped "
            "(volumes count from 0)",
            "Check the order of volumes and b-values",
        )
    for text, tried, advice in _explanations(b):
        if decay.explains(tried):
            changed = np.flatnonzero(tried != b)
            return ScanFinding("order", _numbers(sample, changed), f"{rise}; {text}", advice)
    odd = np.sort(np.concatenate([found[k] for k in _cover(excess)]))
    return ScanFinding(
        "order",
        _numbers(sample, odd),
        f"{rise}; {named(_numbers(sample, odd), sample.bvals[odd].tolist())} "
        f"{'does' if len(odd) == 1 else 'do'} not fit into a decay (volumes count from 0)",
        "Check that the b-values are in the order of the volumes",
    )


def _numbers(sample: VolumeSample, columns: NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(sample.volumes[columns].tolist())


def _shown(sample: VolumeSample, columns: NDArray[np.intp]) -> str:
    mean, b = sample.mean[columns].mean(), sample.bvals[columns].mean()
    where = named(sample.volumes[columns].tolist())
    if len(columns) > 2:
        where = f"{len(columns)} volumes"
    return f"{mean:.4g} at b = {b:g} ({where})"


def _explanations(
    b: NDArray[np.float64],
) -> Iterator[tuple[str, NDArray[np.float64], str]]:
    """Yield common wrong orders of scans: the message, the b-values, the advice."""
    n = len(b)
    yield (
        "the b-values seem to be in reverse order",
        b[::-1],
        "Reverse the order of the b-values, or that of the volumes",
    )
    lowest = int(np.count_nonzero(b == b.min()))
    for text, shift in (
        (f"the volumes of the lowest b-value seem to be the last {lowest}", -lowest),
        (f"the volumes of the lowest b-value seem to be the first {lowest}", lowest),
    ):
        yield (
            text.replace("last 1", "last one").replace("first 1", "first one"),
            np.roll(b, shift),
            "Put the b-values in the order of the volumes",
        )
    ascending = np.sort(b)
    alphabet = np.array(sorted(ascending.tolist(), key=lambda value: f"{value:g}"))
    listed = ", ".join(f"{value:g}" for value in alphabet[: min(n, 6)])
    yield (
        f"the volumes seem to be in the alphabetical order of their b-values ({listed} ...), like "
        "files sorted by name",
        alphabet,
        "Put the b-values in the order of the volumes, or the files in that of the b-values",
    )
    yield (
        "the volumes seem to be in ascending order of b",
        ascending,
        "Put the b-values in the order of the volumes",
    )


def _swap(
    decay: _Decay,
    b: NDArray[np.float64],
    excess: NDArray[np.float64],
    shells: list[NDArray[np.intp]],
) -> tuple[int, int] | None:
    """Return the two volumes that explain everything if swapped."""
    involved = {k for pair in np.argwhere(excess > 0.0) for k in pair.tolist()}
    columns = sorted(int(c) for k in involved for c in shells[k])
    if len(columns) > _MAX_SWAPS:
        return None
    best: tuple[float, tuple[int, int]] | None = None
    for one, other in combinations(columns, 2):
        if b[one] == b[other]:
            continue
        tried = b.copy()
        tried[[one, other]] = b[[other, one]]
        if decay.explains(tried):
            rough = decay.roughness(tried)
            if best is None or rough < best[0]:
                best = rough, (one, other)
    return None if best is None else best[1]


def _cover(excess: NDArray[np.float64]) -> list[int]:
    """Return a few shells without which no rise is left; both of an isolated pair."""
    wrong = excess > 0.0
    if np.count_nonzero(wrong) == 1:
        return [int(k) for k in np.argwhere(wrong)[0]]
    chosen = []
    left = wrong.copy()
    while left.any():
        count = left.sum(axis=0) + left.sum(axis=1)
        worst = int(np.argmax(count))
        chosen.append(worst)
        left[worst, :] = left[:, worst] = False
    return sorted(chosen)
