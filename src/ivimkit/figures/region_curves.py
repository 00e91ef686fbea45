"""Region curves: the mean signal of regions with the fitted curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.figures.decay_axes import Decay, decay_panels
from ivimkit.fitting.decay_curves import DecayCurve
from ivimkit.rounding import thousands

__all__ = ["RegionCurve", "region_curves"]


@dataclass(frozen=True, eq=False)
class RegionCurve:
    """The mean signal of a region.

    Parameters
    ----------
    name : str
        Name of the region.
    bvals : ndarray, shape (n_b,)
        b-values in s/mm^2.
    mean : ndarray, shape (n_b,)
        Mean signal of its voxels, a.u.
    sd : ndarray, shape (n_b,)
        Standard deviation between voxels, a.u.; NaN where unknown.
    predict : callable or None
        Function from b-values to the signal fitted to the mean, a.u.; None if there is no fit.
    n : int
        Number of voxels.
    curves : sequence of DecayCurve
        The series of the values, if these differ in more than b; used instead of `predict`.
    """

    name: str
    bvals: NDArray[np.float64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    predict: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None
    n: int
    curves: Sequence[DecayCurve] = ()


def region_curves(curves: Sequence[RegionCurve], *, title: str | None = None) -> Figure:
    """Draw the mean signal of each region, its fit and its residuals.

    Parameters
    ----------
    curves : sequence of RegionCurve
        The regions.
    title : str, optional
        Title of the page; none by default.

    Returns
    -------
    matplotlib.figure.Figure
        Per region the signal on a logarithmic axis, with bars for the scatter of its voxels,
        above the residuals of the mean.

    Raises
    ------
    OptionError
        If there is no region.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> b = np.array([0.0, 50, 200, 800])
    >>> liver = ik.report.RegionCurve(
    ...     "liver", b, np.exp(-b / 900), 0.1 * np.ones(4), lambda b: np.exp(-b / 1000), 120
    ... )
    >>> figure = ik.report.region_curves([liver])
    >>> [axes.get_yscale() for axes in figure.axes]
    ['log', 'linear']
    """
    if not curves:
        raise OptionError("there is no region to draw; expected at least one")
    decays = [
        Decay(
            one.name,
            one.bvals,
            one.mean,
            one.predict,
            one.sd,
            f"n = {thousands(one.n)}",
            one.curves,
        )
        for one in curves
    ]
    return decay_panels(decays, title or "")
