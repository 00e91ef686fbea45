"""Uncertainty of the fit of a mean signal, from fits of the same signal with added noise."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.signal_model import SignalModel
from ivimkit.quality.region_noise import MeanSignal

__all__ = ["N_NOISY", "limits", "noisy_signals"]

N_NOISY = 1024
"""Number of fits for the limits of a region."""

# Share of the fits that may fail.
_MAY_FAIL = 0.1
_95, _50 = (2.5, 97.5), (25.0, 75.0)


def noisy_signals(mean: MeanSignal) -> NDArray[np.float64]:
    """Return the mean signal with noise of the same size added, shape (N_NOISY, n_b).

    The noise is added to the signal, not to the curve: the mean of different decays keeps its
    distance from one decay. The random numbers are always the same; each is used with both signs,
    and if there are enough of them they have exactly the required covariance.
    """
    rng = np.random.default_rng(0)
    n = mean.signal.size
    half: NDArray[np.floating] = rng.standard_normal((N_NOISY // 2, n))
    if 4 * n <= half.shape[0]:
        covariance = half.T @ half / half.shape[0]
        half = np.linalg.solve(np.linalg.cholesky(covariance), half.T).T
    if math.isfinite(mean.degrees):
        chi2 = rng.chisquare(max(mean.degrees, 1.0), half.shape[0])
        half = half * np.sqrt(max(mean.degrees, 1.0) / chi2)[:, np.newaxis]
    noise = np.concatenate([half, -half]) @ mean.spread.T
    return np.asarray(mean.signal + noise)


def limits(
    noisy: Mapping[str, NDArray[np.float64]], model: SignalModel
) -> dict[str, NDArray[np.float64]]:
    """Return standard deviations and limits from the maps of the noisy signals.

    Parameters
    ----------
    noisy : mapping of str to ndarray, shape (n_regions, N_NOISY)
        Parameters and derived quantities fitted to `noisy_signals`.
    model : SignalModel
        The model; fixed parameters have no limits.

    Returns
    -------
    dict of str to ndarray, shape (n_regions,)
        Named as the maps of `ivimkit.uncertainty`; NaN where too many fits failed.
    """
    fixed = {p.name for p in model.parameters if p.fixed} | set(model.fixed_maps)
    found: dict[str, NDArray[np.float64]] = {}
    for name, values in noisy.items():
        there = np.isfinite(values)
        known = there.mean(axis=1) >= 1.0 - _MAY_FAIL
        if name in fixed:
            known[:] = False
        rows = np.where(known[:, np.newaxis], values, 0.0)
        edges = np.nanpercentile(rows, (*_95, *_50), axis=1)
        numbers = {
            "sd": np.nanstd(rows, axis=1),
            **dict(zip(("lo", "hi", "lo50", "hi50"), edges, strict=True)),
        }
        found |= {f"{name}_{key}": np.where(known, row, np.nan) for key, row in numbers.items()}
    return found
