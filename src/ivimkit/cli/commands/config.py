"""ivimkit config: a settings file, of an earlier fit or of all options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.completion import complete_command
from ivimkit.cli.options.shared_options import OUTPUT_PANEL, Overwrite, out_option

__all__ = ["config"]


def config(
    *,
    ctx: typer.Context,
    commands: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND]",
            show_default=False,
            autocompletion=complete_command,
            help="Commands whose options to list, like fit; by default all.",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RESULT",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Write the settings of this result of ivimkit fit: with them the same scan "
            "gives the same maps.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        out_option("FILE", "Write to this file. By default the settings are printed."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a settings file for --config, in TOML.

    Without --from, all options of the commands with what they mean and their
    defaults, each as a comment: remove the # of those that you set. Keys at the
    top of the file are for all commands, those below [fit] for ivimkit fit.

    [bold]Examples[/bold]

      ivimkit config fit --out settings.toml
      ivimkit config --from dwi_ivim --out again.toml
      ivimkit fit dwi.nii.gz --config again.toml --out again
    """
    # Here and not above: --help must not wait for tomlkit and numpy.
    from ivimkit.cli.jobs.settings_writing import write_settings

    write_settings(
        ctx.find_root().command, commands or (), source=source, out=out, overwrite=overwrite
    )
