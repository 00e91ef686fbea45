"""Noise from volumes that were measured more than once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import NoiseError
from ivimkit.kernels.noise_floor import magnitude_mean
from ivimkit.noise.floor import above_floor, squares_of, sum_of_kept
from ivimkit.noise.measurable import require_measurable
from ivimkit.noise.noise_estimate import NoiseEstimate
from ivimkit.noise.pooling import check_pool, evenly, pooled
from ivimkit.scan.acquisition import Acquisition, Shell
from ivimkit.scan.dwi import DWI
from ivimkit.scan.voxel_reader import VoxelReader

__all__ = [
    "calmest_repeats",
    "from_repeats",
    "magnitude_noise",
    "repeated",
    "sum_of_squares",
    "variance_shares",
]

_CHUNK = 16384
# With this many degrees of freedom, the noise of a single voxel is known to one sixth.
_MIN_DEGREES = 20
_ROUNDS = 8
# Spread of the repeats at high b over that of all, below which it is taken to be less.
_MIN_CALMER = 0.9
# Voxels are as many as needed, not all of millions.
_MAX_POOLED_VOXELS = 20_000
# b-values closer than this are equal up to rounding, in s/mm^2 and as a fraction.
_MIN_B_SPACING = 0.1
_MIN_RELATIVE_B_SPACING = 0.001


def from_repeats(
    dwi: DWI,
    *,
    bvals: Sequence[float] | None = None,
    pool: str = "median",
    each_voxel: bool = True,
) -> NoiseEstimate:
    """Estimate the noise from volumes with the same b-value and direction.

    Only equal b-values are repeats, not all of a shell with jitter. The spread about the mean of
    each group of repeats is taken in every voxel, pooled over groups by their degrees of freedom,
    and then over voxels. Only repeats whose mean is above three times the noise count, so air and
    voids do not. Without directions, all volumes of a b-value are taken as repeats: anisotropy of
    the tissue then adds to the noise.

    Parameters
    ----------
    dwi : DWI
        The scan; only voxels in its mask count.
    bvals : sequence of float, optional
        Use the repeats of these b-values only, in s/mm^2.
    pool : {"median", "mean"}
        How voxels become one value. The median is insensitive to motion and pulsation in a few of
        them; the mean has the smaller standard error in their absence.
    each_voxel : bool
        Whether to make the map of each voxel as well. Without it, not all voxels of a scan with
        many millions are pooled, but evenly spaced ones.

    Returns
    -------
    NoiseEstimate
        With a map of each voxel, if it is wanted.

    Raises
    ------
    NoiseError
        If nothing was repeated, or the repeats contain no noise or no signal.
    AcquisitionError
        If there is no such b-value.
    OptionError
        If `pool` is unknown.

    References
    ----------
    Dietrich et al. 2007, doi:10.1002/jmri.20969

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 2), bvals=[0, 0, 0, 50, 400, 800], snr=50)
    >>> noise = ik.noise.from_repeats(made.dwi)
    >>> bool(abs(noise.sigma / made.sigma - 1) < 0.1), noise.map.shape
    (True, (32, 24, 2))
    """
    check_pool(pool)
    require_measurable(dwi.history, "repeated volumes")
    acquisition = dwi.acquisition
    selected = set(acquisition.select(bvals=bvals).tolist())
    shells = [shell for shell in acquisition.shells if selected.issuperset(shell.volumes)]
    found = [
        (shell, groups)
        for shell in shells
        if (groups := repeated(acquisition, shell, dwi.used_volumes))
    ]
    if not found:
        where = "" if bvals is None else f" at b = {', '.join(f'{shell.b:g}' for shell in shells)}"
        raise NoiseError(
            f"no b-value and direction was measured twice{where}, so repeats cannot give "
            "the noise; expected two equivalent volumes. Take the noise from the "
            "residuals of a fit, or measure b = 0 twice",
            python="Use noise.from_residuals of a fit, noise.from_background if the air around "
            "the body was kept, or noise.given",
        )
    reader = dwi.with_average("none").voxels()
    part = reader if each_voxel else _pooled_part(reader, len(found))
    lowest, spread = _measure(dwi, part, [groups for _, groups in found])
    degrees = np.array([sum(len(group) - 1.0 for group in groups) for _, groups in found])
    keep = above_floor(lowest, spread, degrees[:, None], pool)
    each = sum_of_kept(keep, degrees[:, None])
    squares = sum_of_kept(keep, squares_of(spread))
    valid = each > 0
    sigma, total = pooled(squares[valid], each[valid], pool)
    if not sigma > 0.0:
        raise NoiseError(
            "repeated volumes are equal in half of the voxels or more, so they contain no noise; "
            "expected measured repeats. Check for copied volumes, or for a mean that "
            "was written several times"
        )
    values = degrees_map = None
    if each_voxel:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = reader.scatter(np.where(valid, np.sqrt(squares / each), np.nan), np.nan)
        degrees_map = reader.scatter(each, 0.0)
    return NoiseEstimate(
        sigma=sigma,
        map=values,
        degrees=total,
        degrees_map=degrees_map,
        source="repeats",
        assumes=_assumes(acquisition, [shell for shell, _ in found]),
        n_voxels=int(np.count_nonzero(valid)),
    )


def magnitude_noise(dwi: DWI, coils: int = 1) -> NDArray[np.float64]:
    """Return the noise of magnitudes in each voxel from its repeats, also near the floor.

    The spread about the mean of each group of repeats is corrected for the reduced spread of a
    magnitude at that mean, relative to the noise of a channel.

    Parameters
    ----------
    dwi : DWI
        The scan.
    coils : int
        Number of coils in the sum of squares.

    Returns
    -------
    ndarray, shape (n_voxels,) or (1,)
        Of the voxels in the mask, in the order of `DWI.voxels`; NaN where it cannot be estimated,
        and a single NaN if there are too few repeats.
    """
    acquisition = dwi.acquisition
    groups = [
        group
        for shell in acquisition.shells
        for group in repeated(acquisition, shell, dwi.used_volumes)
    ]
    degrees = np.array([len(group) - 1.0 for group in groups])
    if degrees.sum() < _MIN_DEGREES:
        return np.full(1, np.nan)
    mean, share = variance_shares(coils)
    reader = dwi.with_average("none").voxels()
    found = np.empty(reader.n_voxels)
    buffer = np.empty((_CHUNK, reader.n_columns))
    for start in range(0, reader.n_voxels, _CHUNK):
        stop = min(start + _CHUNK, reader.n_voxels)
        values = buffer[: stop - start]
        reader.read(start, stop, values)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            means = np.array([values[:, group].mean(axis=1) for group in groups])
            each = [sum_of_squares(values, [group], dwi.images_per_volume) for group in groups]
            squares = np.array(each).sum(axis=0)
            variance = squares / degrees.sum()
            for _ in range(_ROUNDS):
                left = np.interp(means / np.sqrt(variance), mean, share)
                variance = squares / (degrees @ left)
            found[start:stop] = np.where(variance > 0.0, np.sqrt(variance), np.nan)
    return found


def calmest_repeats(dwi: DWI, coils: float = 1) -> NoiseEstimate:
    """Estimate the noise of magnitudes from repeats at high b, if those differ less than others.

    Motion and pulsation change a signal by a share of it, so they are least where there is least
    signal; there the spread is corrected as by `magnitude_noise`. Signals at the floor count.

    Parameters
    ----------
    dwi : DWI
        The scan.
    coils : float
        Number of coils in the sum of squares.

    Returns
    -------
    NoiseEstimate
        Without a map.

    Raises
    ------
    NoiseError
        If nothing was repeated, or the repeats contain no noise.
    """
    acquisition = dwi.acquisition
    found = [
        (shell.b, groups)
        for shell in acquisition.shells
        if (groups := repeated(acquisition, shell, dwi.weights))
    ]
    if not found:
        raise NoiseError("no b-value and direction was measured twice; expected repeats")
    part = _pooled_part(dwi.with_average("none").voxels(), len(found))
    means, spreads = _measure(dwi, part, [groups for _, groups in found])
    degrees = np.array([sum(len(group) - 1.0 for group in groups) for _, groups in found])
    bvals = np.array([b for b, _ in found])
    high = bvals >= 0.5 * bvals.max()
    every = _pooled_magnitudes(means, spreads, degrees, coils)
    calm = _pooled_magnitudes(means[high], spreads[high], degrees[high], coils)
    calmer = 0.0 < calm[0] < _MIN_CALMER * every[0]
    sigma, total, n_voxels = calm if calmer else every
    if not sigma > 0.0:
        raise NoiseError("repeated volumes are equal; expected measured repeats")
    return NoiseEstimate(
        sigma=sigma,
        map=None,
        degrees=total,
        degrees_map=None,
        source="repeats",
        assumes=f"Repeats{' at high b' if calmer else ''} differ by noise alone.",
        n_voxels=n_voxels,
    )


def _pooled_magnitudes(
    means: NDArray[np.float32],
    spreads: NDArray[np.float32],
    degrees: NDArray[np.float64],
    coils: float,
) -> tuple[float, float, int]:
    """Return the noise of magnitudes from their spread, its degrees of freedom, and of voxels."""
    step = max(1, means.shape[1] // _MAX_POOLED_VOXELS)
    mean, spread = means[:, ::step].ravel(), spreads[:, ::step].ravel()
    each = np.repeat(degrees, mean.size // degrees.size)
    fine = np.isfinite(mean) & np.isfinite(spread) & (mean > 0.0)
    if not fine.any():
        return 0.0, 0.0, 0
    mean, each, square = mean[fine], each[fine], spread[fine].astype(np.float64) ** 2
    sigma, total = pooled(square, each, "median")
    of_signal, share = variance_shares(coils)
    for _ in range(_ROUNDS):
        if not sigma > 0.0:
            break
        left = np.interp(mean / sigma, of_signal, share)
        sigma, total = pooled(square / left, each, "median")
    return sigma, total, int(fine.sum()) // degrees.size


def variance_shares(coils: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means of magnitudes, and the share of the noise variance left at each.

    Parameters
    ----------
    coils : float
        Number of coils that were combined as the root of the sum of squares.

    Returns
    -------
    mean, share : ndarray, shape (n,)
        Means in units of sigma, ascending, and variances in units of sigma^2.

    Examples
    --------
    >>> from ivimkit.noise.repeats import variance_shares
    >>> mean, share = variance_shares(1)
    >>> float(mean[0].round(3)), float(share[0].round(3)), float(share[-1].round(2))
    (1.253, 0.429, 1.0)
    """
    signal = np.linspace(0.0, 20.0 * np.sqrt(coils), 801)
    mean = magnitude_mean(signal, int(coils))
    return mean, 2.0 * coils + signal**2 - mean**2


def repeated(
    acquisition: Acquisition, shell: Shell, weights: NDArray[Any] | None = None
) -> list[list[int]]:
    """Return the groups of equivalent volumes of a shell, two or more in each.

    Volumes of a shell with jitter in b differ by more than noise, so only those of equal b, up to
    rounding, are repeats. A volume of weight 0 is not a repeat.
    """
    used = [v for v in shell.volumes if weights is None or weights[v] > 0]
    return [
        group
        for volumes in acquisition.directions(used)
        for group in _of_equal_b(acquisition, volumes)
        if len(group) > 1
    ]


def _of_equal_b(acquisition: Acquisition, volumes: Sequence[int]) -> list[list[int]]:
    """Split volumes by their b-values; each group keeps their order."""
    b = acquisition.bvals[list(volumes)]
    order = np.sort(b)
    starts = [order[0]] if order.size else []
    for value in order:
        if value - starts[-1] > max(_MIN_B_SPACING, _MIN_RELATIVE_B_SPACING * value):
            starts.append(value)
    group_of = np.searchsorted(starts, b, side="right")
    return [
        [v for v, group in zip(volumes, group_of, strict=True) if group == k]
        for k in np.unique(group_of)
    ]


def sum_of_squares(
    signal: NDArray[np.float64],
    groups: Sequence[Sequence[int]],
    averages: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the sum of squares about the mean of each group, shape (n_voxels,).

    Of means of several images it is that of single ones in expectation, so that it has the noise
    of one image: the squares are multiplied by the harmonic mean of the numbers of images.
    """
    total = np.zeros(len(signal))
    for group in groups:
        values = signal[:, list(group)]
        squares = ((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        if averages is not None:
            squares *= len(group) / (1.0 / averages[list(group)]).sum()
        total += squares
    return total


def _pooled_part(reader: VoxelReader, n_values: int) -> VoxelReader:
    """Return a reader of the voxels that are pooled."""
    return reader.at(reader.index[evenly(reader.n_voxels, n_values)])


def _measure(
    dwi: DWI, reader: VoxelReader, shells: Sequence[Sequence[Sequence[int]]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return lowest group mean and root sum of squares, each of shape (n_shells, n_voxels)."""
    lowest = np.empty((len(shells), reader.n_voxels), dtype=np.float32)
    spread = np.empty_like(lowest)
    buffer = np.empty((_CHUNK, reader.n_columns))
    for start in range(0, reader.n_voxels, _CHUNK):
        stop = min(start + _CHUNK, reader.n_voxels)
        signal = buffer[: stop - start]
        reader.read(start, stop, signal)
        # Non-finite values stay so, and are left out later.
        with np.errstate(invalid="ignore", over="ignore"):
            for k, groups in enumerate(shells):
                means = [signal[:, list(group)].mean(axis=1) for group in groups]
                lowest[k, start:stop] = np.min(means, axis=0)
                squares = sum_of_squares(signal, groups, dwi.images_per_volume)
                spread[k, start:stop] = np.sqrt(squares)
    return lowest, spread


def _assumes(acquisition: Acquisition, shells: Sequence[Shell]) -> str:
    listed = ", ".join(f"{shell.b:g}" for shell in shells)
    text = (
        f"Repeated volumes (b = {listed}) differ only by noise: motion, pulsation and drift "
        "between them count as noise."
    )
    if acquisition.bvecs is None and any(shell.b > 0 for shell in shells):
        text += (
            " Directions are unknown: volumes of one b-value count as repeats, and anisotropy "
            "as noise."
        )
    return text
