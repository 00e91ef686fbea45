"""Add commands to a program: each guarded against errors, its groups of options spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer

from ivimkit.cli.error_guard import GuardedCommand, PlainGroup
from ivimkit.cli.options.groups import with_groups_spread
from ivimkit.cli.options.shared_options import RunLikeOptions, RunOptions
from ivimkit.cli.work_command import WorkCommand

__all__ = ["add_command", "add_question", "command_group"]


def add_command(
    app: typer.Typer,
    command: Callable[..., None],
    name: str | None = None,
    *,
    fits: bool = False,
) -> None:
    """Add a command that works: its options may be in a file, and what it does in a log.

    Parameters
    ----------
    app : typer.Typer
        The program.
    command : callable
        The command, see `with_groups_spread`.
    name : str, optional
        Its name; by default that of the function.
    fits : bool
        Whether it can fit like an earlier result.
    """
    around = RunLikeOptions if fits else RunOptions
    app.command(name, cls=WorkCommand)(with_groups_spread(command, around=around))


def add_question(app: typer.Typer, command: Callable[..., None], name: str | None = None) -> None:
    """Add a command that only says something, or has settings of its own."""
    app.command(name, cls=GuardedCommand)(with_groups_spread(command))


def command_group(
    name: str,
    commands: Mapping[str, Callable[..., None]],
    *,
    about: str,
    questions: Mapping[str, Callable[..., None]] | None = None,
) -> typer.Typer:
    """Return commands as a group, such as those of ``ivimkit dicom``.

    Parameters
    ----------
    name : str
        Name of the group.
    commands : mapping
        Its commands that work, by name, in the order of the help.
    about : str
        What the help says of it.
    questions : mapping, optional
        Commands before them, see `add_question`.

    Returns
    -------
    typer.Typer
    """
    group = typer.Typer(
        name=name, cls=PlainGroup, help=about, no_args_is_help=True, rich_markup_mode="rich"
    )
    for word, command in (questions or {}).items():
        add_question(group, command, word)
    for word, command in commands.items():
        add_command(group, command, word)
    return group
