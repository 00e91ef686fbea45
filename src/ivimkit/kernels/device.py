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

__all__ = ["device", "exact", "finite", "inlined", "pasted"]

Function = TypeVar("Function", bound=Callable[..., Any])


_HERE = __name__.rpartition(".")[0]
_REORDERED = frozenset({"reassoc", "contract", "nsz", "arcp"})


def _compiled(function: Function, fastmath: frozenset[str], **inlining: Any) -> Function:
    # Kernels borrow their arrays from the driver and make none. Without reference counts a voxel
    # takes a tenth less time: they are two atomic operations per array of every call. Nobody
    # calls a kernel from C: without that entry there is less to compile.
    options: dict[str, Any] = {"_nrt": False, "no_cfunc_wrapper": True, **inlining}
    # Nor does anybody call a private one of this package from Python (it would crash): what
    # unpacks the arguments, mostly arrays, takes longer to compile than many a kernel.
    private = function.__module__.startswith(_HERE) and function.__name__.startswith("_")
    options["no_cpython_wrapper"] = private
    return cast(Function, njit(error_model="numpy", fastmath=set(fastmath), **options)(function))


def device(function: Function) -> Function:
    """Compile `function` with sums that may be reordered."""
    return _compiled(function, _REORDERED)


def exact(function: Function) -> Function:
    """Compile `function` with operations in the written order (fused multiply-add allowed)."""
    return _compiled(function, frozenset({"contract"}))


def finite(function: Function) -> Function:
    """Compile `function` as `device` does, and with the promise that it meets no NaN."""
    return _compiled(function, _REORDERED | {"nnan"})


def inlined(function: Function) -> Function:
    """Compile `function` as `device` does and put it into its callers.

    An array is seven arguments of a call; for small functions in a loop that is most of the cost.
    """
    return _compiled(function, _REORDERED, forceinline=True)


def pasted(function: Function) -> Function:
    """Compile `function` as a part of its caller, as if it were written there.

    Every compiled function optimises all that it calls once more, so a large function with one
    caller is compiled faster without a level of its own. Small ones are not, and code for rare
    voxels is better left apart: measure both times.
    """
    return _compiled(function, _REORDERED, inline="always")
