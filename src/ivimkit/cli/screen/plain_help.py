"""Help without types of flags and arguments, such as <bool>."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["without_types"]


def without_types(params: Sequence[Any]) -> None:
    """Let help say nothing of the types of flags and arguments, such as <bool>."""
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
        elif getattr(param, "param_type_name", "") == "argument":
            param.display_type_rich = _no_type


def _no_type(ctx: Any) -> str:
    return ""
