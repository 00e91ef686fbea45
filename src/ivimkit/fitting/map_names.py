"""MapsByName: maps by their names, whose errors list the names there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = ["MapsByName"]

V = TypeVar("V")


class MapsByName(Mapping[str, V]):
    """Maps by name, whose errors list the names there are."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return a map, or the default if there is none of that name."""
        # That of Mapping waits for a KeyError, which is not what missing maps raise.
        if name not in self:
            return default
        return self[name]
