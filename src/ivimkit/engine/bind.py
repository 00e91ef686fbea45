"""Put the kernels of a model and a method into a driver template and compile it, with a cache.

A factory that returned a jitted inner function would never find its code on disk, and a cached
function that calls one in another file would not notice an edit there. So the driver is a copy
of its template with the kernels in its globals, and a hash of all sources that it can reach, and
of numba's version, in its name: another source is another name, and the cache can neither miss
nor be stale.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import FunctionType
from typing import Any, cast

import numba

__all__ = ["bind"]

# Constants of the package's own modules (status flags, say) are compiled in as well.
_SOURCES = (".", "kernels", "models", "methods", "engine")


def _python_files(folder: Traversable) -> list[Traversable]:
    return sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".py")),
        key=lambda entry: entry.name,
    )


@functools.cache
def _fingerprint() -> str:
    """Return a hash of every source that compiled code can come from."""
    digest = hashlib.sha256(numba.__version__.encode())
    root = files("ivimkit")
    for name in _SOURCES:
        for source in _python_files(root.joinpath(name)):
            digest.update(source.name.encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def bind(template: FunctionType, *kernels: tuple[str, Callable[..., Any]]) -> Callable[..., Any]:
    """Return the compiled driver `template` with its kernels put in.

    Parameters
    ----------
    template : function
        A plain function that uses the names of the kernels as globals.
    *kernels : tuple of str and callable
        Name in the template and compiled device function.

    Returns
    -------
    callable
        Runs without the interpreter lock; compiled at its first call, kept on disk where a
        folder can be written.
    """
    driver = FunctionType(
        template.__code__, {**template.__globals__, **dict(kernels)}, template.__name__
    )
    labels = "_".join(f"{kernel.__module__}.{kernel.__name__}" for _, kernel in kernels)
    tag = hashlib.sha256((labels + _fingerprint()).encode()).hexdigest()[:16]
    driver.__qualname__ = f"{template.__name__}_{tag}"
    driver.__module__ = template.__module__
    try:
        return _compiled(driver, cache=True)
    except RuntimeError:  # No cache folder can be written: compile in every process.
        return _compiled(driver, cache=False)


def _compiled(driver: FunctionType, *, cache: bool) -> Callable[..., Any]:
    return cast(
        Callable[..., Any], numba.njit(nogil=True, error_model="numpy", cache=cache)(driver)
    )
