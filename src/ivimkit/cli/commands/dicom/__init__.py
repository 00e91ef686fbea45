"""The commands of ``ivimkit dicom``, one file each; a new one is one more line below."""

from __future__ import annotations

from ivimkit.cli.command_group import command_group
from ivimkit.cli.commands.dicom.convert import convert
from ivimkit.cli.commands.dicom.export import export
from ivimkit.cli.commands.dicom.list_folder import list_folder
from ivimkit.cli.commands.dicom.run import run

__all__ = ["dicom"]

dicom = command_group(
    "dicom",
    {
        "convert": convert,
        "export": export,
        "run": run,
    },
    about="Scans from a scanner or a PACS, and results back to it.",
    questions={"list": list_folder},
)
