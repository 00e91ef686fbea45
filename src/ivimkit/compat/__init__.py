"""Drop-in interfaces: ivimkit under the names, options and results of other packages.

Modules ``ivimkit.compat.dipy`` and ``ivimkit.compat.osipi``. Neither needs the other package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ivimkit.compat import dipy, osipi

__all__ = ["dipy", "osipi"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"ivimkit.compat.{name}")
    raise AttributeError(
        f"module 'ivimkit.compat' has no attribute {name!r}; it has {', '.join(__all__)}"
    )
