"""Noise from differences between neighbouring voxels, for scans without air and repeats."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import NoiseError
from ivimkit.noise.measurable import require_measurable
from ivimkit.noise.noise_estimate import NoiseEstimate
from ivimkit.scan.blocks import boxes
from ivimkit.scan.dwi import DWI

__all__ = ["from_images"]

# Volumes of the highest b-values that are used.
_MAX_VOLUMES = 4
_MIN_QUADS = 200
# Means of four voxels are used from this signal-to-noise ratio on, where magnitudes have the
# noise of their channels.
_MIN_SNR = 3.0
_ROUNDS = 10
# Median of the absolute value of a standard normal number.
_NORMAL_MEDIAN = 0.6745


def from_images(dwi: DWI) -> NoiseEstimate:
    """Estimate the noise from the images at the highest b-values, where tissue has least contrast.

    In each square of 2 x 2 voxels a - b - c + d is taken, which is 0 for signals that vary
    linearly and has twice the noise as its standard deviation. The median of its absolute value
    over squares inside the mask is used, or in the whole image if those are too few, so edges do
    not count. Texture makes the estimate too
    large, interpolation and filtering too small.

    Parameters
    ----------
    dwi : DWI
        The scan.

    Returns
    -------
    NoiseEstimate
        Without a map.

    Raises
    ------
    NoiseError
        If the scan is not an image, or hardly any voxel is above its noise.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(64, 48, 3), snr=20)
    >>> noise = ik.noise.from_images(made.dwi)
    >>> bool(1 < noise.sigma / made.sigma < 1.25)  # and the texture of its tissues
    True
    """
    require_measurable(dwi.history, "neighbouring voxels", also_interpolated=False)
    if len(dwi.shape) < 2 or min(dwi.shape[:2]) < 2:
        raise NoiseError(
            f"voxels of shape {dwi.shape} have no neighbours to take the noise from; expected an "
            "image. Use another source of the noise"
        )
    found, n = _measured(dwi, dwi.mask)
    if n < _MIN_QUADS and not dwi.mask.all():
        # The mask of a small organ: the noise is that of the image around it.
        found, n = _measured(dwi, np.broadcast_to(np.True_, dwi.shape))
    if n < _MIN_QUADS:
        raise NoiseError(
            f"{n} squares of four neighbours have a signal of three times their noise at high b; "
            f"expected {_MIN_QUADS} or more. Use another source of the noise"
        )
    sigma = float(np.median(found))
    if not sigma > 0.0:
        raise NoiseError(
            "neighbouring voxels are equal at high b, so they contain no noise; expected measured "
            "images. Use another source of the noise"
        )
    return NoiseEstimate(
        sigma=sigma,
        map=None,
        # Squares overlap, and a median has 0.37 of the degrees of freedom of a mean square.
        degrees=0.37 * n * len(found) / 4.0,
        degrees_map=None,
        source="images",
        assumes="Neighbouring voxels differ by noise alone at high b: texture makes it too large, "
        "interpolation and filtering too small.",
        n_voxels=n,
    )


def _measured(dwi: DWI, inside: NDArray[np.bool_]) -> tuple[list[float], int]:
    """Return the noise in some volumes of high b, from squares inside, and their number.

    The number is that of the volume with the fewest.
    """
    found = []
    for volume in _highest(dwi):
        parts = [
            _squares(np.asarray(dwi.stored[(*box, dwi.volumes[volume])], np.float64), inside[box])
            for box in _planes(dwi.shape)
        ]
        sigma, count = _spread(*(np.concatenate(own) for own in zip(*parts, strict=True)))
        images = 1.0 if dwi.averages is None else float(dwi.averages[volume])
        found.append((sigma * math.sqrt(images), count))
    return [sigma for sigma, _ in found], min(count for _, count in found)


def _highest(dwi: DWI) -> list[int]:
    """Return some volumes of the highest b-values, of those that are used."""
    weights = dwi.weights
    used = [v for v in range(dwi.acquisition.n_volumes) if weights is None or weights[v] > 0.0]
    bvals = dwi.acquisition.bvals
    high = [v for v in used if bvals[v] >= 0.5 * bvals[used].max()]
    return sorted(high, key=lambda v: (-bvals[v], v))[:_MAX_VOLUMES]


def _planes(shape: tuple[int, ...]) -> Iterable[tuple[slice, ...]]:
    """Return the parts of an image that are looked at together, each with all of its planes."""
    whole = tuple(slice(0, n) for n in shape)
    return boxes(shape) if len(shape) > 2 else [whole]


def _squares(
    image: NDArray[np.float64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return |a - b - c + d| of the squares in the mask that have a signal, and their means."""
    inside = _all_of_four(mask)
    with np.errstate(invalid="ignore"):
        a, b, c, d = _corners_of_four(image)
        across, mean = (a - b - c + d)[inside], 0.25 * (a + b + c + d)[inside]
    fine = np.isfinite(across) & (mean > 0.0)
    return np.abs(across[fine]), mean[fine]


def _corners_of_four(image: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    return image[:-1, :-1], image[1:, :-1], image[:-1, 1:], image[1:, 1:]


def _all_of_four(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]


def _spread(across: NDArray[np.float64], mean: NDArray[np.float64]) -> tuple[float, int]:
    """Return the noise from squares that are above it, and their number."""
    keep = np.ones(across.size, dtype=bool)
    sigma = 0.0
    for _ in range(_ROUNDS):
        if not keep.any():
            return 0.0, 0
        sigma = float(np.median(across[keep])) / (2.0 * _NORMAL_MEDIAN)
        above = mean > _MIN_SNR * sigma
        if np.array_equal(above, keep):
            break
        keep = above
    return sigma, int(np.count_nonzero(keep))
