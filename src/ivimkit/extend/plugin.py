"""Plug-ins: one per file, found by the names of the files, and those that are added to them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar, Generic, Self, TypeVar

from ivimkit.deprecation import current_name
from ivimkit.errors import OptionError

__all__ = ["Plugin", "PluginFolder", "entry_points"]


@dataclass(frozen=True)
class Plugin:
    """Base of everything that users select by a name and a few options.

    Attributes
    ----------
    noun : str
        The kind of plug-in, in messages.
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
            For an unknown option; the message lists all options.
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


Chosen = TypeVar("Chosen")


class PluginFolder(Generic[Chosen]):
    """A folder of plug-ins, and those that other packages and users add to them.

    Each file defines one plug-in, as a constant with the same name in all files. Other packages
    add theirs by an entry point in the group of the folder's name, users by `register`. Neither
    can replace those of the folder.

    Parameters
    ----------
    package : str
        Full name of the package, which is also the group of entry points.
    path : iterable of str
        Its ``__path__``.
    constant : str
        Name of the constant that is the plug-in.
    base : type
        The type of the plug-ins: instances of it, or classes derived from it.
    noun : str
        The kind of plug-in, in messages.
    """

    def __init__(
        self, package: str, path: Iterable[str], constant: str, base: type[Chosen], noun: str
    ) -> None:
        self._package = package
        self._path = path
        self._constant = constant
        self._base = base
        self._noun = noun
        self._registered: dict[str, Any] = {}

    def names(self) -> tuple[str, ...]:
        """Return the names of all plug-ins.

        Those of the folder are the names of its files, except files whose names begin with an
        underscore, which contain base classes.
        """
        return tuple(sorted({*self._files, *self._registered, *entry_points(self._package)}))

    def load(self, name: str) -> Any:
        """Return the plug-in of a name, from its file, its package or `register`.

        Raises
        ------
        OptionError
            For an unknown name; the message lists all names. Or if a plug-in of another package
            cannot be imported, or is not of this kind.
        """
        if name in self._files:
            return getattr(import_module(f"{self._package}.{name}"), self._constant)
        if name in self._registered:
            return self._registered[name]
        entry = entry_points(self._package).get(name)
        if entry is None:
            raise OptionError(
                f"unknown {self._noun} {name!r}; there are {', '.join(self.names())}"
            )
        try:
            plugin = entry.load()
        except Exception as error:
            raise OptionError(
                f"{self._noun} {name} of the package {entry.dist and entry.dist.name} cannot be "
                f"imported from {entry.value} ({type(error).__name__}: {error}); expected a "
                "working package. Update or remove it"
            ) from error
        self.check(plugin, f"{self._noun} {name}, from {entry.value},")
        if plugin.name != name:
            raise OptionError(
                f"{self._noun} {name}, from {entry.value}, is called {plugin.name!r} there; "
                "expected one name, as results are read back by it. Change the entry point"
            )
        return plugin

    def register(self, plugin: Any) -> None:
        """Add a plug-in for the rest of the session.

        Raises
        ------
        OptionError
            If it is not such a plug-in, or its name is that of another one.
        """
        self.check(plugin, "what was to be registered")
        name = plugin.name
        taken = name in self._files or name in entry_points(self._package)
        if taken or self._registered.get(name, plugin) is not plugin:
            raise OptionError(
                f"there is another {self._noun} {name!r}; expected a new name. Names in use: "
                f"{', '.join(self.names())}"
            )
        self._registered[name] = plugin

    def unregister(self, name: str) -> None:
        """Remove a plug-in that `register` added.

        Raises
        ------
        OptionError
            If it was not registered.
        """
        if name not in self._registered:
            listed = ", ".join(sorted(self._registered)) or "none"
            raise OptionError(f"{self._noun} {name!r} was not registered; registered: {listed}")
        del self._registered[name]

    def from_file(self, file: str | os.PathLike[str]) -> Any:
        """Run a Python file and return the plug-in that it defines.

        Parameters
        ----------
        file : path-like
            A file with the constant of this folder, e.g. ``MODEL = SignalModel(...)``. It is
            code, and it is run.

        Raises
        ------
        OptionError
            If there is no such file, it cannot be run, or it does not define a plug-in.
        """
        path = Path(file)
        if not path.is_file():
            raise OptionError(
                f"there is no file {path}; expected a Python file that defines {self._constant}. "
                "Check the path"
            )
        # Files of one name in two folders are two modules, and a file that changed is a new one.
        text = path.read_bytes()
        module = f"ivimkit_{self._noun}_{hashlib.sha256(text).hexdigest()[:16]}"
        spec = spec_from_file_location(module, path, loader=_SourceLoader(module, str(path)))
        if spec is None or spec.loader is None:
            raise OptionError(f"{path} is not a Python file; expected a file like mine.py")
        if module not in sys.modules:
            made = module_from_spec(spec)
            sys.modules[module] = made
            try:
                spec.loader.exec_module(made)
            except (Exception, SystemExit) as error:
                del sys.modules[module]
                raise OptionError(
                    f"the file {path} cannot be run ({_place(error, path)}"
                    f"{type(error).__name__}: {error}); expected Python code that defines "
                    f"{self._constant}"
                ) from error
        plugin = getattr(sys.modules[module], self._constant, None)
        self.check(plugin, f"{self._constant} of the file {path}")
        return plugin

    def check(self, plugin: Any, what: str) -> None:
        """Raise if an object is not a plug-in of this kind."""
        base = self._base
        if isinstance(plugin, base) or (isinstance(plugin, type) and issubclass(plugin, base)):
            return
        got = "not there" if plugin is None else f"{plugin!r:.60}"
        raise OptionError(f"{what} is {got}; expected a {base.__name__}")

    def get(self, name: str | Chosen, **options: Any) -> Chosen:
        """Return a plug-in by its name, with its options; an object is returned as it is.

        Raises
        ------
        OptionError
            For an unknown name or option; the message lists the valid ones.
        """
        if isinstance(name, self._base):
            if options:
                raise OptionError(
                    f"options {', '.join(options)} were given in addition to a {self._noun} "
                    "object; expected them where the object was made"
                )
            return name
        plugin: Chosen = self.load(current_name(self._noun, str(name)))
        if isinstance(plugin, type):
            plugin = plugin.from_options(**options)  # type: ignore[attr-defined]
        return plugin

    @functools.cached_property
    def _files(self) -> tuple[str, ...]:
        """Names of the files, which stay the same in a process: looking takes a millisecond."""
        files = (module.name for module in iter_modules(self._path))
        return tuple(name for name in files if not name.startswith("_"))

    def by_class_name(self, name: str) -> Any:
        """Return the class called `name`.

        Raises
        ------
        AttributeError
            If it is not defined in any file: this serves the ``__getattr__`` of a package.
        """
        if not name.startswith("_"):
            for plugin in map(self.load, self.names()):
                if getattr(plugin, "__name__", None) == name:
                    return plugin
        raise AttributeError(f"module {self._package!r} has no attribute {name!r}")


@functools.cache
def entry_points(group: str) -> Mapping[str, metadata.EntryPoint]:
    """Return the plug-ins that installed packages add to a folder, by their names.

    Parameters
    ----------
    group : str
        Name of the group of entry points, such as ``"ivimkit.models"``.
    """
    return {entry.name: entry for entry in metadata.entry_points(group=group)}


class _SourceLoader(SourceFileLoader):
    """Runs a user's file, and writes no bytecode next to it."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Write nothing."""


def _place(error: BaseException, path: Path) -> str:
    """Return the line of a file that raised, for a message."""
    if isinstance(error, SyntaxError):
        return ""
    traceback, line = error.__traceback__, None
    while traceback is not None:
        if Path(traceback.tb_frame.f_code.co_filename) == path:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return "" if line is None else f"line {line}, "
