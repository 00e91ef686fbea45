"""organ_distributions: how f, D* and D are distributed over the voxels of an organ."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import beta, lognorm

from ivimkit import organs

__all__ = ["organ_distributions"]

# Coefficients of variation between voxels of an organ; means of whole organs vary less.
_SPREAD_D = 0.25
_SPREAD_D_STAR = 0.7
_SPREAD_F = 0.5


def organ_distributions(organ: str, width: float = 1.0) -> dict[str, Any]:
    """Return the distributions of f, D_star and D in an organ.

    Parameters
    ----------
    organ : str
        One of `ivimkit.organs.names`.
    width : float
        Factor on the coefficients of variation.

    Returns
    -------
    dict of str to scipy.stats distribution
        By the name of the parameter, in its unit.

    Examples
    --------
    >>> from ivimkit.extend.organ_distributions import organ_distributions
    >>> float(organ_distributions("liver")["D"].mean().round(6))
    0.0011
    """
    means = organs.get(organ).means
    return {
        "f": _beta(means["f"], width * _SPREAD_F),
        "D_star": _log_normal(means["D_star"], width * _SPREAD_D_STAR),
        "D": _log_normal(means["D"], width * _SPREAD_D),
    }


def _log_normal(mean: float, spread: float) -> Any:
    sigma = np.sqrt(np.log1p(spread**2))
    return lognorm(sigma, scale=mean * np.exp(-(sigma**2) / 2))


def _beta(mean: float, spread: float) -> Any:
    # Both exponents above 1, so that the density is finite at 0.
    strength = max((1.0 - mean) / (mean * spread**2) - 1.0, 1.0 / mean, 1.0 / (1.0 - mean))
    return beta(mean * strength, (1.0 - mean) * strength)
