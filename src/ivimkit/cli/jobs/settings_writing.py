"""write_settings: a settings file of a result, or of all options; for ``ivimkit config``."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Item, Table

from ivimkit.cli.options.option_kinds import OptionKind, option_kinds
from ivimkit.cli.options.output_folders import check_writable
from ivimkit.cli.options.result_settings import ResultSettings, result_settings
from ivimkit.cli.options.settings_file import commands_of
from ivimkit.errors import OptionError
from ivimkit.extend.option_values import number_or_text
from ivimkit.writing import check_file, write_file

__all__ = ["write_settings"]

_WIDTH = 96
_HEAD = (
    "Settings of ivimkit, for --config; this file was written by ivimkit config.",
    "Keys at the top are for all commands that have an option of this name, those of a table for "
    "its command. Options on the command line win. Paths are relative to this file.",
)


def write_settings(
    program: Any,
    commands: Sequence[str],
    *,
    source: Path | None,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Write a settings file, or print it.

    Parameters
    ----------
    program : click group
        The program, which knows its commands.
    commands : sequence of str
        Names of commands whose options to list; by default all.
    source : Path, optional
        A result whose settings to write instead.
    out : Path, optional
        The file; by default stdout.
    overwrite : bool
        Whether the file may be replaced.

    Raises
    ------
    OptionError
        If there is no such command, or both commands and a result are given.
    OutputExistsError
        If the file exists.
    """
    known = commands_of(program)
    unknown = [name for name in commands if name not in known]
    if unknown:
        raise OptionError(
            f"there is no command {unknown[0]!r} with settings; expected some of "
            f"{', '.join(known)}"
        )
    if commands and source is not None:
        raise OptionError(
            "commands are named with --from, which writes the settings of a fit; expected one of "
            "them. Leave one out"
        )
    if out is not None:
        check_writable(out.parent)
        out = check_file(out, overwrite=overwrite)
    if source is not None:
        text = _of_result(source, option_kinds(known["fit"]))
    else:
        text = _of_options({name: known[name] for name in commands or known})
    if out is None:
        sys.stdout.write(text)
    else:
        write_file(out, lambda path: _write(path, text))
        sys.stdout.write(f"{out}\n")


def _of_result(folder: Path, kinds: Mapping[str, OptionKind]) -> str:
    found = result_settings(folder)
    file = tomlkit.document()
    for line in (*_HEAD, *_how_to(found)):
        _comment(file, line)
    file.add(tomlkit.nl())
    table = tomlkit.table()
    for name, value in found.values.items():
        kind = kinds[name]
        table.add(kind.key, _value(kind, value))
    for name, what in found.unknown.items():
        table.add(tomlkit.comment(f"{kinds[name].key} = was {what}, whose file is not known"))
    file.add("fit", table)
    return tomlkit.dumps(file)


def _how_to(found: ResultSettings) -> Iterator[str]:
    yield f"The same maps come out of: ivimkit fit {' '.join(found.scans)} --config THIS_FILE"
    if found.unknown:
        yield "but for what is missing: see the end."
    yield from found.notes


def _value(kind: OptionKind, value: Any) -> Item:
    if isinstance(value, list):
        # One text per line is read more easily than a long line.
        items = tomlkit.array()
        items.extend(value)
        return items.multiline(len(value) > 2)
    if isinstance(value, bool):
        return tomlkit.item(value)
    if kind.base in (float, int):
        return tomlkit.item(int(value) if value == int(value) else value)
    return tomlkit.item(number_or_text(value) if kind.name == "sigma" else str(value))


def _of_options(commands: Mapping[str, Any]) -> str:
    file = tomlkit.document()
    for line in _HEAD:
        _comment(file, line)
    groups: dict[str, Table] = {}
    for name, command in commands.items():
        table = tomlkit.table()
        for kind in option_kinds(command).values():
            for line in _described(kind):
                table.add(tomlkit.comment(line))
            table.add(tomlkit.nl())
        group, _, inner = name.partition(" ")
        if inner:
            groups.setdefault(group, tomlkit.table(is_super_table=True)).add(inner, table)
        else:
            file.add(tomlkit.nl())
            file.add(name, table)
    for group, tables in groups.items():
        file.add(tomlkit.nl())
        file.add(group, tables)
    return tomlkit.dumps(file)


def _described(kind: OptionKind) -> Iterator[str]:
    yield from textwrap.wrap(f"{kind.metavar}: {kind.help}" if kind.metavar else kind.help, _WIDTH)
    default = kind.default
    if isinstance(default, Enum):
        default = default.value
    if isinstance(default, str | bool | int | float):
        yield f"{kind.key} = {tomlkit.item(default).as_string()}"
    else:
        yield f"{kind.key} ="


def _comment(file: tomlkit.TOMLDocument, text: str) -> None:
    for line in textwrap.wrap(text, _WIDTH):
        file.add(tomlkit.comment(line))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")
