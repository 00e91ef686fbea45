"""Differences of single precision: kernels register them here, and the engine applies them.

Loops over the data may compute in float32; constants that are tests of rounding then have other
values, and functions may be replaced by others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["CONSTANTS_IN_SINGLE", "DATA_LOOPS", "REPLACED_IN_SINGLE", "data_loop", "in_single"]

Function = TypeVar("Function", bound=Callable[..., Any])

DATA_LOOPS: set[Callable[..., Any]] = set()
"""Functions that may compute in the precision of their arrays: see `data_loop`."""

CONSTANTS_IN_SINGLE: dict[str, dict[str, float]] = {}
"""Values of constants in single precision, by module and name: see `in_single`."""

REPLACED_IN_SINGLE: dict[Callable[..., Any], Callable[..., Any]] = {}
"""The single-precision replacement of a double-precision function."""


def data_loop(function: Function) -> Function:
    """Mark a compiled function as a loop over the data, which may compute in their precision.

    The rest of a kernel, a few dozen steps per voxel, solves equations with the sums of such loops
    and does so in double precision.
    """
    DATA_LOOPS.add(function)
    return function


def in_single(module: str, **constants: float) -> None:
    """Register values of constants of a module for data loops in float32.

    Parameters
    ----------
    module : str
        ``__name__`` of the module whose functions use the constants.
    **constants : float
        Their names in the module, and their values in single precision.
    """
    CONSTANTS_IN_SINGLE.setdefault(module, {}).update(constants)
