"""fit, compare and preprocess of whatever a scan is: a DWI, an array, files, nibabel, xarray."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from ivimkit.fitting.comparison import compare as _compare
from ivimkit.fitting.fit import fit as _fit
from ivimkit.preprocessing.preprocess import preprocess as _preprocess
from ivimkit.scan.other_forms import is_other_form

__all__ = ["compare", "fit", "preprocess"]

P = ParamSpec("P")
R = TypeVar("R")


def _of_any_scan(
    function: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[Any, P], R]:
    """Let a function of a scan take files and images of other libraries as well.

    They become a DWI together with the arguments ``bvals`` and ``mask``, if the function has them.
    """
    signature = inspect.signature(function)
    scan = next(iter(signature.parameters))

    @functools.wraps(function)
    def of_any_scan(*args: Any, **kwargs: Any) -> R:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments[scan]
        if is_other_form(given):
            # Imported here, as arrays are fitted without anything that reads files.
            from ivimkit.io.memory_scans import scan_of

            parts = {name: bound.arguments.pop(name, None) for name in ("bvals", "mask")}
            bound.arguments[scan] = scan_of(given, **parts)
        return function(*bound.args, **bound.kwargs)

    return cast("Callable[Concatenate[Any, P], R]", of_any_scan)


fit = _of_any_scan(_fit)
compare = _of_any_scan(_compare)
preprocess = _of_any_scan(_preprocess)
