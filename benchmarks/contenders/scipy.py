"""A plain loop over `scipy.optimize.curve_fit`, as in most wrappers and scripts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Answer, Contender, Fit

_BOUNDS = {"f": (0.0, 1.0), "D_star": (2e-3, 0.2), "D": (0.0, 5e-3)}
_START = (1.0, 0.1, 20e-3, 1e-3)


def _make(bvals: NDArray[np.float64]) -> Fit:
    from scipy.optimize import curve_fit

    low, high = zip(_BOUNDS["f"], _BOUNDS["D_star"], _BOUNDS["D"], strict=True)
    bounds = ((0.0, *low), (np.inf, *high))

    def model(
        b: NDArray[np.float64], s0: float, f: float, d_star: float, d: float
    ) -> NDArray[np.float64]:
        return np.asarray(s0 * (f * np.exp(-b * d_star) + (1.0 - f) * np.exp(-b * d)))

    def fit(signal: NDArray[np.float64]) -> Answer:
        params = np.full((signal.shape[0], 4), np.nan)
        for voxel, values in zip(params, signal, strict=True):
            scale = values[0]
            try:
                found, _ = curve_fit(model, bvals, values / scale, p0=_START, bounds=bounds)
            except (RuntimeError, ValueError):  # No convergence; a signal that is not finite.
                continue
            voxel[:] = found
            voxel[0] *= scale
        return Answer(params)

    return fit


CONTENDERS = (
    Contender(
        name="scipy-curve_fit",
        label="scipy curve_fit",
        package="scipy",
        module="scipy",
        install="pip install scipy",
        convention="whole",
        bounds=_BOUNDS,
        pace=400,
        make=_make,
        note="one start for all voxels, f 0.1, D* 20e-3, D 1e-3 mm²/s; the bounds of ivimkit",
    ),
)
