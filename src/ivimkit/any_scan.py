"""fit, compare and preprocess of whatever a scan is: a DWI, an array, files, nibabel, xarray.

In a notebook they show their progress, if they take long.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from ivimkit.fitting.comparison import compare as _compare
from ivimkit.fitting.fit import fit as _fit
from ivimkit.preprocessing.preprocess import preprocess as _preprocess
from ivimkit.scan.other_forms import is_other_form

if TYPE_CHECKING:
    from ivimkit.fitting.notebook_progress import NotebookLine

__all__ = ["compare", "fit", "preprocess"]

P = ParamSpec("P")
R = TypeVar("R")


def _of_any_scan(
    function: Callable[Concatenate[Any, P], R],
    unit: str = "",
    words: Callable[[Any], str] | None = None,
) -> Callable[Concatenate[Any, P], R]:
    """Let a function of a scan take files and images of other libraries as well.

    They become a DWI together with the arguments ``bvals`` and ``mask``, if the function has them.
    In a notebook the function shows its progress, unless its caller says otherwise.

    Parameters
    ----------
    function : callable
        Has an argument ``progress``.
    unit : str
        What its progress counts; empty for shares alone.
    words : callable, optional
        Makes words of the first of the two values of its progress, if the second is a share.
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
        if bound.arguments.get("progress") is None and "IPython" in sys.modules:
            # Imported here, as most code does not run in a notebook.
            from ivimkit.fitting.notebook_progress import in_notebook, shown_in_notebook

            if in_notebook():
                with shown_in_notebook(unit) as line:
                    bound.arguments["progress"] = _reporting(line, words)
                    return function(*bound.args, **bound.kwargs)
        return function(*bound.args, **bound.kwargs)

    return cast("Callable[Concatenate[Any, P], R]", of_any_scan)


def _reporting(line: NotebookLine, words: Callable[[Any], str] | None) -> Callable[..., None]:
    if words is None:
        return line
    return lambda what, share: line(share, 1.0, words(what))


fit = _of_any_scan(_fit, "voxels")
compare = _of_any_scan(_compare)
preprocess = _of_any_scan(_preprocess, words=lambda step: str(step.name))
