"""Interpolated noise: how precise the values of volumes are of which some were interpolated.

A value that is read between voxels is a sum of values with the weights w, so that noise of the
variance sigma^2 becomes sigma^2 sum(w^2): the share of the noise. It depends on the distance from
the nearest voxels alone, and along three axes it is the product of the shares of each.

Interpolated volumes are also less sharp than volumes as acquired. A fit sees neither in its
residuals if the only volume as acquired is that at b = 0: whatever lies between it and the others
looks like perfusion. So the difference is measured: the tissue of a volume as acquired is moved
as the others have moved, and moved back as the others were (by a cubic spline). In the plane of a
slice, where positions are encoded by frequencies, a moved image shows all that an unmoved one
does: a sum of sincs, for which a quintic spline stands. Slices are boxes: a moved one is the sum
of the slices that it overlaps, a linear interpolation. (Boxes along all axes would be too careful:
in a prostate that moved by half a millimetre they took 19 of 20 parts of the weight of the high
b-values.) What moving leaves, less what it leaves of noise, is what the others do not show, and is
an error of the volumes that are fewer, those as acquired or those interpolated. If these are m,
they have it in common: their mean has the variance t of the error if each is given m t.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ivimkit import noise
from ivimkit.engine.run import default_threads, in_threads
from ivimkit.rounding import percent
from ivimkit.scan.dwi import DWI
from ivimkit.scan.history import NOISE_SHARES, VARYING_WEIGHTS
from ivimkit.steps._resampling import CUBIC, LINEAR, filled, is_outside

__all__ = ["Precisions", "noise_share"]

_N_SHARES = 101
# Order of the spline that stands for a sum of sincs.
_SINC: Literal[5] = 5
# A cubic spline hardly reaches farther than this many voxels.
_REACH = 20
# The blur of this many volumes is averaged: more are hardly different.
_MAX_BLURS = 8
# Steps of the search for the place from which a voxel has come.
_N_INVERSIONS = 4
# Edge of the cube in which the variance of what is not shown is averaged, voxels.
_CUBE = 3
# Variances come in powers of 2, as voxels with the same weights are fitted together.
_MIN_LEVEL, _MAX_LEVEL = -1, 5
_SEED = 1
_DIGITS = 4

Volume = NDArray[np.float32]
Places = Callable[[int], NDArray[np.float64] | None]


@functools.cache
def _shares() -> NDArray[np.float64]:
    """Return the share of the noise of values between two voxels of a line."""
    from scipy import ndimage  # A third of a second, and few scans need it.

    one = np.zeros(2 * _REACH + 1)
    one[_REACH] = 1.0
    between = np.linspace(0.0, 1.0, _N_SHARES)
    # What all values of a line give to a place is what a place gives to all of them.
    index = np.arange(1, 2 * _REACH - 1)[:, None] + between
    weights = ndimage.map_coordinates(one, [index], order=CUBIC, mode="mirror")
    return np.asarray((weights**2).sum(axis=0))


def noise_share(index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance of noise between voxels as a share of that at voxels.

    Parameters
    ----------
    index : ndarray, shape (3, ...)
        Where a volume with independent noise is read by a cubic B-spline, as indices of voxels.

    Returns
    -------
    ndarray, shape (...)
    """
    found = np.ones(index.shape[1:])
    places = np.linspace(0.0, 1.0, _N_SHARES)
    for axis in index:
        found *= np.interp(axis - np.floor(axis), places, _shares())
    return found


@dataclass(frozen=True, eq=False)
class Precisions:
    """How precise the values of a moved scan are, relative to a volume as acquired.

    Parameters
    ----------
    shares : ndarray, shape (n_volumes,)
        Share of the noise that each volume has, mean over the tissue.
    odd : tuple of int
        The volumes that are less sharp, or sharper, than most.
    signals : ndarray, shape (n_volumes,)
        Signal of each volume, relative to that of the one that was moved for comparison.
    unseen : ndarray, shape (x, y, z), optional
        Variance of what the one kind does not show of the other, in units of that of the noise.
    """

    shares: NDArray[np.float64]
    odd: tuple[int, ...] = ()
    signals: NDArray[np.float64] | None = None
    unseen: Volume | None = None

    def weights(self, volume: int) -> NDArray[np.float32]:
        """Return the weights of the values of a volume, one or one per voxel."""
        variance: Any = self.shares[volume]
        if volume in self.odd and self.unseen is not None and self.signals is not None:
            variance = variance + len(self.odd) * self.signals[volume] ** 2 * self.unseen
        return np.asarray(1.0 / variance, dtype=np.float32)

    def __str__(self) -> str:
        low, high = percent(self.shares.min()), percent(self.shares.max())
        return f"values are weighted by what interpolation left of their noise ({low} to {high})"

    @property
    def numbers(self) -> dict[str, Any]:
        """The numbers for the record of the step."""
        return {
            NOISE_SHARES: self.shares.tolist(),
            VARYING_WEIGHTS: [] if self.unseen is None else list(self.odd),
        }

    @classmethod
    def measured(cls, dwi: DWI, places: Places) -> Precisions | None:
        """Measure it, see above.

        Parameters
        ----------
        dwi : DWI
            The scan as acquired.
        places : callable
            Where each volume is read; None for one that stays as it is.

        Returns
        -------
        Precisions or None
            None if all volumes stay, or their noise is not independent from voxel to voxel.
        """
        if dwi.history.noise != "raw":
            return None
        n = dwi.acquisition.n_volumes
        moved = [volume for volume in range(n) if places(volume) is not None]
        if not moved:
            return None
        still = [volume for volume in range(n) if volume not in moved]
        first = min(still or moved, key=lambda volume: float(dwi.acquisition.bvals[volume]))
        sharp = _volume(dwi, first)
        tissue = sharp > sharp.mean(dtype=np.float64)

        def share(volume: int) -> tuple[int, float]:
            index = places(volume)
            assert index is not None
            return volume, float(noise_share(index[:, tissue]).mean())

        shares = np.ones(n)
        for volume, found in in_threads(share, moved, default_threads()):
            # As the record has it, so that weights can be told from others.
            shares[volume] = round(found, _DIGITS)
        known = noise.for_floor(dwi) if still else None
        if known is None:
            return cls(shares)
        averages = 1.0 if dwi.averages is None else float(dwi.averages[first])
        chosen = [moved[k] for k in _spread(len(moved), _MAX_BLURS)]
        unseen = _unseen(sharp, tissue, places, chosen, known.sigma / averages**0.5)
        medians = np.array([float(np.median(_volume(dwi, v)[tissue])) for v in range(n)])
        odd = still if len(still) <= len(moved) else moved
        return cls(shares, tuple(odd), medians / max(medians[first], 1e-30), unseen)


def _volume(dwi: DWI, number: int) -> Volume:
    values = np.asarray(dwi.signal[..., number], dtype=np.float32).reshape((*dwi.shape, 1)[:3])
    return filled(values, ~np.isfinite(values))


def _spread(n: int, most: int) -> list[int]:
    """Return positions among n things, at most so many, at even distances."""
    return [int(k) for k in np.unique(np.linspace(0, n - 1, min(n, most)).round())]


def _unseen(
    sharp: Volume,
    tissue: NDArray[np.bool_],
    places: Places,
    moved: Sequence[int],
    sigma: float,
) -> Volume:
    """Return the variance of what moved volumes do not show, in steps, in units of the noise."""
    from scipy import ndimage  # A third of a second, and few scans need it.

    white = np.random.default_rng(_SEED).standard_normal(sharp.shape).astype(np.float32)

    def blurred(volume: int) -> tuple[Volume, Volume]:
        index = places(volume)
        assert index is not None
        origin = _inverse(index)
        outside = is_outside(index, sharp.shape)
        return _there_and_back(sharp, origin, index, outside), _there_and_back(
            white, origin, index, outside
        )

    lost = [np.zeros_like(sharp), np.zeros_like(sharp)]
    for pair in in_threads(blurred, list(moved), default_threads()):
        for total, image, seen in zip(lost, (sharp, white), pair, strict=True):
            total += (image - seen) / len(moved)
    of_noise = float((lost[1][tissue] ** 2).mean())
    cube = [min(_CUBE, length) for length in sharp.shape]
    variance = ndimage.uniform_filter((lost[0] / sigma) ** 2, cube, mode="nearest") - of_noise
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.clip(np.log2(variance).round(), None, _MAX_LEVEL)
        return np.where(level >= _MIN_LEVEL, np.exp2(level), 0.0).astype(np.float32)


def _there_and_back(
    image: Volume,
    origin: NDArray[np.float64],
    index: NDArray[np.float64],
    outside: NDArray[np.bool_],
) -> Volume:
    """Return an image moved as a scanner would show it, and read where its tissue then is."""
    from scipy import ndimage  # A third of a second, and few scans need it.

    below = np.floor(origin[-1])
    share = origin[-1] - below
    filtered = ndimage.spline_filter(image, order=_SINC, mode="mirror")
    there = np.zeros(image.shape)
    for place, weight in ((below, 1.0 - share), (below + 1.0, share)):
        own = np.stack([*origin[:-1], np.clip(place, 0, image.shape[-1] - 1)])
        there += weight * ndimage.map_coordinates(
            filtered, own, order=_SINC, mode="mirror", prefilter=False
        )
    back = ndimage.map_coordinates(there, index, order=CUBIC, mode="mirror")
    return np.where(outside, image, back)


def _inverse(index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where each voxel comes from: the place that is read at it."""
    from scipy import ndimage  # A third of a second, and few scans need it.

    own = np.indices(index.shape[1:], dtype=np.float64)
    apart = index - own
    found = own - apart
    for _ in range(_N_INVERSIONS):
        moved = [
            ndimage.map_coordinates(axis, found, order=LINEAR, mode="nearest") for axis in apart
        ]
        found = own - np.stack(moved)
    return found
