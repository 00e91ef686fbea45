"""Remember, while a driver is compiled, which types its operations give.

To find the type of ``a * b`` numba asks each of a dozen templates, and most of them decline by
raising an error with a long text. A driver has ten thousand operations and a few hundred that
differ: to ask once for each of those takes a fifth off the time of a compilation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import types
from numba.core.compiler_lock import global_compiler_lock

__all__ = ["types_remembered"]

# numba has no type hints, and this name is not public: without it nothing is remembered.
_Function: Any = getattr(types, "BaseFunction", None)


@contextmanager
def types_remembered() -> Iterator[None]:
    """Let functions of numba answer the same question once, as long as this lasts."""
    if not hasattr(_Function, "get_call_type"):
        yield
        return
    with global_compiler_lock:
        find = _Function.get_call_type
        # The function itself is kept as well, so that no other one gets its identity.
        known: dict[tuple[int, int, tuple[Any, ...]], tuple[Any, Any]] = {}

        def find_once(self: Any, context: Any, args: Any, kws: Any) -> Any:
            question = id(self), id(context), tuple(args)
            if not kws and question in known:
                return known[question][1]
            found = find(self, context, args, kws)
            if found is not None and not kws and not _is_compiled(self, found):
                known[question] = self, found
            return found

        _Function.get_call_type = find_once
        try:
            yield
        finally:
            _Function.get_call_type = find


def _is_compiled(function: Any, signature: Any) -> bool:
    """Return whether a function written in Python answers, whose code depends on the caller."""
    return any(
        signature.args in getattr(template, "_compiled_overloads", ())
        for template in function.templates
    )
