"""Voxels whose posterior allows that a parameter is far from its estimate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.signal_model import SignalModel
from ivimkit.status import MAX_OFF, MAX_OFF_PROBABILITY, uncertain

__all__ = ["off_probability", "uncertain_flags"]

# The limits of a posterior, and their normal quantiles: those of 2.5, 25, 75 and 97.5 %.
_ENDS = ("_lo", "_lo50", "_hi50", "_hi")
_SCORES = (-1.959964, -0.674490, 0.674490, 1.959964)
# In place of a limit of 0, which has no logarithm, relative to the estimate.
_MIN_RATIO = 1e-9
# Least distance of two logarithms, so that limits that coincide do not divide by 0.
_MIN_STEP = 1e-9


def uncertain_flags(
    model: SignalModel, columns: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.int64]:
    """Return the flags of the parameters that are uncertain, of every voxel.

    Parameters
    ----------
    model : SignalModel
        The model.
    columns : mapping of str to ndarray, shape (n_voxels,)
        The maps. A parameter with 50 % limits has a posterior; the others get no flag.

    Returns
    -------
    ndarray of int, shape (n_voxels,)
        Sums of `ivimkit.status.uncertain`.
    """
    found = np.zeros(columns[model.names[0]].size, dtype=np.int64)
    for k, name in enumerate(model.names):
        if all(f"{name}{end}" in columns for end in _ENDS):
            limits = tuple(columns[f"{name}{end}"] for end in _ENDS)
            off = off_probability(columns[name], limits) > MAX_OFF_PROBABILITY
            found[off] |= uncertain(k, len(model.names))
    return found


def off_probability(
    estimate: NDArray[np.float64], limits: tuple[NDArray[np.float64], ...]
) -> NDArray[np.float64]:
    """Return the probability that an estimate is more than 50 % off.

    That is the mass of the posterior at values x with |estimate / x - 1| > 0.5: below the estimate
    / 1.5, and above its double. Between and beyond the four limits, the normal quantile of the
    posterior is taken to be linear in ln x: exact for a log-normal posterior, which skewed
    posteriors of rates and small fractions are close to.

    Parameters
    ----------
    estimate : ndarray, shape (n,)
        The estimates.
    limits : tuple of ndarray, shape (n,)
        Quantiles of the posterior: 2.5, 25, 75 and 97.5 %.

    Returns
    -------
    ndarray, shape (n,)
        NaN where the estimate is not above 0, since a share of it has no meaning there.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.fitting.uncertain_voxels import off_probability
    >>> limits = tuple(np.exp(0.2 * np.array([-1.96, -0.674, 0.674, 1.96])).reshape(4, 1))
    >>> round(float(off_probability(np.ones(1), limits)[0]), 3)
    0.022
    """
    from scipy.special import ndtr  # Slow to load, and most fits do not need it.

    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [np.log(np.maximum(limit / estimate, _MIN_RATIO)) for limit in limits]
        below = ndtr(_score(-np.log1p(MAX_OFF), ratios))
        above = ndtr(-_score(-np.log1p(-MAX_OFF), ratios))
    return np.where(estimate > 0.0, below + above, np.nan)


def _score(x: float, ratios: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the normal quantile of a posterior at exp(x) times the estimate."""
    score = np.full(ratios[0].shape, np.nan)
    for k in range(len(_SCORES) - 1):
        step = np.maximum(ratios[k + 1] - ratios[k], _MIN_STEP)
        slope = (_SCORES[k + 1] - _SCORES[k]) / step
        inside = np.full(score.shape, k == 0) | (x >= ratios[k])
        score = np.where(inside, _SCORES[k] + slope * (x - ratios[k]), score)
    return score
