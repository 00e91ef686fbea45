"""Errors of estimates of simulated voxels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["ESTIMATED", "UNITS", "bias", "median_relative", "rmse"]

ESTIMATED = ("D", "f", "D_star")
UNITS = {"D": 1e-3, "f": 1.0, "D_star": 1e-3}
"""Tables show D and D* in 1e-3 mm^2/s."""


def rmse(
    maps: Mapping[str, NDArray[np.float64]], truth: Mapping[str, NDArray[np.float64]], name: str
) -> float | None:
    """Return the root mean squared error in the unit of tables; None without such a map."""
    if name not in maps:
        return None
    return float(np.sqrt(np.nanmean((maps[name] - truth[name]) ** 2))) / UNITS[name]


def bias(
    maps: Mapping[str, NDArray[np.float64]], truth: Mapping[str, NDArray[np.float64]], name: str
) -> float | None:
    """Return the mean error in the unit of tables; None without such a map."""
    if name not in maps:
        return None
    return float(np.nanmean(maps[name] - truth[name])) / UNITS[name]


def median_relative(
    maps: Mapping[str, NDArray[np.float64]], truth: Mapping[str, NDArray[np.float64]], name: str
) -> float | None:
    """Return the median relative error in per cent; None without such a map."""
    if name not in maps:
        return None
    return 100.0 * float(np.nanmedian(np.abs(maps[name] - truth[name]) / truth[name]))
