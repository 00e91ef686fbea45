"""The commands of ``ivimkit dicom``, one file each; a new one is one more line below."""

from __future__ import annotations

from collections.abc import Callable

import typer

from ivimkit.cli.commands.dicom.convert import convert
from ivimkit.cli.commands.dicom.export import export
from ivimkit.cli.commands.dicom.list_folder import list_folder
from ivimkit.cli.commands.dicom.run import run
from ivimkit.cli.error_guard import GuardedCommand
from ivimkit.cli.options.groups import with_groups_spread

__all__ = ["dicom"]

_COMMANDS: dict[str, Callable[..., None]] = {
    "list": list_folder,
    "convert": convert,
    "export": export,
    "run": run,
}

dicom = typer.Typer(
    name="dicom",
    help="Scans from a scanner or a PACS, and results back to it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

for _name, _command in _COMMANDS.items():
    dicom.command(_name, cls=GuardedCommand)(with_groups_spread(_command))
