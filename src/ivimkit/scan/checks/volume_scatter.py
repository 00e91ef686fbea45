"""Scatter of the mean signals of volumes beyond the noise: pulsation, motion, direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.checks.volume_sample import VolumeSample

__all__ = [
    "UNWEIGHTED",
    "grouped",
    "mean_of",
    "relative_spread",
    "repeat_scatter",
    "roughness",
    "shells_of",
]

UNWEIGHTED = 5.0
"""Below this b-value (s/mm^2), diffusion, pulsation and direction have no effect."""

_MAX_UNWEIGHTED_SCATTER = 0.05


def shells_of(sample: VolumeSample, shell_numbers: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Return the columns of the sample that are one shell, by ascending b-value."""
    own = shell_numbers[sample.positions]
    return sorted(grouped(own), key=lambda columns: mean_of(sample.bvals, columns))


def grouped(values: NDArray[Any]) -> list[NDArray[np.intp]]:
    """Return the positions of each value that occurs, by ascending value."""
    positions: dict[Any, list[int]] = {}
    for position, value in enumerate(values.tolist()):
        positions.setdefault(value, []).append(position)
    return [np.array(positions[value], dtype=np.intp) for value in sorted(positions)]


def mean_of(values: NDArray[np.float64], columns: NDArray[np.intp]) -> float:
    """Return the mean of some values, mostly one."""
    return float(values[columns[0]] if len(columns) == 1 else values[columns].mean())


def relative_spread(mean: NDArray[np.float64]) -> float:
    """Return the standard deviation of some means divided by their mean; 0 if unknown."""
    if len(mean) < 2 or not mean.mean() > 0.0:
        return 0.0
    return float(mean.std(ddof=1) / mean.mean())


def repeat_scatter(
    sample: VolumeSample, shells: list[NDArray[np.intp]], *, unweighted: bool
) -> float:
    """Return the usual relative spread of volumes of one b-value; 0 if it cannot be estimated.

    Parameters
    ----------
    sample : VolumeSample
        The voxels.
    shells : list of ndarray of int
        Columns of each shell.
    unweighted : bool
        Whether to include volumes without diffusion weighting.
    """
    spreads = []
    for columns in shells:
        if len(columns) < 2:
            continue
        spread = relative_spread(sample.mean[columns])
        if sample.bvals[columns].mean() >= UNWEIGHTED:
            spreads.append(spread)
        elif unweighted:
            spreads.append(min(spread, _MAX_UNWEIGHTED_SCATTER))
    return float(np.median(spreads)) if spreads else 0.0


def roughness(sample: VolumeSample, shells: list[NDArray[np.intp]]) -> float:
    """Return how far weighted shells lie from a line between their neighbours; NaN if unknown.

    A decay is almost straight on a logarithmic scale between neighbouring b-values.
    """
    b = np.array([mean_of(sample.bvals, columns) for columns in shells])
    mean = np.array([mean_of(sample.mean, columns) for columns in shells])
    use = (b >= UNWEIGHTED) & (mean > 0.0)
    b, height = b[use], np.log(mean[use])
    if len(b) < 5:
        return float("nan")
    share = (b[1:-1] - b[:-2]) / (b[2:] - b[:-2])
    line = height[:-2] + share * (height[2:] - height[:-2])
    apart = (height[1:-1] - line) / np.sqrt(1.0 + share**2 + (1.0 - share) ** 2)
    return 1.4826 * float(np.median(np.abs(apart)))
