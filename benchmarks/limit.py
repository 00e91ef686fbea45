"""Limit: the best possible estimates, posteriors under the true distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.data import MOST_F, ORGAN_SPREADS, ORGANS, RANGES, S0, DataSet
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel

__all__ = ["sigma_of", "true_model", "under_mixture", "under_truth"]

# Knots of the true density of the mixture: D, D* and f.
_KNOTS = (96, 60, 32)


def true_model() -> SignalModel:
    """Return the bi-exponential model with the ranges of the simulated sets as bounds."""
    return ik.models.get("biexp").with_bounds(**RANGES)


def sigma_of(snr: float) -> float:
    """Return the noise of a simulated set."""
    return S0 / snr


def under_truth(data: DataSet, snr: float, *, noise: str = "gaussian") -> ik.FitResult:
    """Return posteriors under the true uniform prior, with the true noise.

    No estimate from the same signals has a smaller mean squared error over such voxels, if the
    noise is as specified. ``posterior`` checks these integrals against brute force.

    Parameters
    ----------
    data : DataSet
        A simulated set.
    snr : float
        Its signal-to-noise ratio.
    noise : {"gaussian", "rician"}
        As in `ivimkit.methods.Bayes`.

    Returns
    -------
    FitResult
    """
    method = ik.methods.get("bayes", prior="flat", noise=noise)
    sigma = sigma_of(snr)
    return ik.fit(data.signal, data.bvals, model=true_model(), method=method, sigma=sigma)


def under_mixture(data: DataSet, snr: float) -> ik.FitResult:
    """Return posteriors of `organ_mixture` under the mixture itself, with the true noise."""
    n_d, n_d_star, n_f = _KNOTS
    d = np.linspace(0.5e-3, 3.4e-3, n_d)
    d_star = np.geomspace(4e-3, 0.25, n_d_star)
    f = np.concatenate([[0.0], np.geomspace(0.025, MOST_F, n_f - 1)])
    density = np.zeros(_KNOTS)
    for centre in ORGANS:
        one, two, three = (
            _log_normal(values, middle, spread)
            for values, middle, spread in zip((f, d_star, d), centre, ORGAN_SPREADS, strict=True)
        )
        # A prior table uses the logarithm of the fast rate.
        density += three[:, None, None] * (two * d_star)[None, :, None] * one[None, None, :]
    names = ("D", "D_star", "f")
    table = PriorTable("biexp", "true", names, (d, d_star, f), density)
    method = ik.methods.get("bayes", prior=table, noise="gaussian")
    return ik.fit(data.signal, data.bvals, method=method, sigma=sigma_of(snr))


def _log_normal(values: NDArray[np.float64], median: float, spread: float) -> NDArray[np.float64]:
    safe = np.maximum(values, 1e-9)
    away = np.log(safe / median) / spread
    return np.asarray(np.exp(-0.5 * away**2) / (safe * spread))
