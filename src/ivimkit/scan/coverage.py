"""How well a set of b-values covers the IVIM decay: graded ranges, perfusion signal left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CoverageRange", "PerfusionLeft", "coverage_of", "perfusion_left_at"]


@dataclass(frozen=True)
class CoverageRange:
    """One range of b-values: its purpose, recommended and present values.

    Parameters
    ----------
    purpose : str
        What the range determines.
    low, high : float
        Limits in s/mm^2, both inclusive.
    recommended : tuple of float
        Recommended b-values in s/mm^2.
    present : tuple of float
        Distinct b-values of the scan in the range, in s/mm^2.
    """

    purpose: str
    low: float
    high: float
    recommended: tuple[float, ...]
    present: tuple[float, ...]

    @property
    def grade(self) -> str:
        """``"good"`` (as many as recommended), ``"thin"`` (fewer) or ``"missing"``."""
        if not self.present:
            return "missing"
        return "good" if len(self.present) >= len(self.recommended) else "thin"


@dataclass(frozen=True, eq=False)
class PerfusionLeft:
    """The share of the perfusion signal, exp(-b D*), that is left at each b.

    Parameters
    ----------
    bvals : ndarray, shape (n_b,)
        b-values in s/mm^2.
    D_star : ndarray, shape (n_rates,)
        Pseudo-diffusion coefficients in mm^2/s.
    fraction : ndarray, shape (n_b, n_rates)
        exp(-b D*), between 0 and 1.
    """

    bvals: NDArray[np.float64]
    D_star: NDArray[np.float64]
    fraction: NDArray[np.float64]


_RANGES: tuple[tuple[str, float, float, tuple[float, ...]], ...] = (
    ("S0", 0.0, 0.0, (0.0,)),
    ("perfusion: f and D*", 10.0, 50.0, (10.0, 20.0, 30.0, 40.0, 50.0)),
    ("transition", 100.0, 200.0, (100.0, 150.0, 200.0)),
    ("tissue: D", 300.0, 1500.0, (400.0, 600.0, 800.0)),
)


def coverage_of(bvals: Sequence[float]) -> tuple[CoverageRange, ...]:
    """Grade the coverage of the four ranges of the IVIM decay.

    Parameters
    ----------
    bvals : sequence of float
        Distinct b-values in s/mm^2.

    Returns
    -------
    tuple of CoverageRange
        The ranges 0, 10-50, 100-200 and 300-1500 s/mm^2.

    Examples
    --------
    >>> [part.grade for part in coverage_of([0, 20, 50, 100, 150, 200, 400])]
    ['good', 'thin', 'good', 'thin']
    """
    return tuple(
        CoverageRange(
            purpose, low, high, recommended, tuple(float(b) for b in bvals if low <= b <= high)
        )
        for purpose, low, high, recommended in _RANGES
    )


def perfusion_left_at(bvals: Sequence[float], D_star: Sequence[float]) -> PerfusionLeft:
    """Tabulate exp(-b D*) for each b and D*.

    Parameters
    ----------
    bvals : sequence of float
        b-values in s/mm^2.
    D_star : sequence of float
        Pseudo-diffusion coefficients in mm^2/s.

    Returns
    -------
    PerfusionLeft

    Examples
    --------
    >>> perfusion_left_at([0, 100], [0.01]).fraction.round(3).tolist()
    [[1.0], [0.368]]
    """
    b = np.asarray(bvals, dtype=np.float64)
    rates = np.asarray(D_star, dtype=np.float64)
    return PerfusionLeft(b, rates, np.exp(-np.outer(b, rates)))
