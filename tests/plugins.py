"""Every model, every method and every pair of them that works, found through the registries.

Nothing here knows a model or a method by name: a new file in ``models/`` or ``methods/`` is in
the contract tests at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from ivimkit import methods, models
from ivimkit.errors import InputError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.acquisition import Acquisition
from ivimkit.simulate import B13, B21

PROTOCOLS = {"b13": np.array(B13, dtype=float), "b21": np.array(B21, dtype=float)}

# An infinite bound (S0) is a number in the tests.
LARGE = 1000.0

# Options with which a method that learns from the scan fits every voxel by itself.
_ALONE = {"bayes": {"prior": "flat", "variance": "voxel"}}

# Identifiable without noise: f >= 0.02 and D* >= 3 D.
_LEAST_FRACTION = 0.02
_LEAST_RATIO = 3.0


def works(model: SignalModel, method: FitMethod) -> bool:
    """Say whether the method takes the model on the 21-b protocol."""
    try:
        method.check(model, Acquisition(PROTOCOLS["b21"]))
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


def pairs() -> Iterator[tuple[SignalModel, FitMethod]]:
    """Yield all models with all methods that take them."""
    for model in map(models.get, models.names()):
        for method in map(alone, methods.names()):
            if works(model, method):
                yield model, method


MODELS = [pytest.param(models.get(name), id=name) for name in models.names()]
METHODS = [pytest.param(methods.get(name), id=name) for name in methods.names()]
PAIRS = [pytest.param(a, b, id=f"{a.name}-{b.name}") for a, b in pairs()]
FULL_FITS = [pytest.param(a, b, id=f"{a.name}-{b.name}") for a, b in pairs() if b.full_fit]

# A method whose options change what it maximises is another one to the contract.
_RICIAN = [
    pytest.param(model, methods.get("varpro", noise="rician"), id=f"{model.name}-varpro-rician")
    for model in map(models.get, models.names())
]
PAIRS += _RICIAN
FULL_FITS += _RICIAN


def box(model: SignalModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper bounds, finite."""
    lower = np.array([p.lower for p in model.parameters])
    upper = np.array([p.upper for p in model.parameters])
    return lower, np.where(np.isfinite(upper), upper, LARGE)


def identifiable(model: SignalModel, n: int, seed: int) -> NDArray[np.float64]:
    """Draw parameters all over the box that noise-free data determine, shape (n, n_par)."""
    rng = np.random.default_rng(seed)
    lower, upper = box(model)
    params = rng.uniform(lower, upper, (n, lower.size))
    pools = model.pools
    if pools is not None and pools.fraction is not None:
        k = model.index(pools.fraction)
        params[:, k] = rng.uniform(max(lower[k], _LEAST_FRACTION), upper[k], n)
    if pools is not None and pools.fast is not None:
        fast, k = params[:, model.index(pools.fast)], model.index(pools.slow)
        params[:, k] = rng.uniform(lower[k], np.minimum(upper[k], fast / _LEAST_RATIO))
    return params


def typical(model: SignalModel, n: int, seed: int) -> NDArray[np.float64]:
    """Draw parameters of tissue: the middle of what figures show, S0 about `LARGE`."""
    rng = np.random.default_rng(seed)
    shown = [
        p.display if p.display[1] > 0 else (0.8 * LARGE, 1.2 * LARGE) for p in model.parameters
    ]
    low, high = np.array(shown).T
    return rng.uniform(low + 0.2 * (high - low), low + 0.8 * (high - low), (n, low.size))
