"""The settings file of --config: options of commands, in TOML."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ivimkit.cli.options.option_kinds import OptionKind, option_kinds
from ivimkit.errors import FileFormatError, OptionError

__all__ = ["commands_of", "read_settings", "settings_of"]

Commands = Mapping[str, Any]


def settings_of(path: Path, command: str, commands: Commands) -> dict[str, Any]:
    """Return the options that a settings file sets for a command.

    Keys at the top of the file are for all commands that have an option of this name, those of a
    table for the command of its name.

    Parameters
    ----------
    path : Path
        The file.
    command : str
        Name of the command, like ``fit`` or ``dicom run``.
    commands : mapping of str to click command
        All commands that take settings, by name.

    Returns
    -------
    dict of str to object
        Values by the names of parameters, as the command line would have them.

    Raises
    ------
    FileFormatError
        If the file is missing, or not TOML.
    OptionError
        If any key of the file is unknown, or has a value of a wrong type.
    """
    content = read_settings(path)
    home = path.absolute().parent
    kinds = {name: option_kinds(one) for name, one in commands.items()}
    common, tables = _parts(content, kinds)
    try:
        found = {name: _values(table, kinds[name], home, name) for name, table in tables.items()}
        own = _common(common, command, kinds, home)
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from None
    return own | found.get(command, {})


def commands_of(group: Any, before: str = "") -> dict[str, Any]:
    """Return the commands of a group that take settings, those of groups as ``dicom run``."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands_of(command, f"{before}{name} ")
        elif any(option.name == "settings" for option in command.params):
            found[f"{before}{name}"] = command
    return found


def read_settings(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise FileFormatError(
            f"there is no settings file {path} (--config); expected a TOML file. Check the path, "
            "or write one: ivimkit config --out settings.toml"
        ) from None
    except UnicodeDecodeError:
        raise FileFormatError(
            f"the settings {path} are not text in UTF-8; expected a TOML file"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise FileFormatError(
            f"the settings {path} are not TOML: {error}; expected lines like bmax = 800, texts in "
            'quotes, like organ = "liver"'
        ) from None


def _parts(
    content: Mapping[str, Any], kinds: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Mapping[str, Any]]]:
    """Return the keys for all commands, and the tables of single ones."""
    groups = {name.partition(" ")[0] for name in kinds if " " in name}
    common: dict[str, Any] = {}
    tables: dict[str, Mapping[str, Any]] = {}
    for key, value in content.items():
        if not isinstance(value, Mapping):
            common[key] = value
        elif key in kinds:
            tables[key] = value
        elif key in groups:
            inner, further = _parts({f"{key} {name}": one for name, one in value.items()}, kinds)
            common |= inner
            tables |= further
        else:
            common[key] = value
    return common, tables


def _values(
    table: Mapping[str, Any], kinds: Mapping[str, OptionKind], home: Path, command: str
) -> dict[str, Any]:
    """Return the values of the table of a command."""
    by_key = {key: kind for kind in kinds.values() for key in kind.keys}
    found: dict[str, Any] = {}
    for name, given in table.items():
        kind = by_key.get(_dashed(name))
        if kind is None:
            names = [kind.key for kind in kinds.values()]
            raise _unknown(name, f"[{command.replace(' ', '.')}] has no option", names, by_key)
        if kind.name in found:
            raise OptionError(f"[{command}] sets {kind.key} twice; expected it once")
        try:
            found[kind.name] = kind.value(given, home)
        except OptionError as error:
            raise OptionError(f"[{command.replace(' ', '.')}] {error}") from None
    return found


def _common(
    common: Mapping[str, Any],
    command: str,
    kinds: Mapping[str, Mapping[str, OptionKind]],
    home: Path,
) -> dict[str, Any]:
    """Return the values of the keys for all commands that this one has."""
    every = {
        key: name for name, own in kinds.items() for kind in own.values() for key in kind.keys
    }
    here = {key: kind for kind in kinds[command].values() for key in kind.keys}
    found: dict[str, Any] = {}
    for name, given in common.items():
        key = _dashed(name)
        if key not in every:
            names = [*sorted(every), *(f"[{one.replace(' ', '.')}]" for one in kinds)]
            raise _unknown(name, "no command has an option", names, every)
        if key in here:
            found[here[key].name] = here[key].value(given, home)
    return found


def _unknown(name: str, what: str, names: Sequence[str], known: Mapping[str, Any]) -> OptionError:
    near = difflib.get_close_matches(_dashed(name), list(known), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return OptionError(f"{what} {name!r}; {hint}Expected one of {', '.join(names)}")


def _dashed(name: str) -> str:
    return name.lstrip("-").replace("_", "-")
