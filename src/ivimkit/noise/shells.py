"""ShellSignal: mean signal and noise of each b-value of a scan, for a check before any fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.noise.pooling import evenly
from ivimkit.noise.repeats import repeated, sum_of_squares
from ivimkit.rounding import NONE, rounded
from ivimkit.scan.acquisition import Shell
from ivimkit.scan.dwi import DWI

__all__ = ["ShellSignal", "shell_signals", "shown_snr", "usual_sigma"]

_CHUNK = 16384


@dataclass(frozen=True)
class ShellSignal:
    """Mean signal and noise of one b-value inside the mask.

    Parameters
    ----------
    shell : Shell
        b-value and volumes.
    mean : float
        Mean over voxels and volumes, a.u.; NaN if no voxel has a finite signal.
    sigma : float
        Standard deviation of the noise of one volume, a.u.; NaN if no direction was repeated.
    n_finite : int
        Number of voxels in which a volume of the shell has a value.
    low, high : float
        Lowest and highest b-value of the volumes, s/mm^2.
    n_images : float
        Number of images of the shell: of its volumes that have a weight, each counted as often as
        it was averaged.
    """

    shell: Shell
    mean: float
    sigma: float
    n_finite: int
    low: float
    high: float
    n_images: float = 1.0

    @property
    def snr(self) -> float:
        """Mean signal divided by the noise of one image; NaN if the noise is unknown."""
        return self.mean / self.sigma if self.sigma > 0 else float("nan")

    @property
    def snr_of_mean(self) -> float:
        """Mean signal divided by the noise of the mean of all images; NaN if it is unknown."""
        return self.snr * math.sqrt(self.n_images)


def shell_signals(dwi: DWI) -> tuple[ShellSignal, ...]:
    """Measure the mean signal and the noise of every b-value of a scan.

    The noise is the spread of volumes with the same b-value and direction, taken in every voxel,
    and then the median over voxels, so that motion and pulsation in a few of them do not count.
    Without directions, all volumes of a b-value are taken as repeats: anisotropy of the tissue
    then adds to the noise.

    Parameters
    ----------
    dwi : DWI
        The scan; only voxels in its mask count.

    Returns
    -------
    tuple of ShellSignal
        By ascending b-value.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.noise import shell_signals
    >>> made = ik.simulate.phantom(shape=(32, 24, 2), bvals=[0, 0, 0, 50, 400, 800], snr=50)
    >>> found = shell_signals(made.dwi)
    >>> bool(abs(found[0].sigma / made.sigma - 1) < 0.1), bool(found[1].snr > 0)
    (True, False)
    """
    volumes = dwi.with_average("none").voxels()
    shells = dwi.acquisition.shells
    # What denoising left between repeats is not their noise.
    is_noise = dwi.history.noise != "changed"
    groups = [
        repeated(dwi.acquisition, shell, dwi.used_volumes) if is_noise else [] for shell in shells
    ]
    used = [_used(dwi, shell) for shell in shells]
    means = [_Mean() for _ in shells]
    squares: list[list[NDArray[np.float32]]] = [[] for _ in shells]
    step = evenly(dwi.n_voxels, sum(map(bool, groups))).step
    buffer = np.empty((_CHUNK, dwi.acquisition.n_volumes))
    for start in range(0, dwi.n_voxels, _CHUNK):
        stop = min(start + _CHUNK, dwi.n_voxels)
        signal = buffer[: stop - start]
        volumes.read(start, stop, signal)
        # inf - inf and sums beyond the range of float32 are not finite, as intended.
        with np.errstate(invalid="ignore", over="ignore"):
            for k in range(len(shells)):
                means[k].add(_mean(signal[:, used[k]]))
                if groups[k]:
                    pooled = signal[-start % step :: step]
                    found = sum_of_squares(pooled, groups[k], dwi.averages)
                    squares[k].append(found.astype(np.float32))
    b = dwi.acquisition.bvals
    images = dwi.with_average("arithmetic").fit_averages
    return tuple(
        _summary(shell, means[k], squares[k], groups[k], b[list(shell.volumes)], float(images[k]))
        for k, shell in enumerate(shells)
    )


class _Mean:
    """The mean of values that are seen some at a time."""

    def __init__(self) -> None:
        self.n = 0
        self._sums: list[float] = []

    def add(self, values: NDArray[np.float64]) -> None:
        """Add those that are finite, also in single precision."""
        single = values.astype(np.float32)
        finite = single[np.isfinite(single)]
        self.n += finite.size
        self._sums.append(float(finite.sum(dtype=np.float64)))

    @property
    def value(self) -> float:
        """The mean; NaN of none."""
        return math.fsum(self._sums) / self.n if self.n else math.nan


def _used(dwi: DWI, shell: Shell) -> list[int]:
    """Return the volumes of a shell that have a weight in some voxel, or all if none has."""
    found = [volume for volume in shell.volumes if dwi.used_volumes[volume]]
    return found or list(shell.volumes)


def _mean(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the volumes that each voxel has; NaN where it has none."""
    there = ~np.isnan(signal)
    if there.all():
        return np.asarray(signal.mean(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(there, signal, 0.0).sum(axis=1) / there.sum(axis=1))


def _summary(
    shell: Shell,
    mean: _Mean,
    squares: list[NDArray[np.float32]],
    groups: list[list[int]],
    b: NDArray[np.float64],
    n_images: float,
) -> ShellSignal:
    from scipy.special import chdtri  # Slow to load, and few need it.

    sigma = np.nan
    if groups and mean.n:
        degrees = sum(len(group) - 1 for group in groups)
        # The sum of squares of Gaussian noise is sigma^2 times chi-squared: divide by its median.
        # Voxels that lack a repeat have fewer degrees.
        square = np.concatenate(squares)
        known = square[np.isfinite(square)]
        sigma = float(np.sqrt(np.median(known) / chdtri(degrees, 0.5))) if known.size else np.nan
    return ShellSignal(
        shell,
        mean.value,
        sigma,
        mean.n,
        float(b.min()),
        float(b.max()),
        n_images,
    )


def usual_sigma(signals: Sequence[ShellSignal]) -> float:
    """Return the mean noise of the b-values where it is known; 0 if there are none.

    Parameters
    ----------
    signals : sequence of ShellSignal
        The b-values of a scan.
    """
    known = [signal.sigma for signal in signals if signal.sigma > 0]
    return sum(known) / len(known) if known else 0.0


def shown_snr(signal: ShellSignal, usual: float) -> tuple[str, str]:
    """Return the signal-to-noise ratios of one image and of the mean of all, for a table.

    Parameters
    ----------
    signal : ShellSignal
        A b-value.
    usual : float
        Noise to use, marked by ~, where that of the b-value is not known; 0 for none.
    """
    ratio, mark = signal.snr, ""
    if not signal.sigma > 0.0:
        if not usual > 0.0:
            return NONE, NONE
        ratio, mark = signal.mean / usual, "~"
    return f"{mark}{rounded(ratio)}", f"{mark}{rounded(ratio * math.sqrt(signal.n_images))}"
