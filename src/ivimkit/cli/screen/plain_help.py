"""Help without types of flags and arguments, such as <bool>, and with one name of each option."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["one_name_each", "without_types"]


@contextmanager
def one_name_each(params: list[Any]) -> Iterator[None]:
    """Let options have one long name during a block: a second one would be cut off in the help."""
    before = [(param, param.opts) for param in params]
    for param, names in before:
        long = [name for name in names if name.startswith("--")]
        param.opts = [name for name in names if name not in long[1:]]
    try:
        yield
    finally:
        for param, names in before:
            param.opts = names


def without_types(params: list[Any]) -> list[Any]:
    """Return parameters of which help says no types of flags and arguments, such as <bool>."""
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
        elif getattr(param, "param_type_name", "") == "argument":
            param.display_type_rich = _no_type
    return params


def _no_type(ctx: Any) -> str:
    return ""
