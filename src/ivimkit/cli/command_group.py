"""Add commands to a program: each guarded against errors, its groups of options spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer

from ivimkit.cli.error_guard import GuardedCommand
from ivimkit.cli.options.groups import with_groups_spread

__all__ = ["add_command", "command_group"]


def add_command(app: typer.Typer, command: Callable[..., None], name: str | None = None) -> None:
    """Add a command, by default with the name of its function."""
    app.command(name, cls=GuardedCommand)(with_groups_spread(command))


def command_group(
    name: str, commands: Mapping[str, Callable[..., None]], *, about: str
) -> typer.Typer:
    """Return commands as a group, such as those of ``ivimkit dicom``.

    Parameters
    ----------
    name : str
        Name of the group.
    commands : mapping
        Its commands by name, in the order of the help.
    about : str
        What the help says of it.

    Returns
    -------
    typer.Typer
    """
    group = typer.Typer(name=name, help=about, no_args_is_help=True, rich_markup_mode="rich")
    for word, command in commands.items():
        add_command(group, command, word)
    return group
