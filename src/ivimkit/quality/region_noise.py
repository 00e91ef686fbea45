"""The noise of a region's mean signal: what its voxels say, and what its own scatter adds.

The mean of magnitudes has the noise floor of one volume of one voxel, however many are averaged,
and a spread that shrinks with the root of their number. So the level of the noise comes from the
voxels. What the mean signal scatters about a smooth decay may only make it less sure; it never
counts as noise of a voxel.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ivimkit.errors import AcquisitionWarning, InputError, NoiseError
from ivimkit.fitting import fit
from ivimkit.kernels.noise_floor import magnitude_mean
from ivimkit.noise import from_residuals
from ivimkit.noise.pooling import pooled
from ivimkit.posterior_method import PosteriorMethod
from ivimkit.result import FitResult

__all__ = ["MeanSignal", "VoxelNoise", "mean_without_floor", "spread_of_mean", "voxel_noise"]

# Degrees of freedom from which the voxels of a region tell its noise alone.
_ENOUGH = 100.0
# Decay rates, mm^2/s, of which any mean of decays is a sum with weights that are not negative;
# the first is that of a signal that stays.
_RATES = np.concatenate([[0.0], np.geomspace(2e-5, 0.5, 60)])
# The scatter of a mean counts if noise alone would be that large in one of so many regions.
_UNLIKELY = 0.01
_ROUNDS = 100
_CLOSE = 1e-6
# Spreads of the logarithm of the signal within a region, and the nodes that stand for it.
_SPREADS = np.linspace(0.0, 1.5, 31)
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()
# Fewer voxels do not tell how much their signals differ.
_FEWEST = 10


@dataclass(frozen=True)
class VoxelNoise:
    """Noise of one volume of one voxel.

    Parameters
    ----------
    sigma : float
        Standard deviation, a.u.; NaN if nothing tells.
    degrees : float
        Degrees of freedom of it; infinite if it was given.
    """

    sigma: float
    degrees: float


_UNKNOWN = VoxelNoise(math.nan, 0.0)


@dataclass(frozen=True, eq=False)
class MeanSignal:
    """The mean signal of a region, ready to be fitted as if its noise were Gaussian.

    Parameters
    ----------
    signal : ndarray, shape (n_b,)
        Without noise floor, a.u.
    spread : ndarray, shape (n_b, n_b)
        Turns independent standard normal numbers into the noise of `signal`, a.u.
    degrees : float
        Degrees of freedom of that noise.
    """

    signal: NDArray[np.float64]
    spread: NDArray[np.float64]
    degrees: float


def voxel_noise(
    result: FitResult, usable: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> VoxelNoise:
    """Return the noise of one volume of one voxel in a region.

    That which the fit was given, or else has found (its map ``sigma``), or else the residuals of
    least squares in every voxel. Where the region is too small to tell, all voxels do.

    Parameters
    ----------
    result : FitResult
        The fit, with its scan.
    usable : ndarray of bool
        Voxels that have a fit.
    inside : ndarray of bool
        Voxels of the region, all of them usable.
    """
    given = result.provenance.options.get("sigma")
    if isinstance(given, int | float):
        return VoxelNoise(float(given), math.inf)
    look = _of_map if "sigma" in result.maps else _of_residuals
    found = look(result, inside)
    if found.degrees >= _ENOUGH or np.count_nonzero(usable) == np.count_nonzero(inside):
        return found
    return max(found, look(result, usable), key=lambda noise: noise.degrees)


def _of_map(result: FitResult, inside: NDArray[np.bool_]) -> VoxelNoise:
    """Pool the noise that the fit has stored for each voxel."""
    # As precise as maps in files are, so that a result from files gives the same bits.
    values = result.maps["sigma"][inside].astype(np.float32).astype(np.float64)
    values = values[np.isfinite(values) & (values > 0.0)]
    if not values.size:
        return _UNKNOWN
    if result.provenance.options.get("sigma") == "map":
        return VoxelNoise(float(np.sqrt(np.mean(values**2))), math.inf)
    n_values = int(np.count_nonzero(np.asarray(result.provenance.counts) > 0.0))
    degrees = max(float(n_values - result.model.n_free), 1.0) + _degrees_of_prior(result)
    if result.dwi is not None and not isinstance(result.method, PosteriorMethod):
        # Where volumes were averaged, it is their spread that has told.
        degrees = max(degrees, float((result.dwi.fit_counts - 1.0).sum()))
    sigma, total = pooled(values**2 * degrees, np.full(values.size, degrees), "median")
    return VoxelNoise(sigma, total)


def _degrees_of_prior(result: FitResult) -> float:
    """Return what method bayes knew of the noise before it saw a voxel, at most."""
    if not isinstance(result.method, PosteriorMethod):
        return 0.0
    regions = result.provenance.options.get("regions", {})
    known = [one["variance"] for one in regions.values()]
    pairs = [float(pair[0]) for pair in known if not isinstance(pair, str)]
    return min(max(pairs, default=0.0), 1e6)


def _of_residuals(result: FitResult, inside: NDArray[np.bool_]) -> VoxelNoise:
    """Fit the voxels by least squares, so that no step of the method counts as noise."""
    assert result.dwi is not None
    if not inside.any():
        return _UNKNOWN
    used = (np.asarray(result.provenance.counts) > 0.0).astype(float)
    bvals = np.unique(np.asarray(result.provenance.bvals)[used > 0.0])
    model = "biexp" if bvals.size > 4 else result.model.name
    try:
        with warnings.catch_warnings():
            # Whoever fitted the scan has been told of its b-values.
            warnings.simplefilter("ignore", AcquisitionWarning)
            found = from_residuals(
                fit(result.dwi.with_mask(inside), model=model, weights=used, device="cpu")
            )
    except (NoiseError, InputError):
        return _UNKNOWN
    return VoxelNoise(found.sigma, found.degrees)


def spread_of_mean(
    b: NDArray[np.float64],
    volumes: NDArray[np.float64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    noise: VoxelNoise,
) -> tuple[float, float]:
    """Return how much larger the noise of a mean is than its voxels say, and its degrees.

    Whatever tissues a region holds, its mean signal is a sum of decays with weights that are not
    negative. What no such sum explains is noise that the voxels have in common, or no decay at
    all: that of motion, of pulsation, of a volume that was spoiled, of voxels that are not
    independent. Where it is more than chance, it takes the place of what the voxels say.

    Parameters
    ----------
    b : ndarray, shape (n_b,)
        b-values in s/mm^2, those with a weight.
    volumes : ndarray, shape (n_b,)
        Number of volumes behind each value.
    mean : ndarray, shape (n_b,)
        Mean signal without noise floor, a.u.
    scale : ndarray, shape (n_b,)
        Standard deviation of its noise by what the voxels say, a.u.; with an unknown noise, any
        numbers in the right proportion.
    noise : VoxelNoise
        What the voxels say.
    """
    from scipy.special import fdtrc  # Slow to load, and few need it.

    curve, active = _mixture(b, volumes, mean)
    degrees = b.size - active
    if degrees < 1:
        return (1.0, noise.degrees) if noise.degrees > 0.0 else (math.nan, 0.0)
    ratio = float(np.sum(((mean - curve) / scale) ** 2)) / degrees
    if not noise.degrees > 0.0:
        return math.sqrt(ratio), float(degrees)
    likely = float(fdtrc(degrees, min(noise.degrees, 1e9), ratio))
    if ratio > 1.0 and likely < _UNLIKELY:
        return math.sqrt(ratio), float(degrees)
    return 1.0, noise.degrees


def _mixture(
    b: NDArray[np.float64], volumes: NDArray[np.float64], signal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int]:
    """Return the sum of decays, none of them negative, next to a signal, and their number."""
    root = np.sqrt(volumes)
    decays = np.exp(-np.outer(b, _RATES))
    share, _ = nnls(root[:, np.newaxis] * decays, root * signal, maxiter=50 * _RATES.size)
    # Neighbours on the grid stand for one rate between them.
    there = share > 0.0
    active = int(np.count_nonzero(there & ~np.concatenate([[False], there[:-1]])))
    return decays @ share, 2 * active - int(there[0])


def _tangent(
    b: NDArray[np.float64], volumes: NDArray[np.float64], signal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how that sum follows a small change of the signal, shape (n_b, n_b)."""
    root = np.sqrt(volumes)
    decays = np.exp(-np.outer(b, _RATES))
    share, _ = nnls(root[:, np.newaxis] * decays, root * signal, maxiter=50 * _RATES.size)
    columns = root[:, np.newaxis] * decays[:, share > 0.0]
    projection = columns @ np.linalg.pinv(columns) if columns.size else np.zeros((b.size, b.size))
    return np.asarray(projection * root / root[:, np.newaxis])


def mean_without_floor(
    b: NDArray[np.float64],
    volumes: NDArray[np.float64],
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    n: int,
    sigma: float,
    coils: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Take off what noise adds to the mean of the magnitudes of a region.

    A magnitude of a signal A is above it by an excess that depends on A and sigma. The signals of
    the voxels are taken to be distributed log-normally about their mean, as wide as the variance
    of the magnitudes beyond that of their noise says; the mean signal itself is smoothed by a sum
    of decays. With voxels averaged geometrically, the excess is that of the arithmetic mean.

    Parameters
    ----------
    b : ndarray, shape (n_b,)
        b-values in s/mm^2, those with a weight.
    volumes : ndarray, shape (n_b,)
        Number of volumes behind each value.
    mean, variance : ndarray, shape (n_b,)
        Mean and variance of the magnitudes of the voxels, a.u.
    n : int
        Number of voxels.
    sigma : float
        Noise in each channel of one volume of one voxel, a.u.
    coils : int
        Number of coils whose squares were added.

    Returns
    -------
    clean : ndarray, shape (n_b,)
        The mean of the signals, a.u.
    follows : ndarray, shape (n_b, n_b)
        How `clean` follows a small change of `mean`.
    scale : ndarray, shape (n_b,)
        Standard deviation of the noise of `mean`, a.u.
    """
    clean = mean.copy()
    slope = np.ones(b.size)
    share = np.ones(b.size)
    curve = _mixture(b, volumes, clean)[0]
    for _ in range(_ROUNDS):
        expected, slope, share = _expected(curve / sigma, variance / sigma**2, volumes, n, coils)
        clean = mean - (sigma * expected - curve)
        before, curve = curve, _mixture(b, volumes, clean)[0]
        if np.abs(curve - before).max() <= _CLOSE * sigma:
            break
    smooth, lost = _tangent(b, volumes, clean), np.diag(1.0 - slope)
    change = np.linalg.pinv(np.eye(b.size) - smooth @ lost, rcond=1e-3) @ smooth
    return clean, np.eye(b.size) + lost @ change, sigma * np.sqrt(share / volumes / n)


def _expected(
    signal: NDArray[np.float64],
    variance: NDArray[np.float64],
    volumes: NDArray[np.float64],
    n: int,
    coils: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean magnitude of a region, its slope, and the share of the variance left.

    All is in units of the noise of one volume.
    """
    spreads = _SPREADS if n >= _FEWEST else _SPREADS[:1]
    factor = np.exp(spreads[:, np.newaxis] * _NODES - 0.5 * spreads[:, np.newaxis] ** 2)
    at = np.maximum(signal, 0.0)[:, np.newaxis, np.newaxis] * factor
    each = magnitude_mean(at, coils)
    mean = each @ _NODE_WEIGHTS
    noise = (2.0 * coils + at**2 - each**2) @ _NODE_WEIGHTS
    total = (each**2) @ _NODE_WEIGHTS - mean**2 + noise / volumes[:, np.newaxis]
    above = magnitude_mean(at * (1.0 + 1e-4) + 1e-6 * factor, coils) @ _NODE_WEIGHTS
    slope = (above - mean) / (np.maximum(signal, 0.0)[:, np.newaxis] * 1e-4 + 1e-6)
    found = []
    for j in range(signal.size):
        rising = np.maximum.accumulate(total[j])
        place = np.interp(variance[j], rising, spreads)
        found.append([np.interp(place, spreads, rows[j]) for rows in (mean, slope, noise)])
    columns = np.array(found)
    return columns[:, 0], np.clip(columns[:, 1], 0.0, 1.0), columns[:, 2]
