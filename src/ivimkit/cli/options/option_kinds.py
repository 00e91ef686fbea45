"""OptionKind: what an option of a command takes, for values that come from a file."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from ivimkit.addresses import is_address
from ivimkit.errors import OptionError

__all__ = ["OptionKind", "option_kinds"]

_NOT_IN_FILES = ("help", "settings", "like_result")
_BESIDE_SCANS = ("fix", "labels", "mask", "sigma", "weights")
"""Options whose files are looked for next to each scan, if they are names alone."""
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_GOT = ((bool, "true or false"), (str, "a text"), (list, "a list"), (dict, "a table"))
_ENDING = re.compile(r"\.[A-Za-z]\w*(\W|$)")


@dataclass(frozen=True)
class OptionKind:
    """An option, and what it takes.

    Parameters
    ----------
    name : str
        Name of the parameter.
    keys : tuple of str
        Names of the option without dashes; the first is the usual one.
    base : type
        Type of one value.
    repeats : bool
        Whether it may be given several times.
    metavar : str
        What the help says that it takes.
    default : object
        Its default.
    help : str
        Its help text.
    beside : bool
        Whether a name alone is that of a file next to each scan or result.
    """

    name: str
    keys: tuple[str, ...]
    base: type
    repeats: bool
    metavar: str
    default: Any
    help: str
    beside: bool

    @property
    def key(self) -> str:
        """Its name in a file."""
        return self.keys[0]

    def value(self, given: Any, home: Path) -> Any:
        """Return a value of a file as the command line would have it.

        Parameters
        ----------
        given : object
            From the file.
        home : Path
            The folder that paths are relative to.

        Raises
        ------
        OptionError
            If it is of another type; the message says what was got and what was expected.
        """
        if not self.repeats:
            return self._one(given, home)
        if isinstance(given, Mapping) and "=" in self.metavar:
            given = [f"{name}={_text(value)}" for name, value in given.items()]
        items = given if isinstance(given, list) else [given]
        return [self._one(item, home) for item in items]

    def _one(self, given: Any, home: Path) -> Any:
        if self.base is bool and isinstance(given, bool):
            return given
        if self.base in (int, float) and _is_number(given):
            if self.base is float or given == int(given):
                return self.base(given)
        elif self.base not in (bool, int, float):
            text = self._text_of(given)
            if text == "" and self.metavar != "TEXT":
                raise OptionError(f"{self.key} is empty; expected {self.wanted}. Or leave it out")
            if text is not None:
                return self._chosen(self._placed(text, home))
        raise OptionError(f"{self.key} is {_shown(given)}; expected {self.wanted}")

    @property
    def wanted(self) -> str:
        """What it takes, in words."""
        if issubclass(self.base, Enum):
            return f"one of {', '.join(one.value for one in self.base)}"
        one = "a path" if issubclass(self.base, Path) else _WORDS.get(self.base, "a text")
        if self._takes_list:
            one += " or a list"
        if self.repeats and "=" in self.metavar:
            return f"texts like {self.metavar}, or a table of them"
        return f"{one}, or several in a list" if self.repeats else one

    @property
    def _takes_list(self) -> bool:
        return "LIST" in self.metavar or "," in self.metavar or "LABELS" in self.metavar

    def _text_of(self, given: Any) -> str | None:
        """Return a text, a number, or a list of these as the text of an option; else None."""
        if isinstance(given, str):
            return given
        if _is_number(given) and not issubclass(self.base, Path | Enum):
            return _text(given)
        if isinstance(given, list) and self._takes_list and given:
            parts = [_text(part) for part in given if isinstance(part, str) or _is_number(part)]
            return ",".join(parts) if len(parts) == len(given) else None
        if isinstance(given, Mapping) and self._takes_list and "=" in self.metavar:
            return ",".join(f"{name}={_text(value)}" for name, value in given.items())
        return None

    def _chosen(self, text: str) -> str:
        if issubclass(self.base, Enum) and text not in [one.value for one in self.base]:
            raise OptionError(f"{self.key} is {text!r}; expected {self.wanted}")
        return text

    def _placed(self, text: str, home: Path) -> str:
        """Return a text with the paths in it relative to a folder."""
        is_path = issubclass(self.base, Path)
        may_be_file = is_path or any(word in self.metavar for word in ("FILE", "FOLDER"))
        if not may_be_file:
            return text
        if is_path and "|" not in self.metavar:
            return self._path(text, home, any_name=True)
        # A list of files is marked by a comma in the metavar; one of numbers has no endings.
        parts = text.split(",") if "," in self.metavar else [text]
        return ",".join(self._named(part, home) for part in parts)

    def _named(self, part: str, home: Path) -> str:
        name, equals, rest = part.partition("=") if "=" in self.metavar else ("", "", part)
        return name + equals + self._path(rest, home, any_name="FOLDER" in self.metavar)

    def _path(self, text: str, home: Path, *, any_name: bool) -> str:
        has_folder = "/" in text or os.sep in text or text.startswith("~")
        is_name = any_name or has_folder or _ENDING.search(text) is not None
        if is_address(text) or not is_name or (self.beside and not has_folder):
            return text
        return str(home / Path(text).expanduser())


def option_kinds(command: Any) -> dict[str, OptionKind]:
    """Return the options of a command that a file may set, by the names of their parameters.

    Parameters
    ----------
    command : click command
        Of the command line.
    """
    signature = inspect.signature(command.callback).parameters
    kinds = {}
    for option in command.params:
        if option.param_type_name != "option" or option.name in _NOT_IN_FILES:
            continue
        base, repeats = _type_of(signature[option.name].annotation)
        # Results of ivimkit repeat have their regions next to them.
        beside = option.name in _BESIDE_SCANS and (
            not issubclass(base, Path) or command.name == "repeat"
        )
        kinds[option.name] = OptionKind(
            name=option.name,
            keys=_keys(option.opts),
            base=base,
            repeats=repeats,
            metavar=option.metavar or "",
            default=signature[option.name].default,
            help=option.help or "",
            beside=beside,
        )
    return kinds


def _keys(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.lstrip("-") for name in names if name.startswith("--"))


def _type_of(annotation: Any) -> tuple[type, bool]:
    """Return the type of one value, and whether there may be several."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(one for one in get_args(annotation) if one is not NoneType)
    if get_origin(annotation) is list:
        return get_args(annotation)[0], True
    return annotation, False


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _shown(given: Any) -> str:
    """Return a value with its kind, for messages."""
    kind = next((words for known, words in _GOT if isinstance(given, known)), "")
    if isinstance(given, bool):
        return str(given).lower()
    return f"{given!r}, {kind}" if kind else f"{given}"
