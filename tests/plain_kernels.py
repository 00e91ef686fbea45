"""Kernels as plain Python: the same source, without the seconds that it takes to compile.

That compiled code gives the same numbers is what the contracts of models, methods and estimators
ask; tests of an algorithm on a few hundred small problems need not compile it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from ivimkit.kernels import exponential, memory
from ivimkit.kernels.templates import filled

__all__ = ["interpreted", "plain"]


def _exp(x: float) -> float:
    """Return e^x on the range of ours, which has tests of its own and takes ten times as long."""
    return math.exp(max(x, -350.0))


def _log(x: float) -> float:
    return math.log(max(x, 1e-300))


_KNOWN = {
    exponential.exp: _exp,
    exponential.log: _log,
    # Views of scratch are machine code by themselves.
    memory.matrix: memory._reshaped,
    memory.in_single: memory._viewed,
}


def plain(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return a kernel as plain Python, with all that it calls."""
    function = _plain(kernel)

    @functools.wraps(function)
    def quiet(*args: Any) -> Any:
        # Machine code does not warn of 1 / 0.
        with np.errstate(all="ignore"):
            return function(*args)

    return quiet


@functools.cache
def _plain(kernel: Callable[..., Any]) -> FunctionType:
    if kernel in _KNOWN:
        return _KNOWN[kernel]
    function: Any = getattr(kernel, "py_func", kernel)
    called = {
        name: _plain(value)
        for name in function.__code__.co_names
        if hasattr(value := function.__globals__.get(name), "py_func")
        or hasattr(value, "_defn")
        or isinstance(value, FunctionType)
    }
    return FunctionType(
        function.__code__,
        {**function.__globals__, **called},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


@contextmanager
def interpreted() -> Iterator[None]:
    """Let the engine run its drivers in plain Python for a while."""

    def bound(template: FunctionType, *kernels: Any, allocates: bool = True) -> Callable[..., Any]:
        return plain(filled(template, *kernels))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("ivimkit.engine.run"), "bind", bound)
        yield
