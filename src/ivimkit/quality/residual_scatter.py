"""Volumes, and slices of volumes, whose residuals scatter more than usual, e.g. after motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.quality.fit_residuals import Residuals
from ivimkit.quality.residual_faults import MIN_VOXELS

__all__ = ["Scatter"]

MIN_EXCESS_PERCENT = 1.5
"""Excess over the usual value at which a slice or volume stands out, root mean square, % of S0."""

FACTOR = 1.6
"""Factor at which it stands out. The root mean square of noise in 50 voxels, the minimum, has a
standard error of 1 / sqrt(100), so chance is six of them away."""

SYSTEMATIC = 0.7
"""Share of the excess of a volume, squared, proportional to signal and slope, above which the
volume is too bright or dark as a whole. It is smaller for a volume that moved, which has edges."""


class Scatter:
    """Volumes, and slices of them, with larger residuals than usual.

    Usual means the median over slices or volumes: one outlier does not affect it.
    """

    def __init__(self, residuals: Residuals) -> None:
        large = residuals.n_by_slice >= MIN_VOXELS
        spread, slices = residuals.spread[large], residuals.slices[large]
        self.shifted: list[int] = []
        self.moved: list[int] = []
        self.places: list[tuple[int, list[int], NDArray[np.float64]]] = []
        if not spread.size or not (spread > 0).all():
            return
        of_volume = np.median(spread, axis=0)
        usual = np.full_like(of_volume, np.median(of_volume))
        self.ratio = of_volume / usual
        for number in _standing_out(of_volume, usual):
            excess = of_volume[number] ** 2 - usual[number] ** 2
            whole = residuals.systematic[number] ** 2 >= SYSTEMATIC * excess
            if not whole:
                self.moved.append(number)
            elif _differs_from_its_shell(residuals, number):
                self.shifted.append(number)
        # With two slices, the odd one cannot be determined.
        for slice_, own in zip(slices, spread, strict=True) if len(spread) > 2 else ():
            cells = _standing_out(own, of_volume)
            if cells:
                self.places.append((int(slice_), cells, own / of_volume))


def _standing_out(values: NDArray[np.float64], usual: NDArray[np.float64]) -> list[int]:
    """Return which root mean squares exceed the usual ones: the largest and those near it."""
    excess = np.sqrt(np.maximum(values**2 - usual**2, 0.0))
    ratio = np.where(excess >= MIN_EXCESS_PERCENT, values / usual, 0.0)
    # A displaced volume biases the fit, and so also raises the residuals of its neighbours.
    least = max(FACTOR, 0.7 * float(ratio.max()))
    return [int(number) for number in np.flatnonzero(ratio >= least)]


def _differs_from_its_shell(residuals: Residuals, number: int) -> bool:
    """Return whether a volume also stands out from the others of its b-value.

    If they all do, it is the b-value or the model; with one volume it cannot be determined.
    """
    own, shell = residuals.by_volume[number], residuals.mean[residuals.shell[number]]
    return bool(abs(own - shell) >= 0.5 * abs(own))
