"""DecayCurve: the fitted signal over b for one value of each other variable, for figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.engine import curve
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.acquisition import Series
from ivimkit.scan.directions import distinct_directions, needs_directions
from ivimkit.scan.dwi import DWI
from ivimkit.scan.variables import DIRECTION, B, points

__all__ = [
    "DecayCurve",
    "decay_curves",
    "fitted_values",
    "fitted_x",
    "mean_over_directions",
    "with_b",
]


@dataclass(frozen=True, eq=False)
class DecayCurve:
    """The fitted signal of one series of values, see `DWI.fit_series`.

    Parameters
    ----------
    series : Series
        Its name, the positions of its values, and its variables other than b.
    model : SignalModel
        The model.
    params : ndarray, shape (n_par,)
        Its parameters.
    fitted : ndarray, shape (n_members,)
        The fitted signal of the values, a.u.
    is_same_as_others : bool
        Whether the model depends on b alone, so that all series have the same curve.
    """

    series: Series
    model: SignalModel = field(repr=False)
    params: NDArray[np.float64] = field(repr=False)
    fitted: NDArray[np.float64] = field(repr=False)
    is_same_as_others: bool

    @property
    def is_line(self) -> bool:
        """Whether each b has one signal: all other variables of the model have one value."""
        return self.series.determines(self.model.variables)

    def __call__(self, b: ArrayLike) -> NDArray[np.float64]:
        """Return the fitted signal at b-values, shape (n_b,), a.u."""
        return curve(self.model, self.params, points(self.model.variables, self.series.at(b)))


@dataclass(frozen=True, eq=False)
class _MeanCurve(DecayCurve):
    """The same of a model of the direction: the mean over the directions of the scan."""

    directions: NDArray[np.float64] = field(repr=False)

    @property
    def is_line(self) -> bool:
        """Whether each b has one mean."""
        known = {B.name, *(axis.name for axis in DIRECTION), *self.series.variables}
        return known.issuperset(self.model.variables)

    def __call__(self, b: ArrayLike) -> NDArray[np.float64]:
        """Return the mean fitted signal at b-values, shape (n_b,), a.u."""
        return mean_over_directions(self.model, self.params, self.series, self.directions, b)


def mean_over_directions(
    model: SignalModel,
    params: ArrayLike,
    series: Series,
    directions: NDArray[np.float64],
    b: ArrayLike,
) -> NDArray[np.float64]:
    """Return the mean signal of a model over gradient directions, shape (n_b,), a.u.

    Parameters
    ----------
    model : SignalModel
        A model of the direction.
    params : array_like, shape (n_par,)
        Its parameters.
    series : Series
        The other variables.
    directions : ndarray, shape (n_directions, 3)
        Unit vectors.
    b : array_like, shape (n_b,)
        b-values in s/mm^2.
    """
    every = np.atleast_1d(np.asarray(b, dtype=np.float64))
    axes = {axis.name: np.repeat(directions[:, k], every.size) for k, axis in enumerate(DIRECTION)}
    table = {**series.variables, **axes, B.name: np.tile(every, len(directions))}
    found = curve(model, np.asarray(params, np.float64), points(model.variables, table))
    return np.asarray(found.reshape(len(directions), every.size).mean(axis=0))


def decay_curves(model: SignalModel, params: ArrayLike, dwi: DWI) -> tuple[DecayCurve, ...]:
    """Return one curve per series of the values that were fitted.

    Parameters
    ----------
    model : SignalModel
        The model.
    params : array_like, shape (n_par,)
        The parameters of one fit.
    dwi : DWI
        The scan that was fitted.

    Returns
    -------
    tuple of DecayCurve
        One if the volumes differ in b only. Of a model of the direction, the curve is the mean
        over the directions of the scan, and `fitted` are the signals of each.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> from ivimkit.fitting.decay_curves import decay_curves
    >>> dwi = ik.DWI(np.ones((1, 3)), [0, 500, 800])
    >>> [curve] = decay_curves(ik.models.get("monoexp"), [100.0, 1e-3], dwi)
    >>> curve([0]).tolist(), curve.series.members
    ([100.0], (0, 1, 2))
    """
    values = np.asarray(params, dtype=np.float64)
    fitted = curve(model, values, fitted_x(model.variables, dwi))
    alone = tuple(model.variables) == (B.name,)
    if needs_directions(model.variables):
        separate = dwi.for_variables(model.variables)
        directions = distinct_directions(separate.acquisition.direction_vectors())
        return tuple(
            _MeanCurve(one, model, values, fitted[list(one.members)], alone, directions)
            for one in separate.fit_series
        )
    return tuple(
        DecayCurve(one, model, values, fitted[list(one.members)], alone) for one in dwi.fit_series
    )


def fitted_values(curves: Sequence[DecayCurve], n: int) -> NDArray[np.float64]:
    """Return the fitted signal of all values of a scan, shape (n,), a.u."""
    found = np.empty(n)
    for one in curves:
        found[list(one.series.members)] = one.fitted
    return found


def fitted_x(variables: Sequence[str], dwi: DWI) -> NDArray[np.float64]:
    """Return the variables of the fitted values of a scan, in the form that the engine takes.

    Returns
    -------
    ndarray
        b of each value, shape (n_b,), for a model of b alone; otherwise shape (n_variables, n_b).
    """
    if tuple(variables) == (B.name,):
        return dwi.fit_bvals
    return dwi.for_variables(variables).fit_x(variables)


def with_b(
    x: NDArray[np.float64], variables: Sequence[str], b: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return the array of `fitted_x` with other b-values, shape (n_b,), or one for all."""
    changed = x.copy()
    if changed.ndim == 1:
        changed[:] = b
    elif B.name in variables:
        changed[list(variables).index(B.name)] = b
    return changed
