"""VolumeSample: a few thousand voxels of a scan in all volumes, for a cheap check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.dwi import DWI

__all__ = ["VolumeSample", "read_sample", "sampled"]

_MAX_VALUES, _MAX_VOXELS, _MIN_VOXELS = 200_000, 4096, 1024
# Fractional parts of its multiples are evenly spread, without a period that an image could share.
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
# A median of two values is half their sum, which has to be a number.
_LARGEST = np.finfo(np.float64).max / 2.0
# Tissue lies between these fractions of the bright end; spikes lie above, air below.
_BRIGHT_END = 0.95
_DIMMEST, _BRIGHTEST = 0.3, 3.0
# Filters and interpolation correlate the noise of neighbours: this many voxels count as one.
_SHARED = 2.0
_CHANCE = 1e-6


@dataclass(frozen=True, eq=False)
class VolumeSample:
    """Signals of bright voxels in the usable volumes of a scan.

    Parameters
    ----------
    signal : ndarray, shape (n_voxels, n_volumes)
        a.u.; finite.
    bvals : ndarray, shape (n_volumes,)
        b-values in s/mm^2.
    volumes : ndarray of int, shape (n_volumes,)
        Numbers of the volumes in the file.
    positions : ndarray of int, shape (n_volumes,)
        Their positions in the acquisition.
    """

    signal: NDArray[np.float64]
    bvals: NDArray[np.float64]
    volumes: NDArray[np.intp]
    positions: NDArray[np.intp]

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return len(self.signal)

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """Mean signal of each volume, a.u."""
        return np.asarray(self.signal.mean(axis=0))

    @cached_property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance of the volumes over voxels, shape (n_volumes, n_volumes)."""
        apart = self.signal - self.mean
        return np.asarray(apart.T @ apart / max(self.n_voxels - 1, 1))

    @cached_property
    def n_independent(self) -> float:
        """Number of voxels with independent noise."""
        return max(self.n_voxels / _SHARED, 2.0)

    @cached_property
    def sure(self) -> float:
        """Number of standard errors beyond which a difference is not due to chance."""
        from scipy.special import stdtrit  # Slow to import, and not always needed.

        return float(stdtrit(self.n_independent - 1.0, 1.0 - _CHANCE))

    def without(self, dropped: NDArray[np.bool_]) -> VolumeSample:
        """Return the sample without some of its volumes."""
        keep = ~dropped
        return VolumeSample(
            self.signal[:, keep], self.bvals[keep], self.volumes[keep], self.positions[keep]
        )


def sampled(dwi: DWI) -> NDArray[np.float64]:
    """Return up to a few thousand voxels of the mask, evenly spread, shape (n, n_volumes)."""
    reader = dwi.with_average("none").voxels()
    n = reader.n_voxels
    most = min(max(_MAX_VALUES // reader.n_columns, _MIN_VOXELS), _MAX_VOXELS)
    if n > most:
        fractions = np.arange(most) * _GOLDEN % 1.0
        reader = reader.take(np.unique((fractions * n).astype(np.intp)))
    values = np.empty((reader.n_voxels, reader.n_columns))
    reader.read(0, reader.n_voxels, values)
    return values


def read_sample(
    dwi: DWI, values: NDArray[np.float64], use: NDArray[np.bool_]
) -> tuple[VolumeSample, NDArray[np.float64]]:
    """Return the bright voxels in the volumes to use, and the brightness of each voxel.

    Parameters
    ----------
    dwi : DWI
        The scan.
    values : ndarray, shape (n, n_volumes)
        What `sampled` returned.
    use : ndarray of bool, shape (n_volumes,)
        Volumes that contain an image.

    Returns
    -------
    sample : VolumeSample
    brightness : ndarray, shape (n,)
        Median over volumes as a fraction of the bright end; 0 where it is not finite.
    """
    kept = values[:, use]
    finite = np.isfinite(kept).all(axis=1)
    median = np.zeros(len(kept))
    median[finite] = np.median(np.clip(kept[finite], -_LARGEST, _LARGEST), axis=1)
    positive = median[median > 0.0]
    end = float(np.quantile(positive, _BRIGHT_END)) if positive.size else 1.0
    brightness = median / end
    bright = finite & (brightness >= _DIMMEST) & (brightness <= _BRIGHTEST)
    where = np.flatnonzero(use)
    sample = VolumeSample(kept[bright], dwi.acquisition.bvals[where], dwi.volumes[where], where)
    return sample, brightness
