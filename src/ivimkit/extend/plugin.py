"""Plug-ins: frozen sets of options, one class per file, found by the names of the files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar, Generic, Self, TypeVar

from ivimkit.errors import OptionError

__all__ = ["Plugin", "PluginFolder"]


@dataclass(frozen=True)
class Plugin:
    """Base of everything that users choose by a name and a few options.

    Attributes
    ----------
    noun : str
        What the messages call such a plug-in.
    name : str
        Short name used in calls and files.
    """

    noun: ClassVar[str]
    name: ClassVar[str]

    @classmethod
    def from_options(cls, **options: Any) -> Self:
        """Build the plug-in from named options.

        Raises
        ------
        OptionError
            For an unknown option; the message lists those there are.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = [name for name in options if name not in known]
        if unknown:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise OptionError(f"{cls.noun} {cls.name} has no option {unknown[0]!r}; {has}")
        return cls(**options)

    def options(self) -> dict[str, Any]:
        """Return all options with their values."""
        return dataclasses.asdict(self)


Chosen = TypeVar("Chosen", bound=Plugin)


class PluginFolder(Generic[Chosen]):
    """A folder of plug-ins, each under the same constant of a file of its own.

    Parameters
    ----------
    package : str
        Full name of the package.
    path : iterable of str
        Its ``__path__``.
    constant : str
        Name of the constant that holds the class.
    base : type
        What the plug-ins are.
    """

    def __init__(
        self, package: str, path: Iterable[str], constant: str, base: type[Chosen]
    ) -> None:
        self._package = package
        self._path = path
        self._constant = constant
        self._base = base

    def names(self) -> tuple[str, ...]:
        """Return the names of all plug-ins, which are those of their files.

        A file whose name begins with an underscore is not a plug-in: bases stand there.
        """
        files = (module.name for module in iter_modules(self._path))
        return tuple(sorted(name for name in files if not name.startswith("_")))

    def load(self, name: str) -> Any:
        """Return the class of a name that is known to be one of `names`."""
        return getattr(import_module(f"{self._package}.{name}"), self._constant)

    def get(self, name: str | Chosen, **options: Any) -> Chosen:
        """Return a plug-in by its name, with its options; an object is returned as it is.

        Raises
        ------
        OptionError
            For an unknown name or option; the message lists those there are.
        """
        if isinstance(name, self._base):
            if options:
                raise OptionError(
                    f"options {', '.join(options)} were given beside a {self._base.noun} object; "
                    "expected them where the object was made"
                )
            return name
        if name not in self.names():
            raise OptionError(
                f"unknown {self._base.noun} {name!r}; there are {', '.join(self.names())}"
            )
        plugin: Chosen = self.load(str(name)).from_options(**options)
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
