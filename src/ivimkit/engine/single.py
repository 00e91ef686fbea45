"""Single precision: the same kernels, with their loops over the data in float32.

Literals in a kernel are double precision, and so are the rates computed by a step of the fit: with
float32 arrays alone, all arithmetic would still be double precision. So the functions that contain
the loops (`ivimkit.kernels.precision.data_loop`) are compiled once more, with their literals and
scalar arguments rounded to float32. The steps between the loops stay as they are: they solve for
small differences, and the convergence criteria are chosen for double precision.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, cast

import numba
import numpy as np

from ivimkit.kernels.precision import CONSTANTS_IN_SINGLE, DATA_LOOPS, REPLACED_IN_SINGLE

__all__ = ["in_single"]


_config: Any = numba.config


@functools.cache
def in_single(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled function whose loops over the data compute in float32.

    Parameters
    ----------
    function : callable
        A compiled voxel function.

    Returns
    -------
    callable
        A copy, with copies of the called functions that differ; without the promise that NaN
        does not occur, because float32 overflows earlier.
    """
    if function in REPLACED_IN_SINGLE:
        return REPLACED_IN_SINGLE[function]
    plain: Any = getattr(function, "py_func", function)
    callees = {name: plain.__globals__.get(name) for name in plain.__code__.co_names}
    others = {name: in_single(f) for name, f in callees.items() if _is_kernel(f)}
    others = {name: other for name, other in others.items() if other is not callees[name]}
    values = CONSTANTS_IN_SINGLE.get(plain.__module__, {})
    others |= {name: values[name] for name in plain.__code__.co_names if name in values}
    if function in DATA_LOOPS:
        return _rounded(function, plain, others)
    if not others:
        return function
    return _copy(function, plain, plain.__code__, others)


def _is_kernel(value: Any) -> bool:
    """Return whether a value is a compiled function, or would be one with the compiler enabled."""
    if not _config.DISABLE_JIT:
        return hasattr(value, "py_func")
    return isinstance(value, FunctionType) and value.__module__.startswith("ivimkit.")


def _copy(
    function: Callable[..., Any], plain: Any, code: CodeType, others: dict[str, Any]
) -> Callable[..., Any]:
    options: dict[str, Any] = dict(getattr(function, "targetoptions", {}))
    options.pop("nopython", None)
    if "fastmath" in options:
        options["fastmath"] = set(options["fastmath"]) - {"nnan"}
    copy = FunctionType(code, {**plain.__globals__, **others}, plain.__name__)
    copy.__module__ = plain.__module__
    return cast(Callable[..., Any], numba.njit(**options)(copy))


def _rounded(
    function: Callable[..., Any], plain: Any, others: dict[str, Any]
) -> Callable[..., Any]:
    """Return the function with its literals and its scalar arguments rounded to float32."""
    code: CodeType = plain.__code__
    with np.errstate(over="ignore"):
        literals = tuple(np.float32(c) if isinstance(c, float) else c for c in code.co_consts)
    inner = _copy(function, plain, code.replace(co_consts=literals), others)
    # A function with given argument names has to be generated as text.
    names = code.co_varnames[: code.co_argcount]
    scalars = {name for name, kind in plain.__annotations__.items() if kind == "float"}
    passed = ", ".join(f"float32({name})" if name in scalars else name for name in names)
    text = f"def {plain.__name__}({', '.join(names)}):\n    return inner({passed})\n"
    scope: dict[str, Any] = {"inner": inner, "float32": np.float32, "__name__": plain.__module__}
    exec(compile(text, code.co_filename, "exec"), scope)
    return _copy(function, scope[plain.__name__], scope[plain.__name__].__code__, {})
