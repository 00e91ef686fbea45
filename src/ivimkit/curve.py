"""fit_curve: one decay curve, its parameters with their limits, and its plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import methods
from ivimkit.defaults import USUAL_METHOD
from ivimkit.errors import ShapeError
from ivimkit.extend.derived_maps import describe
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.fit import fit
from ivimkit.fitting.result import FitResult
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.rounding import limits, plus_minus, shown_unit
from ivimkit.scan.dwi import DWI

__all__ = ["CurveFit", "fit_curve"]

_AUTO = "auto"


@dataclass(frozen=True, eq=False, repr=False)
class CurveFit:
    """The fit of one decay curve.

    Parameters
    ----------
    result : FitResult
        The fit, of the shape ``()``: its maps have one number each.

    Examples
    --------
    >>> import ivimkit as ik
    >>> b = [0, 10, 20, 50, 100, 200, 400, 800]
    >>> curve = ik.fit_curve([1000, 974, 953, 898, 838, 746, 600, 410], b)
    >>> curve.interval["D"][0] < curve.values["D"] < curve.interval["D"][1]
    True
    """

    result: FitResult

    @property
    def values(self) -> dict[str, float]:
        """Value of each parameter, of the ADC and of products, in their units."""
        return {name: float(self.result[name]) for name in self._names}

    @property
    def sd(self) -> dict[str, float]:
        """Standard deviation of each of `values`; NaN where it is not available."""
        sd = self.result.sd
        return {name: float(sd[name]) if name in sd else np.nan for name in self._names}

    @property
    def interval(self) -> dict[str, tuple[float, float]]:
        """The 95 % limits of each of `values`; NaN where they are not available."""
        known = self.result.interval
        none = (np.nan, np.nan)
        ends = {name: known.get(name, none) for name in self._names}
        return {name: (float(low), float(high)) for name, (low, high) in ends.items()}

    @property
    def status(self) -> str:
        """What is to be said of the fit, in words."""
        return self.result.sentence(())

    @property
    def _names(self) -> list[str]:
        model = self.result.model
        order = dict.fromkeys((*model.names, *model.shown_maps))
        return [name for name in order if name in self.result]

    def predict(self, bvals: ArrayLike) -> NDArray[np.float64]:
        """Return the signal that the fit predicts.

        Parameters
        ----------
        bvals : array_like, shape (n,)
            b-values in s/mm^2.

        Returns
        -------
        ndarray, shape (n,)
        """
        return np.asarray(self.result.predict(bvals))

    def plot(self) -> Any:
        """Draw the curve as measured and as fitted, the residuals and a table of the values.

        Returns
        -------
        matplotlib.figure.Figure
            It shows itself in a notebook; ``plot().savefig("curve.png")`` saves it.
        """
        from ivimkit.figures.voxel_plot import voxel_plot

        return voxel_plot(self.result.scan(), self.result, ())

    def __repr__(self) -> str:
        """Return the values with their errors and limits, and the status."""
        model, method = self.result.model, self.result.method
        values, sd, interval = self.values, self.sd, self.interval
        has_limits = np.isfinite(list(interval.values())).any()
        about_limits = "; value ± sd (95 % limits)" if has_limits else ""
        lines = [f"CurveFit: {model.title} by {method.title}{about_limits}"]
        abouts = [describe(name, model.quantities) for name in self._names]
        width = max(len(about.symbol) for about in abouts)
        for about in abouts:
            name = about.name
            text = f"  {about.symbol:{width}}  {plus_minus(about, values[name], sd[name])}"
            if np.isfinite(interval[name]).all():
                text += f" ({limits(about, *interval[name])})"
            lines.append(f"{text} {shown_unit(about)}".rstrip())
        return "\n".join([*lines, f"  {self.status}"])


def fit_curve(
    signal: ArrayLike,
    bvals: ArrayLike,
    *,
    model: str | SignalModel = "biexp",
    method: str | FitMethod = USUAL_METHOD,
    sigma: float | None = None,
    uncertainty: str | Estimator | None = _AUTO,
    variables: Mapping[str, ArrayLike] | None = None,
) -> CurveFit:
    """Fit one decay curve, such as the mean signal of a region.

    Parameters
    ----------
    signal : array_like, shape (n,)
        Signal, a.u.; NaN is a missing value.
    bvals : array_like, shape (n,)
        b-values in s/mm^2, in any order; those that repeat are averaged.
    model, method : str, SignalModel or FitMethod
        As in `ivimkit.fit`.
    sigma : float, optional
        Noise (standard deviation) of one value, a.u.; by default it is estimated from the
        residuals.
    uncertainty : str or Estimator, optional
        As in `ivimkit.fit`; by default the best one that the method allows: the posterior of
        ``bayes``, profile likelihood for least squares, bootstrap for fits in steps. None for no
        uncertainty.
    variables : mapping of str to array_like, optional
        Other variables of the model, shape (n,) each, like ``{"echo_time": [50, 75, ...]}``.

    Returns
    -------
    CurveFit
        Values, standard deviations, 95 % limits and a plot.

    Raises
    ------
    ShapeError
        If the signal is not one curve.
    OptionError
        For an unknown model, method or estimator.
    AcquisitionError
        If the b-values are not sufficient for the model.

    Examples
    --------
    >>> import ivimkit as ik
    >>> b = [0, 10, 20, 50, 100, 200, 400, 800]
    >>> signal = [1000, 974, 953, 898, 838, 746, 600, 410]
    >>> curve = ik.fit_curve(signal, b)
    >>> round(curve.values["f"], 2), round(1e3 * curve.values["D"], 2)
    (0.1, 0.99)
    >>> figure = curve.plot()
    """
    measured = np.asarray(signal)
    if measured.ndim != 1:
        raise ShapeError(
            f"the signal has shape {measured.shape}; expected one curve, shape (n_bvals,). Use "
            "ivimkit.fit for several"
        )
    method = methods.get(method)
    estimator = _usual(method) if uncertainty == _AUTO else uncertainty
    dwi = DWI(measured, bvals, variables=variables)
    return CurveFit(fit(dwi, model=model, method=method, sigma=sigma, uncertainty=estimator))


def _usual(method: FitMethod) -> str | None:
    """Return the best estimator that a method allows; None if it has limits by itself."""
    if isinstance(method, PosteriorMethod):
        return None
    return "profile" if method.least_squares else "bootstrap"
