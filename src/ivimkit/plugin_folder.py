"""PluginFolder: a folder whose files each define one plug-in, found by their names."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar

from ivimkit.errors import OptionError

__all__ = ["PluginFolder"]

Plugin = TypeVar("Plugin")


class PluginFolder(Generic[Plugin]):
    """Classes with a method ``from_options``, one per file, each under the same constant.

    Parameters
    ----------
    package : str
        Full name of the package.
    path : iterable of str
        Its ``__path__``.
    constant : str
        Name of the constant that holds the class.
    kind : str
        What the messages call a plug-in.
    base : type
        Class of the plug-ins' objects.
    """

    def __init__(
        self, package: str, path: Iterable[str], constant: str, kind: str, base: type[Plugin]
    ) -> None:
        self._package = package
        self._path = path
        self._constant = constant
        self._kind = kind
        self._base = base

    def names(self) -> tuple[str, ...]:
        """Return the names of all plug-ins, which are those of their files."""
        return tuple(sorted(module.name for module in iter_modules(self._path)))

    def load(self, name: str) -> Any:
        """Return the class of a name that is known to be one of `names`."""
        return getattr(import_module(f"{self._package}.{name}"), self._constant)

    def get(self, name: str | Plugin, **options: Any) -> Plugin:
        """Return a plug-in by its name, with its options; an object is returned as it is.

        Raises
        ------
        OptionError
            For an unknown name or option; the message lists those there are.
        """
        if isinstance(name, self._base):
            if options:
                raise OptionError(
                    f"options {', '.join(options)} were given beside a {self._kind} object; "
                    "expected them where the object was made"
                )
            return name
        if name not in self.names():
            raise OptionError(
                f"unknown {self._kind} {name!r}; there are {', '.join(self.names())}"
            )
        plugin: Plugin = self.load(str(name)).from_options(**options)
        return plugin

    def by_class_name(self, name: str) -> Any:
        """Return the class called `name`.

        Raises
        ------
        AttributeError
            If no file defines it: this serves a package's ``__getattr__``.
        """
        if not name.startswith("_"):
            for plugin in map(self.load, self.names()):
                if plugin.__name__ == name:
                    return plugin
        raise AttributeError(f"module {self._package!r} has no attribute {name!r}")
