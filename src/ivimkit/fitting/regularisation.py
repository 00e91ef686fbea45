"""The weight of the penalty of a spectrum, found once for a scan from some of its voxels."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import Task, run
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.methods._spectral import SpectralMethod
from ivimkit.methods._spectrum_writing import for_weighing
from ivimkit.status import FAILED

__all__ = ["MAX_VOXELS", "with_weight"]

MAX_VOXELS = 500
"""Number of voxels that a weight is found from: their median hardly changes with more."""

# The weights that are tried, per root of the sum of the weights of the values, so that repeats
# and the number of b-values do not matter: from a spectrum of spikes to one without peaks.
_LEAST, _MOST, _N_TRIED = 1e-3, 10.0, 33
# Of a scan without a voxel that could be fitted.
_USUAL = 0.02


def with_weight(method: FitMethod, sample: TrainingSample) -> tuple[FitMethod, dict[str, str]]:
    """Return a method with the weight of its penalty as a number, and how it was found.

    The weight is the median of those that the rule finds in each of up to `MAX_VOXELS` voxels: in
    single voxels the rules scatter by orders of magnitude.

    Parameters
    ----------
    method : FitMethod
        Any method; all but those with a spectrum and a rule are returned as they are.
    sample : TrainingSample
        The voxels of the scan.

    Returns
    -------
    FitMethod
        The method.
    dict of str to str
        The rule in words, by the name of the option; empty if there was none.

    Raises
    ------
    OptionError
        If the rule needs the noise, which is not known.
    """
    if not (isinstance(method, SpectralMethod) and isinstance(method.regularisation, str)):
        return method, {}
    rule = method.regularisation
    if rule == "discrepancy" and np.isnan(sample.sigma).any():
        raise OptionError(
            "regularisation is 'discrepancy', which makes the residuals as large as the noise, "
            "and sigma is not known; expected a number, a map or a source of it. Give sigma "
            "(--sigma auto), or use regularisation gcv"
        )
    # Where weights differ from voxel to voxel, those of most voxels decide for all.
    sample = sample.of_one_pattern()
    drawn = sample.drawn(MAX_VOXELS, seed=0)
    scale = math.sqrt(float(sample.weight.sum()))
    tried = np.geomspace(_LEAST, _MOST, _N_TRIED) * scale
    sizes, good = _tried(method, drawn, tried, influence=rule == "gcv")
    if not good.any():
        return replace(method, regularisation=_USUAL * scale), {}
    square, further = sizes[0], sizes[-1]
    n = int(np.count_nonzero(sample.weight))
    logs = np.log(tried)
    if rule == "gcv":
        found = _least_gcv(square, further, n, logs)
    elif rule == "lcurve":
        found = _corners(square, further, logs)
    else:
        sigma = drawn.sigma if drawn.sigma.size == 1 else drawn.sigma[good]
        found = _as_large_as_noise(square, n * sigma**2, logs)
    # Three digits are far more than the rules are worth, and can be read and typed.
    weight = float(f"{math.exp(float(np.median(found))):.3g}")
    count = int(good.sum())
    how = f"{rule}, {count} voxel" + ("" if count == 1 else "s")
    return replace(method, regularisation=weight), {"regularisation": how}


def _tried(
    method: SpectralMethod,
    sample: TrainingSample,
    weights: NDArray[np.float64],
    *,
    influence: bool,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return squares of residuals and of differences, and, if asked for, effective parameters.

    Shape (2 or 3, n_voxels, n_weights); and which voxels could be fitted with all weights, as the
    others are left out.
    """
    ways = [for_weighing(method, float(mu), influence=influence) for mu in weights]
    tasks = [Task(sample.model, way, sample.weight) for way in ways]
    x = sample.b[np.newaxis]
    fitted = run(sample.reader, x, tasks, threads=sample.threads, device="cpu")
    good = np.all([(status & int(FAILED)) == 0 for _, status, _ in fitted], axis=0)
    n = 3 if influence else 2
    numbers = np.array([values[good, -n:] for values, _, _ in fitted])
    return np.moveaxis(numbers, (0, 1, 2), (2, 1, 0)), good


def _least_gcv(
    square: NDArray[np.float64],
    influence: NDArray[np.float64],
    n: int,
    logs: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return ln mu with the lowest score of generalised cross-validation, |r|^2 / (n - tr H)^2.

    H is the matrix that gives the fitted signal, with the bins that are 0 left out.
    """
    rest = np.maximum(n - influence, 1e-3)
    return np.asarray(logs[np.argmin(square / rest**2, axis=1)])


def _corners(
    square: NDArray[np.float64], roughness: NDArray[np.float64], logs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ln mu at the corner of the L-curve, where ln |L x| over ln |r| is bent most."""
    tiny = np.finfo(np.float64).tiny
    across = 0.5 * np.log(np.maximum(square, tiny))
    along = 0.5 * np.log(np.maximum(roughness, tiny))
    dx, dy = np.gradient(across, logs, axis=1), np.gradient(along, logs, axis=1)
    ddx, ddy = np.gradient(dx, logs, axis=1), np.gradient(dy, logs, axis=1)
    bend = (dx * ddy - ddx * dy) / np.maximum(dx**2 + dy**2, tiny) ** 1.5
    # Differences are one-sided at the ends.
    return np.asarray(logs[2:-2][np.argmax(bend[:, 2:-2], axis=1)])


def _as_large_as_noise(
    square: NDArray[np.float64], noise: NDArray[np.float64], logs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ln mu at which the residuals are as large as the noise; the nearest one if none is.

    They grow with mu.
    """
    found = np.empty(len(square))
    for k, (own, level) in enumerate(
        zip(square, np.broadcast_to(noise, len(square)), strict=True)
    ):
        found[k] = np.interp(math.log(level), np.log(np.maximum.accumulate(own)), logs)
    return found
