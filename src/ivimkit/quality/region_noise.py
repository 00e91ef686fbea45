"""The noise of a region's mean signal: from its voxels, and from its own scatter.

The mean of magnitudes has the noise floor of one volume of one voxel, however many are averaged,
and a spread that shrinks with the root of their number. So the noise level comes from the voxels.
The scatter of the mean signal about a smooth decay can only increase its uncertainty; it is never
treated as noise of a voxel.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import AcquisitionWarning, InputError, NoiseError
from ivimkit.fitting.fit import fit
from ivimkit.fitting.result import FitResult
from ivimkit.kernels.noise_floor import geometric_share, magnitude_mean
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.noise import before_denoising
from ivimkit.noise.pooling import pooled
from ivimkit.noise.residuals import of_regions
from ivimkit.scan.labels import Labels
from ivimkit.scan.variables import B

__all__ = ["MeanSignal", "VoxelNoise", "mean_without_floor", "spread_of_mean", "voxel_noises"]

# Decay rates, mm^2/s: any mean of decays is a non-negative sum over them; the first is that of a
# constant signal.
_RATES = np.concatenate([[0.0], np.geomspace(2e-5, 0.5, 60)])
# The scatter of a mean is used if noise alone would be that large in one of this many regions.
_UNLIKELY = 0.01
_ROUNDS = 100
# Change of the mean signal, in units of the noise of one volume, that ends the iterations.
_MAX_CHANGE = 1e-5
# Noise variance of a magnitude in air, as a share of that of a channel: 2 - pi / 2.
_MIN_NOISE_SHARE = 0.429
# Spreads of the log signal within a region, and the quadrature nodes for it.
_SPREADS = np.linspace(0.0, 1.5, 31)
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()
# The variation of the signals cannot be estimated from fewer voxels.
_MIN_VOXELS = 10
# As many give the noise to a tenth of a percent; so many are fitted at a time.
_MAX_VOXELS = 1_000_000


@dataclass(frozen=True)
class VoxelNoise:
    """Noise of one volume of one voxel.

    Parameters
    ----------
    sigma : float
        Standard deviation, a.u.; NaN if it cannot be estimated.
    degrees : float
        Its degrees of freedom; infinite if it was given.
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


def voxel_noises(
    result: FitResult, labels: Labels, usable: NDArray[np.bool_], numbers: Sequence[int]
) -> dict[int, VoxelNoise]:
    """Return the noise of one volume of one voxel in each of some regions.

    Of a denoised scan that before denoising; of others the one given to the fit, else the one it
    found (its map ``sigma``), else from the least-squares residuals in every voxel.

    Parameters
    ----------
    result : FitResult
        The fit, with its scan.
    labels : Labels
        Region of each voxel.
    usable : ndarray of bool
        Voxels that have a fit.
    numbers : sequence of int
        The regions.
    """
    before = before_denoising(result.provenance.history)
    if before is not None:
        # Denoising moves errors between neighbours: the mean of many voxels has that of before.
        return dict.fromkeys(numbers, VoxelNoise(before.sigma, math.inf))
    given = result.settings.sigma
    if isinstance(given, float):
        return dict.fromkeys(numbers, VoxelNoise(given, math.inf))
    if "sigma" in result.maps:
        return {one: _of_map(result, usable & (labels.array == one)) for one in numbers}
    found: dict[int, VoxelNoise] = {}
    for some in _at_once(result, labels, usable, numbers):
        found |= _of_residuals(result, some)
    return {one: found.get(one, _UNKNOWN) for one in numbers}


def _of_map(result: FitResult, inside: NDArray[np.bool_]) -> VoxelNoise:
    """Pool the noise that the fit has stored for each voxel."""
    # With the precision of maps in files, so that a result from files is bit-identical.
    values = result.maps["sigma"][inside].astype(np.float32).astype(np.float64)
    values = values[np.isfinite(values) & (values > 0.0)]
    if not values.size:
        return _UNKNOWN
    if result.settings.sigma == "map":
        return VoxelNoise(float(np.sqrt(np.mean(values**2))), math.inf)
    n_values = int(np.count_nonzero(np.asarray(result.provenance.counts) > 0.0))
    degrees = max(float(n_values - result.model.n_free), 1.0) + _degrees_of_prior(result)
    if result.dwi is not None and not isinstance(result.method, PosteriorMethod):
        # If volumes were averaged, the noise comes from their spread.
        degrees = max(degrees, float((result.dwi.fit_averages - 1.0).sum()))
    sigma, total = pooled(values**2 * degrees, np.full(values.size, degrees), "median")
    return VoxelNoise(sigma, total)


def _degrees_of_prior(result: FitResult) -> float:
    """Return an upper limit of the prior information of method bayes on the noise."""
    known = [one.variance[0] for one in result.learned.values()]
    return min(max(known, default=0.0), 1e6)


def _at_once(
    result: FitResult, labels: Labels, usable: NDArray[np.bool_], numbers: Sequence[int]
) -> Iterator[NDArray[np.int64]]:
    """Yield the regions of the voxels to fit, many regions at once: small fits are overhead.

    Where single values have weights, what can be said of the noise may differ between regions.
    """
    alone = result.scan().weights_of_values is not None
    some, n = np.zeros(usable.shape, dtype=np.int64), 0
    for number in numbers:
        inside = _some_of(usable & (labels.array == number))
        more = int(np.count_nonzero(inside))
        if n and (alone or n + more > _MAX_VOXELS):
            yield some
            some, n = np.zeros_like(some), 0
        some[inside] = number
        n += more
    if n:
        yield some


def _of_residuals(result: FitResult, labels: NDArray[np.int64]) -> dict[int, VoxelNoise]:
    """Fit the voxels by least squares, so that no step of the method adds to the noise."""
    used = (np.asarray(result.provenance.counts) > 0.0).astype(float)
    bvals = np.unique(np.asarray(result.provenance.bvals)[used > 0.0])
    of_b_alone = tuple(result.model.variables) == (B.name,)
    model = "biexp" if of_b_alone and bvals.size > 4 else result.model
    try:
        with warnings.catch_warnings():
            # Whoever fitted the scan has been told of its b-values.
            warnings.simplefilter("ignore", AcquisitionWarning)
            dwi = result.scan().with_mask(labels != 0)
            weights = used if dwi.weights_of_values is None else None
            fitted = fit(dwi, model=model, weights=weights, device="cpu")
            found = of_regions(fitted, labels)
    except (NoiseError, InputError):
        return {}
    return {number: VoxelNoise(*noise) for number, noise in found.items()}


def _some_of(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a region, or evenly spaced voxels of a large one: enough for its noise."""
    step = -(-int(np.count_nonzero(inside)) // _MAX_VOXELS)
    if step <= 1:
        return inside
    some = np.zeros_like(inside)
    some.flat[np.flatnonzero(inside)[::step]] = True
    return some


def spread_of_mean(
    b: NDArray[np.float64],
    volumes: NDArray[np.float64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    noise: VoxelNoise,
    curves: Sequence[NDArray[np.intp]],
) -> tuple[float, float]:
    """Return the ratio of the noise of a mean to that expected from its voxels, and its degrees.

    Whatever tissues a region contains, its mean signal is a sum of decays with non-negative
    weights. What no such sum explains is noise common to the voxels, or not a decay: motion,
    pulsation, a corrupted volume, dependent voxels. If it is more than chance, it replaces the
    estimate from the voxels.

    Parameters
    ----------
    b : ndarray, shape (n_b,)
        b-values in s/mm^2, those with a weight.
    volumes : ndarray, shape (n_b,)
        Number of volumes averaged into each value.
    mean : ndarray, shape (n_b,)
        Mean signal without noise floor, a.u.
    scale : ndarray, shape (n_b,)
        Standard deviation of its noise estimated from the voxels, a.u.; if the noise is unknown,
        any numbers in the right proportion.
    noise : VoxelNoise
        The noise estimated from the voxels.
    curves : sequence of ndarray of int
        Positions of the values that differ in b alone: each such curve has its own sum.
    """
    from scipy.special import fdtrc  # Slow to load, and few need it.

    curve, degrees = mean.copy(), 0
    for one in curves:
        curve[one], active = _mixture(b[one], volumes[one], mean[one])
        degrees += max(one.size - active, 0)
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
    """Return the non-negative sum of decays closest to a signal, and their number."""
    _, decays, share = _decays_of(b, volumes, signal)
    # Neighbours on the grid represent one rate between them.
    there = share > 0.0
    active = int(np.count_nonzero(there & ~np.concatenate([[False], there[:-1]])))
    return decays @ share, 2 * active - int(there[0])


def _decays_of(
    b: NDArray[np.float64], volumes: NDArray[np.float64], signal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the roots of the weights, the decays, and the share of each in that sum."""
    from scipy.optimize import nnls  # Slow to load, and few need it.

    root = np.sqrt(volumes)
    decays = np.exp(-np.outer(b, _RATES))
    share, _ = nnls(root[:, np.newaxis] * decays, root * signal, maxiter=50 * _RATES.size)
    return root, decays, share


def _tangent(
    b: NDArray[np.float64], volumes: NDArray[np.float64], signal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the derivative of that sum with respect to the signal, shape (n_b, n_b)."""
    root, decays, share = _decays_of(b, volumes, signal)
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
    directions: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Subtract the noise floor from the mean of the magnitudes of a region.

    The magnitude of a signal A exceeds it by an amount that depends on A and sigma. The signals of
    the voxels are assumed to be log-normal about their mean, with the variance of the magnitudes
    in excess of that of their noise; the mean signal itself is smoothed by a sum of decays.
    Differences between directions, which are averaged geometrically, are neglected.

    Parameters
    ----------
    b : ndarray, shape (n_b,)
        b-values in s/mm^2, those with a weight.
    volumes : ndarray, shape (n_b,)
        Number of volumes averaged into each value.
    mean, variance : ndarray, shape (n_b,)
        Mean and variance of the magnitudes of the voxels, a.u.
    n : int
        Number of voxels.
    sigma : float
        Noise in each channel of one volume of one voxel, a.u.
    coils : int
        Number of coils whose squares were added.
    directions : ndarray, shape (n_b,)
        Number of values whose geometric mean each value is.

    Returns
    -------
    clean : ndarray, shape (n_b,)
        The mean of the signals, a.u.
    follows : ndarray, shape (n_b, n_b)
        The derivative of `clean` with respect to `mean`.
    scale : ndarray, shape (n_b,)
        Standard deviation of the noise of `mean`, a.u.
    """
    tables = [
        _excess_table(coils, float(d), float(v / d))
        for d, v in zip(directions, volumes, strict=True)
    ]
    clean = mean.copy()
    slope = share = np.ones(b.size)
    curve = _mixture(b, volumes, clean)[0]
    for _ in range(_ROUNDS):
        expected, slope, share = _expected(
            curve / sigma, variance / sigma**2, volumes, n, coils, tables
        )
        clean = mean - (sigma * expected - curve)
        before, curve = curve, _mixture(b, volumes, clean)[0]
        if np.abs(curve - before).max() <= _MAX_CHANGE * sigma:
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
    tables: list[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean averages of a region, their slopes, and the shares of noise variance left.

    All of shape (n_b,), in units of the noise of one volume; the arrays between them have the
    shape (n_b, n_spreads, n_nodes).
    """
    spreads = _SPREADS if n >= _MIN_VOXELS else _SPREADS[:1]
    factor = np.exp(spreads[:, np.newaxis] * _NODES - 0.5 * spreads[:, np.newaxis] ** 2)
    signal = np.maximum(signal, 0.0)[:, np.newaxis]
    at = signal[..., np.newaxis] * factor
    each = at + _excesses(at, tables)
    mean = each @ _NODE_WEIGHTS
    noise = np.clip(2.0 * coils + at**2 - each**2, _MIN_NOISE_SHARE, 1.0) @ _NODE_WEIGHTS
    total = (each**2) @ _NODE_WEIGHTS - mean**2 + noise / volumes[:, np.newaxis]
    step = signal * 1e-2 + 1e-2
    more = (signal + step)[..., np.newaxis] * factor
    slope = ((more + _excesses(more, tables)) @ _NODE_WEIGHTS - mean) / step
    slope = np.clip(slope, 0.0, 1.0)
    found = np.empty((3, signal.size))
    for j, growing in enumerate(np.maximum.accumulate(total, axis=1)):
        place = np.interp(variance[j], growing, spreads)
        found[:, j] = [np.interp(place, spreads, row[j]) for row in (mean, slope, noise)]
    return found[0], found[1], found[2]


@functools.cache
def _excess_table(coils: int, directions: float, repeats: float) -> NDArray[np.float64]:
    """Return signals, and the average of their magnitudes minus the signals, shape (2, n)."""
    signal = np.linspace(0.0, 20.0 * math.sqrt(coils), 2001)
    share = geometric_share(signal, coils, directions, repeats)
    return np.array([signal, magnitude_mean(signal, coils) * share - signal])


def _excess(signal: NDArray[np.float64], table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the average of magnitudes minus their signal; asymptotically as its inverse."""
    grid, excess = table
    far = np.minimum(1.0, grid[-1] / np.maximum(signal, grid[-1]))
    return np.asarray(np.interp(signal, grid, excess) * far)


def _excesses(
    signals: NDArray[np.float64], tables: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the excess of signals of several b-values, most of which have the same table."""
    if all(table is tables[0] for table in tables):
        return _excess(signals, tables[0])
    return np.stack([_excess(one, table) for one, table in zip(signals, tables, strict=True)])
