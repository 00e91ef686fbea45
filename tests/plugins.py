"""Every model, every method and every pair of them that works, found through the registries.

Nothing here knows a model or a method by name: a new file in ``models/`` or ``methods/`` is in
the contract tests at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ivimkit import methods, models, testing
from ivimkit.errors import InputError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI
from ivimkit.scan.variables import points
from ivimkit.simulate import B13, B21
from ivimkit.simulate.protocol import protocol_of

PROTOCOLS = {"b13": np.array(B13, dtype=float), "b21": np.array(B21, dtype=float)}

# An infinite bound (S0) is a number in the tests.
LARGE = 1000.0

# Options with which a method that learns from the scan fits every voxel by itself.
_ALONE: dict[str, dict[str, Any]] = {
    "bayes": {"prior": "flat", "variance": "voxel"},
    "nnls": {"regularisation": 0.1},
}

# Identifiable without noise: every compartment with a share of 0.02 or more, and of an ordered
# pair of parameters the larger one three times the smaller.
_LEAST_FRACTION = 0.02
_LEAST_RATIO = 3.0

BVALS = np.array([0.0, 1.0, 10.0, 55.0, 200.0, 850.0, 3000.0])
# Values of other columns of an acquisition, as many; of one that is not here, some around 1.
_COLUMNS = {"te": np.array([40.0, 50.0, 60.0, 60.0, 70.0, 80.0, 120.0])}


def protocol(model: SignalModel, usual: str = "b13") -> NDArray[np.float64]:
    """Return b-values that carry the model: the usual ones for two decays of b."""
    if model.two_decays() is not None:
        return PROTOCOLS[usual]
    return testing.measurements(model)["b"]


def settings(model: SignalModel, usual: str = "b13") -> dict[str, NDArray[np.float64]]:
    """Return all variables of a protocol that carries the model, by name."""
    if model.variables == ("b",):
        return {"b": protocol(model, usual)}
    return testing.measurements(model)


def rows(model: SignalModel, usual: str = "b13") -> NDArray[np.float64]:
    """Return the same as `evaluate` takes them: b-values, or a row for each variable."""
    return points(model.variables, settings(model, usual))


def scan(model: SignalModel, signals: NDArray[np.float64], usual: str = "b13") -> DWI:
    """Return signals as a scan of that protocol."""
    return DWI(signals, protocol_of(settings(model, usual)))


def works(model: SignalModel, method: FitMethod) -> bool:
    """Say whether the method takes the model on a protocol that carries it."""
    try:
        method.check(model, Acquisition(protocol(model, "b21")))
    except InputError:
        return False
    return True


def alone(name: str) -> FitMethod:
    """Return a method that gives a voxel the same whatever the others are."""
    method = methods.get(name)
    if method.learns:
        assert name in _ALONE, f"say here with which options {name} learns nothing from the scan"
        method = methods.get(name, **_ALONE[name])
    assert not method.learns
    return method


# One of each kind of compiled code: all models that are not two decays are fitted by one source,
# so that what is expensive is asked of one of them.
GENERIC = "kurtosis"


def pairs() -> Iterator[tuple[SignalModel, FitMethod]]:
    """Yield all models with all methods that take them; of posteriors, one of each kind."""
    for model in map(models.get, models.names()):
        for method in map(alone, methods.names()):
            generic = method.name != "bayes" or model.two_decays() or model.name == GENERIC
            if generic and works(model, method):
                yield model, method


MODELS = [pytest.param(models.get(name), id=name) for name in models.names()]
METHODS = [pytest.param(methods.get(name), id=name) for name in methods.names()]
PAIRS = [pytest.param(a, b, id=f"{a.name}-{b.name}") for a, b in pairs()]
FULL_FITS = [pytest.param(a, b, id=f"{a.name}-{b.name}") for a, b in pairs() if b.full_fit]


def kinds(params: list[Any]) -> list[Any]:
    """Return the pairs of two decays, and those of `GENERIC`."""
    return [one for one in params if one.values[0].two_decays() or one.values[0].name == GENERIC]


# A method whose options change what it maximises is another one to the contract.
_RICIAN = [
    pytest.param(model, methods.get("varpro", noise="rician"), id=f"{model.name}-varpro-rician")
    for model in map(models.get, models.names())
    if model.two_decays() is not None or model.name == GENERIC
]
PAIRS += _RICIAN
FULL_FITS += _RICIAN


def box(model: SignalModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper bounds, finite."""
    lower = np.array([p.lower for p in model.parameters])
    upper = np.array([p.upper for p in model.parameters])
    return lower, np.where(np.isfinite(upper), upper, LARGE)


def measurements(model: SignalModel) -> NDArray[np.float64]:
    """Return values of all variables of a model, shape (n_variables, n)."""
    other = np.linspace(0.5, 1.5, BVALS.size)
    columns = {"b": BVALS, **_COLUMNS}
    return np.array([columns.get(name, other) for name in model.variables])


def _range(model: SignalModel, k: int) -> tuple[float, float]:
    """Return where a parameter is drawn from: its box, or what is typical.

    A kurtosis or an exponent has a meaning only together with the diffusion next to it, and the
    speed of blood and the time in which it turns only where gradients are sensitive to them.
    """
    parameter = model.parameters[k]
    own = model.compartment_of(parameter.name)
    formed = own is not None and any(p.role in ("shape", "orientation") for p in own.parameters)
    formed |= own is not None and any(p.unit == "mm/s" for p in own.parameters)
    lower, upper = box(model)
    return parameter.usual if formed else (float(lower[k]), float(upper[k]))


def identifiable(model: SignalModel, n: int, seed: int) -> NDArray[np.float64]:
    """Draw parameters all over the box that noise-free data determine, shape (n, n_par)."""
    rng = np.random.default_rng(seed)
    lower, upper = np.array([_range(model, k) for k in range(len(model.parameters))]).T
    params = rng.uniform(lower, upper, (n, lower.size))
    for name in model.fractions:
        k = model.index(name)
        others = len(model.fractions) - (1 if model.two_decays() else 0)
        most = min(upper[k], 1.0 - others * _LEAST_FRACTION)
        params[:, k] = rng.uniform(max(lower[k], _LEAST_FRACTION), most, n)
    if len(model.fractions) > 1:
        shares = [model.index(name) for name in model.fractions]
        total = params[:, shares].sum(axis=1, keepdims=True)
        params[:, shares] *= np.minimum(1.0, (1.0 - _LEAST_FRACTION) / total)
    for small, large in reversed(model.ascending):
        k, highest = model.index(small), params[:, model.index(large)] / _LEAST_RATIO
        params[:, k] = rng.uniform(lower[k], np.maximum(lower[k], np.minimum(upper[k], highest)))
    return params


def typical(model: SignalModel, n: int, seed: int) -> NDArray[np.float64]:
    """Draw parameters of tissue, S0 about `LARGE`, shape (n, n_par)."""
    rng = np.random.default_rng(seed)
    low, high = np.array([p.usual for p in model.parameters]).T
    params = rng.uniform(low, high, (n, low.size))
    params[:, 0] *= LARGE
    return params
