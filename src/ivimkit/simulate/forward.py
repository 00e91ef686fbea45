"""Noise-free signals of any model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import models
from ivimkit.engine import evaluate
from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.variables import points

__all__ = ["signals"]


def signals(
    model: SignalModel | str,
    params: ArrayLike | Mapping[str, ArrayLike],
    bvals: ArrayLike | Mapping[str, ArrayLike],
) -> NDArray[np.float64]:
    """Compute the noise-free signal of a model.

    Parameters
    ----------
    model : SignalModel or str
        The model, or its name.
    params : array_like, shape (..., n_parameters), or mapping of str to array_like
        Parameters in the model's order, or by name; those given by name are broadcast against
        each other.
    bvals : array_like, shape (n_b,), or mapping of str to array_like
        b-values in s/mm^2; or a table with the variables of the model, like
        ``{"b": [0, 800], "echo_time": 75}``, each with n_b values or one for all.

    Returns
    -------
    ndarray, shape (..., n_b)
        Signal, in the unit of S0.

    Raises
    ------
    OptionError
        If parameters are missing or unknown.
    ShapeError
        If the last axis of `params` does not match the model.

    Examples
    --------
    >>> from ivimkit import simulate
    >>> truth = {"S0": 1000, "f": 0.1, "D_star": 0.02, "D": [1e-3, 2e-3]}
    >>> simulate.signals("biexp", truth, [0, 200, 800]).shape
    (2, 3)
    """
    chosen = models.get(model) if isinstance(model, str) else model
    values = _stacked(chosen, params) if isinstance(params, Mapping) else params
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != len(chosen.parameters):
        raise ShapeError(
            f"the parameters have shape {array.shape}; expected (..., "
            f"{len(chosen.parameters)}): {', '.join(chosen.names)} on the last axis"
        )
    return evaluate(chosen, array, points(chosen.variables, bvals))


def _stacked(model: SignalModel, params: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """Put parameters given by name in the model's order."""
    if set(params) != set(model.names):
        raise OptionError(
            f"the parameters are {', '.join(params)}; expected {', '.join(model.names)} "
            f"for model {model.name}"
        )
    arrays = [np.asarray(params[name], dtype=np.float64) for name in model.names]
    return np.stack(np.broadcast_arrays(*arrays), axis=-1)
