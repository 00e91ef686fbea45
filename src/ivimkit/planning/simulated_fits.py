"""simulated_estimates: real fits of simulated volumes of a protocol."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import evaluate
from ivimkit.errors import IvimkitWarning
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.fit import fit
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI
from ivimkit.scan.variables import B
from ivimkit.simulate.noise import apply_noise, draw_noise
from ivimkit.simulate.protocol import settings_of

__all__ = ["simulated_estimates"]

# Signals of the size of images, for the methods that have an absolute tolerance.
_S0 = 1000.0


def simulated_estimates(
    model: SignalModel,
    method: FitMethod,
    params: NDArray[np.float64],
    acquisition: Acquisition,
    *,
    sigma: float,
    noise: str = "rician",
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return the parameters that a method finds from simulated volumes.

    Parameters
    ----------
    model : SignalModel
        The model.
    method : FitMethod
        The method.
    params : ndarray, shape (n, n_par)
        True parameters of each voxel, with S0 = 1.
    acquisition : Acquisition
        The volumes.
    sigma : float
        Noise of one volume, for S0 = 1; the method is told.
    noise : {"rician", "gaussian"}
        Kind of noise.
    seed : int
        The same seed gives the same noise.

    Returns
    -------
    ndarray, shape (n, n_par)
        Estimates with S0 in units of the true one; NaN where a fit failed.
    """
    columns = settings_of(model, acquisition)
    x = np.stack(list(columns.values()))
    clean = _S0 * evaluate(model, params, x[0] if model.variables == (B.name,) else x)
    noisy = apply_noise(clean, draw_noise(clean.shape, seed), sigma=_S0 * sigma, kind=noise)
    with warnings.catch_warnings():
        # Voxels of many tissues in random order look like a faulty scan.
        warnings.simplefilter("ignore", IvimkitWarning)
        result = fit(DWI(noisy, acquisition), model=model, method=method, sigma=_S0 * sigma)
    found = np.stack([result.maps[name] for name in model.names], axis=-1)
    found[..., 0] /= _S0
    return np.asarray(found, dtype=np.float64)
