"""ivimkit dicom: from the files of a scanner or a PACS, and back."""

from __future__ import annotations

import typer

from ivimkit.cli.commands.dicom_export import export
from ivimkit.cli.error_guard import GuardedCommand
from ivimkit.cli.options.groups import with_groups_spread

__all__ = ["dicom"]

dicom = typer.Typer(
    name="dicom",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="DICOM, from the files of a scanner or a PACS, and back.",
)

for command in (export,):
    dicom.command(cls=GuardedCommand)(with_groups_spread(command))
