"""The largest noise that the lowest signals of a scan allow."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.dwi import DWI

__all__ = ["largest_sigma"]

# Share of the voxels, the darkest, whose mean is taken, and their least number.
_DARKEST = 0.01
_MIN_VOXELS = 20
# Volumes that choose the darkest voxels, and that their mean is taken of.
_MAX_VOLUMES = 8
_MEAN_IN_AIR = math.sqrt(0.5 * math.pi)
_SD_IN_AIR = math.sqrt(2.0 - 0.5 * math.pi)
# Standard errors that are added to the mean.
_MARGIN = 2.0


def largest_sigma(dwi: DWI) -> float:
    """Return the largest noise that is compatible with the lowest signals inside the mask.

    The mean of a magnitude is sqrt(pi/2) sigma where there is no signal, and more where there is:
    no tissue can be darker. The darkest voxels are chosen by some volumes of high b, and their
    mean is taken of others, so that it is not low by choice. Two standard errors are added.

    Parameters
    ----------
    dwi : DWI
        The scan; only voxels in its mask count, and none that are 0 throughout.

    Returns
    -------
    float
        A.u.; infinite if it cannot be determined.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> air = ik.simulate.add_noise(np.zeros((500, 6)), sigma=10.0, seed=1)
    >>> bool(10 < ik.noise.largest_sigma(ik.DWI(air, [0, 10, 40, 200, 400, 800])) < 12)
    True
    """
    choosing, measuring = _two_sets(dwi)
    if not (choosing and measuring):
        return math.inf
    chosen_by, measured = (_mean(dwi, volumes) for volumes in (choosing, measuring))
    fine = np.isfinite(chosen_by) & np.isfinite(measured) & ((chosen_by != 0) | (measured != 0))
    chosen_by, measured = chosen_by[fine], measured[fine]
    if not measured.size:
        return math.inf
    n = min(max(math.ceil(_DARKEST * measured.size), _MIN_VOXELS), measured.size)
    darkest = measured[np.argpartition(chosen_by, n - 1)[:n]]
    error = _SD_IN_AIR / _MEAN_IN_AIR / math.sqrt(n * len(measuring))
    level = max(float(np.mean(darkest)), 0.0) / _MEAN_IN_AIR
    return level * (1.0 + _MARGIN * error) if level > 0.0 else math.inf


def _two_sets(dwi: DWI) -> tuple[list[int], list[int]]:
    """Return volumes of high b to choose voxels by, and others to take their mean of."""
    weights, bvals = dwi.weights, dwi.acquisition.bvals
    used = [v for v in range(bvals.size) if weights is None or weights[v] > 0.0]
    high = sorted(used, key=lambda v: (-bvals[v], v))[: 2 * _MAX_VOLUMES]
    top = [v for v in high if bvals[v] == bvals[high[0]]]
    if len(top) == 1:
        return high[1:2], top
    return top[1::2], top[::2]


def _mean(dwi: DWI, volumes: list[int]) -> NDArray[np.float64]:
    """Return the mean of some volumes in the voxels of the mask."""
    total = np.zeros(dwi.n_voxels)
    for volume in volumes:
        total += dwi.stored[..., dwi.volumes[volume]][dwi.mask]
    return total / len(volumes)
