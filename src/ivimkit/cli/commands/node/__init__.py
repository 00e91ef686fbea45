"""The commands of ``ivimkit node``, one file each; a new one is one more line below."""

from __future__ import annotations

from ivimkit.cli.command_group import command_group
from ivimkit.cli.commands.node.check import check
from ivimkit.cli.commands.node.fetch import fetch
from ivimkit.cli.commands.node.retry import retry
from ivimkit.cli.commands.node.run import run
from ivimkit.cli.commands.node.status import status

__all__ = ["node"]

node = command_group(
    "node",
    {},
    about="A DICOM node: receives studies, fits them, sends the maps to a PACS.",
    questions={
        "run": run,
        "status": status,
        "retry": retry,
        "check": check,
        "fetch": fetch,
    },
)
