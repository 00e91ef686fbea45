"""Put the kernels of a model and a method into a driver template and compile it, with a cache.

numba would never find the code of an inner function returned by a factory on disk, and a cached
function that calls one in another file would not notice an edit there. So the driver is a copy of
its template with the kernels in its globals, and its name contains a hash of everything that is
compiled (code, constants and compile options of all functions it can reach, as they are loaded)
and of the version of numba: other code has another name, and the cache cannot be stale.
"""

from __future__ import annotations

import functools
import gc
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

import numba
import numpy as np

from ivimkit.engine.code_cache import MendingCache
from ivimkit.engine.other_process import wait_for
from ivimkit.engine.type_memory import types_remembered
from ivimkit.kernels.deferred_code import defer
from ivimkit.kernels.templates import Kernel, filled

__all__ = ["bind", "tagged"]

_CONSTANTS = (int, float, complex, str, bytes, tuple, type, np.generic, np.ndarray)


def _parts(function: Callable[..., Any], seen: set[int]) -> Iterator[str]:
    """Yield everything that determines the compiled code of a function, callees included."""
    plain: Any = getattr(function, "py_func", function)
    if id(plain) in seen:
        return
    seen.add(id(plain))
    for name, value in sorted(getattr(function, "targetoptions", {}).items()):
        # The order of a set changes from process to process.
        yield f"{name}={sorted(value) if isinstance(value, set) else value}"
    yield f"{getattr(function, 'optimised_alone', None)}"
    yield from _code_parts(plain.__code__)
    yield f"{plain.__defaults__!r}"
    reached = {name: plain.__globals__.get(name) for name in plain.__code__.co_names}
    # What a function took from the one around it is a constant, too.
    for name, cell in zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True):
        reached[name] = cell.cell_contents
    for name, value in sorted(reached.items()):
        if isinstance(value, ModuleType) and value.__name__.startswith("ivimkit."):
            raise AssertionError(
                f"{plain.__name__} uses the module {value.__name__}: what it takes from there "
                "would not be hashed. Import it by its name"
            )
        if isinstance(value, FunctionType) or hasattr(value, "py_func"):
            yield name
            yield from _parts(value, seen)
        elif hasattr(value, "_defn"):
            # An intrinsic of numba: its definition generates its code.
            yield name
            yield from _code_parts(value._defn.__code__)
        elif isinstance(value, _CONSTANTS):
            yield f"{name}={_constant(value)}"


def _constant(value: object) -> str:
    """Return a text that tells a constant from all others."""
    if isinstance(value, np.ndarray):
        # Its own text leaves out what is in the middle.
        values = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"{value.dtype.str}{value.shape}{value.strides}{values}"
    # Of a named tuple the order of its fields is compiled, too.
    fields = getattr(value, "_fields", "")
    if isinstance(value, tuple):
        return f"{type(value).__name__}{fields}({', '.join(map(_constant, value))})"
    return f"{value!r}{fields}"


def _code_parts(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_parts(constant)
        else:
            yield repr(constant)


def tagged(template: FunctionType, *kernels: Kernel) -> FunctionType:
    """Return the driver `template` with its kernels put in, and a name unique to its code.

    The name contains a hash of everything that is compiled, so that a cache on disk never returns
    the code of another source.
    """
    driver: FunctionType = filled(template, *kernels)
    digest = hashlib.sha256(numba.__version__.encode())
    for part in _parts(driver, set()):
        digest.update(part.encode())
    driver.__qualname__ = f"{template.__name__}_{digest.hexdigest()[:16]}"
    driver.__module__ = template.__module__
    return driver


@functools.cache
def bind(template: FunctionType, *kernels: Kernel, allocates: bool = True) -> Callable[..., Any]:
    """Return the compiled driver `template` with its kernels put in.

    Parameters
    ----------
    template : function
        A plain function that uses the names of the kernels as globals.
    *kernels : tuple of str and callable
        Name in the template and compiled device function.
    allocates : bool
        Whether the driver allocates arrays. Otherwise it does not count references to arrays.

    Returns
    -------
    callable
        Runs without the interpreter lock; compiled at its first call, stored on disk if a folder
        can be written.
    """
    driver = tagged(template, *kernels)
    try:
        return _compiled(driver, cache=True, allocates=allocates)
    except RuntimeError:  # No cache folder can be written: compile in every process.
        return _compiled(driver, cache=False, allocates=allocates)


def _compiled(driver: FunctionType, *, cache: bool, allocates: bool) -> Callable[..., Any]:
    # Drivers are not called from C: without that entry point there is less to compile.
    options: dict[str, Any] = {"no_cfunc_wrapper": True}
    if not allocates:
        options["_nrt"] = False
    compiled: Any = numba.njit(nogil=True, error_model="numpy", **options)(driver)
    defer(compiled)
    if cache:
        # Instead of the cache of numba, which `cache=True` would set.
        compiled._cache = MendingCache(driver)
    if hasattr(compiled, "compile"):  # The simulator of a GPU compiles nothing.
        compile_now = compiled.compile

        def compile_quickly(signature: Any) -> Any:
            wait_for(driver.__qualname__)
            with _collections_paused(), types_remembered():
                return compile_now(signature)

        compiled.compile = compile_quickly
    return cast(Callable[..., Any], compiled)


@contextmanager
def _collections_paused() -> Iterator[None]:
    """Let nothing look for garbage.

    A compiler makes millions of small objects, and each collection looks at all that there are:
    that is a tenth of the time of a compilation, and saves 100 MB.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
