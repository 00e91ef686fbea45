"""Templates: plain functions whose kernels are put in before they are compiled.

A template calls a function of a model or method that it does not know, by a name in its module
that only raises. Its copy has that function among its globals.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

from ivimkit.kernels.device import general, pasted

__all__ = ["Kernel", "filled", "pasted_with_kernels", "with_kernels"]

Kernel = tuple[str, Any]
"""A name in a template, and the compiled function or the constant to put in its place."""


def filled(template: FunctionType, *kernels: Kernel) -> FunctionType:
    """Return a copy of a template with its kernels put in, and into the templates that it calls.

    A plain function that a template calls is a template too: compiled functions call compiled
    ones.
    """
    known = dict(kernels)
    parts = {
        name: with_kernels(value, *kernels)
        for name in template.__code__.co_names
        if name not in known
        and isinstance(value := template.__globals__.get(name), FunctionType)
        and not hasattr(value, "py_func")
    }
    return FunctionType(
        template.__code__, {**template.__globals__, **parts, **known}, template.__name__
    )


@functools.cache
def with_kernels(template: FunctionType, *kernels: Kernel) -> Callable[..., Any]:
    """Return the device function `template` with its kernels put in, for use in a driver.

    The kernels are put into the plain functions that it calls as well.
    """
    return cast(Callable[..., Any], general(filled(template, *kernels)))


@functools.cache
def pasted_with_kernels(template: FunctionType, *kernels: Kernel) -> Callable[..., Any]:
    """Return the template with its kernels, to be compiled as a part of its caller."""
    return cast(Callable[..., Any], pasted(filled(template, *kernels)))
