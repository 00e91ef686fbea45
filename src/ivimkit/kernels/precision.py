"""What single precision changes: kernels say it here of themselves, and the engine reads it.

Loops over the data may compute in float32; constants that are tests of rounding have other values
then, and a function may have another that takes its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["CONSTANTS_IN_SINGLE", "DATA_LOOPS", "REPLACED_IN_SINGLE", "data_loop", "in_single"]

Function = TypeVar("Function", bound=Callable[..., Any])

DATA_LOOPS: set[Callable[..., Any]] = set()
"""Functions that may compute in the precision of their arrays: see `data_loop`."""

CONSTANTS_IN_SINGLE: dict[str, dict[str, float]] = {}
"""By module and name, what constants are in single precision: see `in_single`."""

REPLACED_IN_SINGLE: dict[Callable[..., Any], Callable[..., Any]] = {}
"""The function of single precision that takes the place of one of double precision."""


def data_loop(function: Function) -> Function:
    """Mark a compiled function as a loop over the data, which may compute in their precision.

    The rest of a kernel, a few dozen steps per voxel, solves for what such loops found, and does
    so in double precision.
    """
    DATA_LOOPS.add(function)
    return function


def in_single(module: str, **constants: float) -> None:
    """Say what constants are, in the functions of a module, if its data loops are in float32.

    Parameters
    ----------
    module : str
        ``__name__`` of the module whose functions use the constants.
    **constants : float
        Names as they stand in the module, and their values in single precision.
    """
    CONSTANTS_IN_SINGLE.setdefault(module, {}).update(constants)
