"""Pairs: valid pairs of models and methods of ivimkit, discovered so that new ones are
included."""

from __future__ import annotations

from benchmarks.data import B21
from ivimkit import methods, models
from ivimkit.errors import IvimkitError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.acquisition import Acquisition

__all__ = ["working_pairs"]


def working_pairs() -> list[tuple[SignalModel, FitMethod]]:
    """Return every pair that accepts the 21 b-values, by model."""
    return [
        (model, method)
        for model in map(models.get, models.names())
        for method in map(methods.get, methods.names())
        if _works(model, method)
    ]


def _works(model: SignalModel, method: FitMethod) -> bool:
    try:
        method.check(model, Acquisition(B21))
    except IvimkitError:
        return False
    return True
