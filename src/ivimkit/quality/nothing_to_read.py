"""nothing_to_read(): why the maps of a result contain no information, if they do not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import NoiseError
from ivimkit.noise import from_residuals
from ivimkit.rounding import percent, rounded
from ivimkit.status import WITHOUT_FIT

if TYPE_CHECKING:
    from ivimkit.fitting.result import FitResult
    from ivimkit.noise import NoiseEstimate

__all__ = ["MIN_DECAY", "MIN_SNR", "nothing_to_read", "of_fitted"]

MIN_DECAY = 0.05
"""Share of the mean signal at the lowest b-value that must be lost at the highest."""

MIN_STANDARD_ERRORS = 4.0
"""Size of that loss in standard errors of its mean over the voxels."""

MIN_SNR = 3.0
"""Signal at b = 0 by its noise, where the scan itself is not available: magnitudes of pure noise
have 2."""

_MIN_VOXELS = 8


def nothing_to_read(result: FitResult, *, noise: NoiseEstimate | None = None) -> str:
    """Say why a result contains no information about the tissue; empty if it may contain some.

    A fit of noise has values in every voxel, like any other. But diffusion makes the signal fall
    with b, whatever the model: if the mean signal of the fitted voxels is not lower at the highest
    b-value than at the lowest, by 5 % and by four standard errors, no map means anything.

    Parameters
    ----------
    result : FitResult
        The fit; without its scan only the size of the signal is judged.
    noise : NoiseEstimate, optional
        Noise of one volume, for that; by default from the residuals.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> noise = np.abs(np.random.default_rng(0).normal(size=(8, 8, 1, 8)))
    >>> result = ik.fit(noise, [0, 10, 20, 50, 100, 200, 400, 800])
    >>> ik.quality.nothing_to_read(result)[:44]
    'The signal does not fall with b: at b = 800 '
    >>> ik.quality.nothing_to_read(ik.fit(ik.simulate.phantom(shape=(16, 12, 1)).dwi))
    ''
    """
    if not result.codes.fitted.total:
        return "No voxel was fitted."
    return _of_maps(result, noise) if result.dwi is None else _of_scan(result)


def _of_scan(result: FitResult) -> str:
    assert result.dwi is not None
    shells = result.dwi.acquisition.shell_bvals
    low, high = float(shells.min()), float(shells.max())
    first = np.asarray(result.dwi.mean_values(low, result.mask), dtype=np.float64)
    lost = first - np.asarray(result.dwi.mean_values(high, result.mask), dtype=np.float64)
    there = np.isfinite(lost)
    n = int(np.count_nonzero(there))
    if n < _MIN_VOXELS:
        return ""
    mean, error = float(lost[there].mean()), float(lost[there].std(ddof=1)) / math.sqrt(n)
    signal = float(first[there].mean())
    if mean > MIN_DECAY * signal and mean > MIN_STANDARD_ERRORS * error:
        return ""
    left = "not above 0 in the mean"
    if signal > MIN_STANDARD_ERRORS * float(first[there].std(ddof=1)) / math.sqrt(n):
        left = f"{percent(1.0 - mean / signal)} of that at b = {low:g}"
    return (
        f"The signal does not fall with b: at b = {high:g} s/mm² it is {left}. Noise looks like "
        "that, and so do b-values of another scan."
    )


def _of_maps(result: FitResult, noise: NoiseEstimate | None) -> str:
    """Judge the size of the signal."""
    if "S0" not in result.maps:
        return ""
    try:
        sigma = (from_residuals(result, each_voxel=False) if noise is None else noise).sigma
    except NoiseError:
        return ""
    signal = float(np.median(of_fitted(result, "S0")))
    if not signal < MIN_SNR * sigma:
        return ""
    return (
        f"The signal at b = 0 is {rounded(signal / sigma, digits=2)} times its noise in the "
        "median voxel, as it is where there is only noise."
    )


def of_fitted(result: FitResult, name: str) -> NDArray[np.float64]:
    """Return a map in the voxels that have values, in one row."""

    def pick(_: object, part: FitResult) -> NDArray[np.float64]:
        fitted = (part.status & WITHOUT_FIT) == 0
        return np.asarray(part.maps[name][fitted], dtype=np.float64)

    return result.gathered(pick)
