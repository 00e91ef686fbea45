"""The decorators that turn a scalar function into a device function.

Reassociation lets LLVM keep partial sums in vector lanes. ``nnan`` and ``ninf`` are left out of
`device` on purpose: voxels with NaN must stay recognisable. `finite` adds ``nnan``, without which
LLVM does not vectorise a maximum, for inner functions that only ever see finite numbers. `exact`
is for functions whose order of operations is the algorithm, such as the rounding trick of `exp`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["device", "exact", "finite", "inlined"]

Function = TypeVar("Function", bound=Callable[..., Any])


def device(function: Function) -> Function:
    """Compile `function` with sums that may be reordered."""
    return cast(
        Function,
        njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})(function),
    )


def exact(function: Function) -> Function:
    """Compile `function` with operations in the written order (fused multiply-add allowed)."""
    return cast(Function, njit(error_model="numpy", fastmath={"contract"})(function))


def finite(function: Function) -> Function:
    """Compile `function` as `device` does, and with the promise that it meets no NaN."""
    return cast(
        Function,
        njit(error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp", "nnan"})(
            function
        ),
    )


def inlined(function: Function) -> Function:
    """Compile `function` as `device` does and put it into its callers.

    An array is seven arguments of a call; for small functions in a loop that is most of the cost.
    """
    return cast(
        Function,
        njit(
            error_model="numpy",
            fastmath={"reassoc", "contract", "nsz", "arcp"},
            forceinline=True,
        )(function),
    )
