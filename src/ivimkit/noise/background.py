"""Noise from the air around the body."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import NoiseError, OptionError, ShapeError
from ivimkit.noise.measurable import require_measurable
from ivimkit.noise.noise_estimate import NoiseEstimate
from ivimkit.noise.pooling import evenly, median_of_chi2
from ivimkit.scan.dwi import DWI

__all__ = ["from_background", "level_of_air"]

_CHUNK = 16384
# Values are copied while they are sorted.
_COPIES = 4
# Edge of each corner as a fraction of the image edge: ghosts lie between the corners.
_CORNER = 1 / 8
_MIN_VALUES = 200
# The ratio of quartiles may lie between those of this many times fewer and more coils.
_COIL_RATIO = 1.5
# Air has the same brightness at all b; tissue loses a third of its signal until b = 300 or so.
_MAX_DECAY = 1.4
_QUARTERS = (0.25, 0.5, 0.75)
# Half the distance of the quartiles of a Rayleigh distribution, over their middle.
_HALF_WIDTH_IN_AIR = 0.374


def from_background(
    dwi: DWI, *, background: ArrayLike | None = None, coils: float = 1
) -> NoiseEstimate:
    """Estimate the noise from voxels without signal.

    Where there is no signal, the square of a magnitude combined from L coils (root of the sum of
    squares) has the mean 2 L sigma^2; it is sigma^2 times chi-squared with 2 L degrees of freedom
    (for L = 1 the magnitude has a Rayleigh distribution). Its median over all voxels and volumes
    is used, which is insensitive to a ghost in a few of them. The quartiles must match the
    distribution, or an error is raised.

    Parameters
    ----------
    dwi : DWI
        The scan.
    background : array_like, shape (...), optional
        Voxels of air, > 0. By default the corners of all slices, an eighth of each edge in the
        first two axes, without voxels of the scan's mask (if it has one) and without voxels that
        are 0 in all volumes.
    coils : float
        Number of coils that were combined as the root of the sum of squares. 1 for one coil and
        for combinations that weight coils by their sensitivity. Correlation between coils reduces
        the effective number, which need not be an integer.

    Returns
    -------
    NoiseEstimate
        Without a map.

    Raises
    ------
    NoiseError
        If there is no background, it was set to 0, or its quartiles do not match.
    ShapeError
        If `background` has another shape than the scan.
    OptionError
        If `coils` is not a number >= 1.

    References
    ----------
    Henkelman 1985, doi:10.1118/1.595711; Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618;
    Constantinides et al. 1997, doi:10.1002/mrm.1910380524; Dietrich et al. 2007,
    doi:10.1002/jmri.20969

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(64, 48, 3), snr=50)
    >>> noise = ik.noise.from_background(made.dwi)
    >>> bool(abs(noise.sigma / made.sigma - 1) < 0.03), noise.map
    (True, None)
    """
    if not (math.isfinite(coils) and coils >= 1):
        raise OptionError(f"coils is {coils!r}; expected a number >= 1")
    require_measurable(dwi.history, "the spread of the air", also_interpolated=False)
    values = _air(dwi, background)
    low, middle, high = (value**2 for value in _quartiles(values.ravel()))
    _check_shape(low, high, coils)
    _check_decay(dwi, values)
    median, density = (float(value[0]) for value in median_of_chi2(np.array([2.0 * coils])))
    return NoiseEstimate(
        sigma=math.sqrt(middle / median),
        map=None,
        degrees=8.0 * values.size * density**2,
        degrees_map=None,
        source="background",
        assumes=_assumes(coils),
        n_voxels=len(values),
    )


def level_of_air(dwi: DWI) -> NoiseEstimate:
    """Estimate the noise that raises the floor from the level of the air, averaged or not.

    The mean of a magnitude without signal is sqrt(pi/2) sigma, however many magnitudes were
    averaged; only their spread becomes smaller. Several coils raise the level as well, and they
    raise a signal far above the noise nearly as much as averages with the same air.

    Parameters
    ----------
    dwi : DWI
        The scan.

    Returns
    -------
    NoiseEstimate
        Without a map; `sigma` is that of one magnitude.

    Raises
    ------
    NoiseError
        If there is no background, or it is not noise.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(64, 48, 3), snr=20, n_averages=8)
    >>> noise = ik.noise.level_of_air(made.dwi)
    >>> bool(abs(noise.sigma / made.sigma - 1) < 0.03)
    True
    """
    require_measurable(dwi.history, "the air")
    values = _air(dwi, None)
    low, middle, high = _quartiles(values.ravel())
    _check_width(low**2, high**2, 1.0)
    _check_decay(dwi, values)
    # The half width between the quartiles, relative to their middle, falls with the root of the
    # number of averages, and the median approaches the mean of the magnitudes.
    averages = max((_HALF_WIDTH_IN_AIR * (high + low) / (high - low)) ** 2, 1.0)
    mean, median = math.sqrt(0.5 * math.pi), math.sqrt(2.0 * math.log(2.0))
    return NoiseEstimate(
        sigma=middle / (mean - (mean - median) / averages),
        map=None,
        degrees=float(values.size) * averages,
        degrees_map=None,
        source="background",
        assumes="The background contains only noise, as strong as in the tissue, which is not the "
        "case with parallel imaging.",
        n_voxels=len(values),
    )


def _air(dwi: DWI, background: ArrayLike | None) -> NDArray[np.float32]:
    """Return the values of the voxels of air, shape (n_voxels, n_volumes)."""
    region = _corners(dwi) if background is None else _given_region(background, dwi.shape)
    if not region.any():
        raise NoiseError(
            "there is no background: the mask covers the corners of the image; expected air "
            "around the body. Pass background=, or use another source of the noise"
        )
    values = _magnitudes(dwi, region)
    if values.size < _MIN_VALUES:
        raise NoiseError(
            f"the background has {values.size} values that are finite and not 0 throughout; "
            f"expected {_MIN_VALUES} or more. It was set to 0, as by scanners or masks, or is too "
            "small: pass background=, or use another source of the noise"
        )
    return values


def _quartiles(values: NDArray[np.float32]) -> tuple[float, float, float]:
    """Return the quartiles; whole numbers stand for all that become one of them.

    Scanners round or truncate: whichever matches the noise of one coil better is taken.
    """
    distinct, counts = np.unique(values, return_counts=True)
    if distinct.size < 2 or 2 * distinct.size > values.size:
        low, middle, high = np.quantile(values, _QUARTERS)
        return float(low), float(middle), float(high)
    below = np.concatenate([[0], np.cumsum(counts)]) / values.size
    steps = np.diff(distinct.astype(np.float64))
    truncated = np.append(distinct, distinct[-1] + steps[-1]).astype(np.float64)
    rounded = np.maximum(truncated - 0.5 * np.append(steps[0], np.append(steps, steps[-1])), 0.0)
    found = [np.interp(_QUARTERS, below, edges) for edges in (rounded, truncated)]
    expected = math.log(_quartile_ratio(2.0))
    low, middle, high = min(
        found, key=lambda q: abs(2.0 * math.log(q[2] / q[0]) - expected) if q[0] > 0 else math.inf
    )
    return float(low), float(middle), float(high)


def _check_decay(dwi: DWI, values: NDArray[np.float32]) -> None:
    """Raise if the signal of the background depends on b, as that of tissue does."""
    shells = dwi.acquisition.shells
    first, last = (_quartiles(values[:, list(shells[k].volumes)].ravel())[1] for k in (0, -1))
    ratio = math.inf if not last > 0.0 else first / last
    if not 1.0 / _MAX_DECAY <= ratio <= _MAX_DECAY:
        raise NoiseError(
            f"the background is {ratio:.3g} times as bright at b = {shells[0].b:g} as at b = "
            f"{shells[-1].b:g}; expected air, which is equally bright. The corners of the image "
            "hold tissue or its ghosts: pass background=, or use another source of the noise"
        )


def _corners(dwi: DWI) -> NDArray[np.bool_]:
    """Return the corners of all slices outside the mask."""
    if len(dwi.shape) < 2:
        raise NoiseError(
            f"voxels of shape {dwi.shape} have no corners to take the background from; "
            "expected an image. Pass background="
        )
    edges = []
    for length in dwi.shape[:2]:
        width = max(1, int(length * _CORNER))
        edge = np.zeros(length, dtype=bool)
        edge[:width] = edge[-width:] = True
        edges.append(edge)
    flat = edges[0][:, None] & edges[1][None, :]
    region = np.array(
        np.broadcast_to(flat.reshape(*flat.shape, *[1] * (len(dwi.shape) - 2)), dwi.shape)
    )
    if not dwi.mask.all():
        region &= ~dwi.mask
    return region


def _given_region(background: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    region = np.asarray(background)
    if region.shape != shape:
        raise ShapeError(
            f"the background has shape {region.shape}; expected {shape}, that of the scan "
            "without its last axis. Resample it to the scan"
        )
    return np.asarray(region > 0)


def _magnitudes(dwi: DWI, region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return all values of the voxels of a region that are not empty, one row per voxel."""
    every = dwi.with_mask(region).with_average("none").voxels()
    reader = every.at(every.index[evenly(every.n_voxels, _COPIES * every.n_columns)])
    values = np.empty((reader.n_voxels, reader.n_columns), dtype=np.float32)
    for start in range(0, reader.n_voxels, _CHUNK):
        stop = min(start + _CHUNK, reader.n_voxels)
        chunk = np.empty((stop - start, reader.n_columns))
        reader.read(start, stop, chunk)
        values[start:stop] = chunk
    use = np.isfinite(values).all(axis=1) & values.any(axis=1)
    kept = values if use.all() else values[use]
    return np.abs(kept, out=kept)


def _check_shape(low: float, high: float, coils: float) -> None:
    """Raise unless the quartiles of a background match the noise of that many coils."""
    fewer, more = (
        _quartile_ratio(2.0 * coils * factor) for factor in (1 / _COIL_RATIO, _COIL_RATIO)
    )
    if low > 0.0 and more <= high / low <= fewer:
        return
    shown = "infinite" if not low > 0.0 else f"{high / low:.2f}"
    raise NoiseError(
        f"the background is not the noise of {coils:g} coil{'' if coils == 1 else 's'}: the ratio "
        f"of the quartiles of its square is {shown}; expected "
        f"{_quartile_ratio(2.0 * coils):.2f} ({more:.2f} to {fewer:.2f}). {_guess(low, high)}"
    )


def _check_width(low: float, high: float, coils: float) -> None:
    """Raise if the quartiles of a background are further apart than those of noise."""
    if low > 0.0 and high > low and high / low <= _quartile_ratio(2.0 * coils / _COIL_RATIO):
        return
    raise NoiseError(
        "the background is not noise: expected quartiles of its square by a factor of "
        f"{_quartile_ratio(2.0 * coils):.2f} apart, or less if it was averaged. {_guess(0.0, 1.0)}"
    )


def _guess(low: float, high: float) -> str:
    """Say what a ratio of quartiles suggests."""
    if not low > 0.0 or high / low > _quartile_ratio(2.0 / _COIL_RATIO):
        return (
            "So wide a spread indicates ghosts, tissue, or values set to 0: pass background=, "
            "or use another source of the noise"
        )
    return (
        "So narrow a spread indicates more coils, pass coils=, or averaged or filtered "
        "magnitudes: then use another source of the noise"
    )


def _quartile_ratio(degrees: float) -> float:
    from scipy.special import chdtri  # Slow to load, and few need it.

    return float(chdtri(degrees, 0.25) / chdtri(degrees, 0.75))


def _assumes(coils: float) -> str:
    many = "one coil" if coils == 1 else f"{coils:g} coils, combined as the root sum of squares"
    return (
        f"The background contains only the unfiltered noise of {many}, and the noise is as "
        "strong in the tissue, which is not the case with parallel imaging."
    )
