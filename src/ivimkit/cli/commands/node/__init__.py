"""The commands of ``ivimkit node``, one file each; a new one is one more line below."""

from __future__ import annotations

from collections.abc import Callable

import typer

from ivimkit.cli.commands.node.check import check
from ivimkit.cli.commands.node.fetch import fetch
from ivimkit.cli.commands.node.retry import retry
from ivimkit.cli.commands.node.run import run
from ivimkit.cli.commands.node.status import status
from ivimkit.cli.error_guard import GuardedCommand
from ivimkit.cli.options.groups import with_groups_spread

__all__ = ["node"]

_COMMANDS: dict[str, Callable[..., None]] = {
    "run": run,
    "status": status,
    "retry": retry,
    "check": check,
    "fetch": fetch,
}

node = typer.Typer(
    name="node",
    help="A DICOM node: receives studies, fits them, sends the maps to a PACS.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

for _name, _command in _COMMANDS.items():
    node.command(_name, cls=GuardedCommand)(with_groups_spread(_command))
