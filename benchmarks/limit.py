"""The best that can be known: posteriors under the very distribution the truth was drawn from."""

from __future__ import annotations

import ivimkit as ik
from benchmarks.data import RANGES, S0, DataSet
from ivimkit.signal_model import SignalModel

__all__ = ["sigma_of", "true_model", "under_truth"]


def true_model() -> SignalModel:
    """Return the bi-exponential model with the ranges of the simulated sets for bounds."""
    return ik.models.get("biexp").with_bounds(**RANGES)


def sigma_of(snr: float) -> float:
    """Return the noise of a simulated set."""
    return S0 / snr


def under_truth(data: DataSet, snr: float, *, noise: str = "gaussian") -> ik.FitResult:
    """Return posteriors under the true uniform prior, with the true noise.

    No estimate from the same signals has a smaller mean squared error over such voxels, as far
    as the noise is what `noise` says. ``posterior`` checks these integrals against brute force.

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
