"""The decorators that turn a scalar function into a device function.

Reassociation lets LLVM keep partial sums in vector lanes. ``nnan`` and ``ninf`` are left out of
`device` on purpose: voxels with NaN must stay recognisable. `finite` adds ``nnan``, without which
LLVM does not vectorise a maximum, for inner functions whose arguments are always finite. `exact`
is for functions whose order of operations is the algorithm, such as the rounding trick of `exp`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit
from numba.core import types

from ivimkit.kernels.deferred_code import defer

__all__ = ["device", "exact", "finite", "general", "inlined", "pasted"]

# numba has no type hints.
_unliteral: Any = types.unliteral

Function = TypeVar("Function", bound=Callable[..., Any])

_REORDERED = frozenset({"reassoc", "contract", "nsz", "arcp"})


def _compiled(
    function: Function, fastmath: frozenset[str], *, optimised: bool = True, **inlining: Any
) -> Function:
    # Kernels borrow their arrays from the driver and allocate none. Without reference counts a
    # voxel takes a tenth less time: they are two atomic operations per array of every call.
    # Kernels are not called from C: without that entry point there is less to compile.
    options: dict[str, Any] = {"_nrt": False, "no_cfunc_wrapper": True, **inlining}
    compiled = njit(error_model="numpy", fastmath=set(fastmath), **options)(function)
    defer(compiled, optimised=optimised)
    return cast(Function, compiled)


def device(function: Function) -> Function:
    """Compile `function` with sums that the compiler may reorder."""
    return _compiled(function, _REORDERED)


def general(function: Function) -> Function:
    """Compile `function` as `device` does, once for all constants.

    A call with a constant is otherwise compiled for that constant, and again for each other one: a
    large function with many callers takes half the time to compile this way.
    """
    compiled: Any = _compiled(function, _REORDERED, optimised=False)
    # The simulator of a GPU compiles nothing.
    if hasattr(compiled, "get_call_template"):
        template = compiled.get_call_template
        compiled.get_call_template = lambda args, kws: template(
            tuple(map(_unliteral, args)), {name: _unliteral(kind) for name, kind in kws.items()}
        )
    return compiled  # type: ignore[no-any-return]


def exact(function: Function) -> Function:
    """Compile `function` with operations in the written order (fused multiply-add allowed)."""
    return _compiled(function, frozenset({"contract"}))


def finite(function: Function) -> Function:
    """Compile `function` as `device` does, with the promise that its numbers are not NaN."""
    return _compiled(function, _REORDERED | {"nnan"})


def inlined(function: Function) -> Function:
    """Compile `function` as `device` does and put it into its callers.

    An array is seven arguments of a call; for a small function in a loop that is most of its cost.
    """
    return _compiled(function, _REORDERED, forceinline=True)


def pasted(function: Function) -> Function:
    """Compile `function` as a part of its caller, as if it were written there.

    The compiler optimises a function once more in every function that calls it, so a large one
    with one caller compiles faster when pasted in. Small ones do not, and code for rare voxels is
    better left separate: measure both times.
    """
    return _compiled(function, _REORDERED, inline="always")
