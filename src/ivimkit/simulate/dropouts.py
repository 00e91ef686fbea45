"""Dropouts: slices of single volumes that lose signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError

__all__ = ["Dropouts"]

# Distinguishes the random numbers of drop-outs from those of the noise of the same seed.
_STREAM = 7_004


@dataclass(frozen=True)
class Dropouts:
    """Slices of single volumes that lose signal, because tissue moved during the encoding.

    Parameters
    ----------
    n : int
        Number of slices of volumes that lose signal; which ones is random.
    lost : tuple of float
        Lowest and highest share of the signal that one of them loses; in between, all shares are
        equally likely.
    min_b : float
        Only volumes from this b-value on lose signal, s/mm^2.

    Raises
    ------
    OptionError
        If a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit import simulate
    >>> factors = simulate.Dropouts(3).factors(np.array([0, 100, 800]), n_slices=4, seed=0)
    >>> int((factors < 1).sum()), int((factors[0] < 1).sum())
    (3, 0)
    """

    n: int = 5
    lost: tuple[float, float] = (0.2, 0.6)
    min_b: float = 50.0

    def __post_init__(self) -> None:
        if not (float(self.n).is_integer() and self.n >= 0):
            raise OptionError(f"{self.n!r} slices drop out; expected a whole number >= 0")
        try:
            low, high = self.lost
        except (TypeError, ValueError):
            low, high = np.nan, np.nan
        if not 0.0 < low <= high <= 1.0:
            raise OptionError(
                f"the lost share of the signal is {self.lost!r}; expected two numbers, the lower "
                "one first, above 0 and up to 1"
            )
        if not self.min_b >= 0.0:
            raise OptionError(f"min_b is {self.min_b!r} s/mm^2; expected a number >= 0")

    def factors(self, bvals: NDArray[np.float64], n_slices: int, seed: int) -> NDArray[np.float64]:
        """Return the factor on the signal of each slice of each volume, shape (n_b, n_slices).

        Parameters
        ----------
        bvals : ndarray, shape (n_b,)
            b-values of the volumes, s/mm^2.
        n_slices : int
            Number of slices.
        seed : int
            The same seed gives the same drop-outs.

        Raises
        ------
        OptionError
            If there are fewer slices of volumes than are to drop out.
        """
        candidates = np.flatnonzero(np.repeat(bvals >= self.min_b, n_slices))
        if self.n > candidates.size:
            raise OptionError(
                f"{self.n} slices are to drop out, and the volumes with b >= {self.min_b:g} have "
                f"{candidates.size}; expected at most that many"
            )
        random = np.random.default_rng([seed, _STREAM])
        factors = np.ones(len(bvals) * n_slices)
        chosen = random.choice(candidates, self.n, replace=False) if self.n else candidates[:0]
        factors[chosen] = 1.0 - random.uniform(*self.lost, self.n)
        return factors.reshape(len(bvals), n_slices)
