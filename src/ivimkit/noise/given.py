"""Noise that is known from elsewhere."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ivimkit.errors import OptionError
from ivimkit.noise.noise_estimate import NoiseEstimate

__all__ = ["given"]


def given(sigma: ArrayLike) -> NoiseEstimate:
    """Take a noise that is known from elsewhere: a noise scan, a denoiser, a paper.

    Parameters
    ----------
    sigma : float or array_like, shape (...)
        Standard deviation of the noise of one volume, a.u.: a number > 0, or a map of the scan's
        voxels with NaN where it is not known.

    Returns
    -------
    NoiseEstimate
        The pooled value of a map is its median.

    Raises
    ------
    OptionError
        If it is not a number > 0, or a map of them.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.noise.given([10.0, 20.0, 30.0]).sigma
    20.0
    """
    try:
        values = np.array(sigma, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(
            f"the noise is {str(sigma)[:60]!r}; expected a number > 0, or a map of them"
        ) from None
    if values.ndim == 0:
        if not (np.isfinite(values) and values > 0.0):
            raise OptionError(
                f"the noise is {values:g}; expected a number > 0, in the scan's unit"
            )
        return _estimate(float(values), None, 0)
    known = ~np.isnan(values)
    if not known.any():
        raise OptionError("the noise map has no value; expected numbers > 0, NaN where not known")
    wrong = known & ~((values > 0.0) & np.isfinite(values))
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise OptionError(
            f"the noise map is {values[where]:g} in voxel {where}; expected numbers > 0. Set it "
            "to NaN where the noise is not known"
        )
    values.setflags(write=False)
    return _estimate(float(np.median(values[known])), values, int(np.count_nonzero(known)))


def _estimate(sigma: float, values: np.ndarray | None, n_voxels: int) -> NoiseEstimate:
    return NoiseEstimate(
        sigma=sigma,
        map=values,
        degrees=math.inf,
        degrees_map=None if values is None else np.where(np.isnan(values), 0.0, math.inf),
        source="given",
        assumes="The noise that was given is that of one volume of this scan.",
        n_voxels=n_voxels,
    )
