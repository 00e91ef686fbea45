"""ivimkit node check: whether everything that a node needs is there."""

from __future__ import annotations

from typing import Annotated

import typer

from ivimkit.cli.options.node_options import Config

__all__ = ["check"]


def check(
    *,
    ctx: typer.Context,
    config: Config,
    settings_only: Annotated[
        bool,
        typer.Option(
            "--settings-only", help="Check the settings and the options of the fits, no more."
        ),
    ] = False,
) -> None:
    """Check settings, options of the fits, folder, port, certificates and peers.

    Peers are asked with C-ECHO. The exit code is 2 if the settings are wrong,
    and 1 if something else is.

    [bold]Examples[/bold]

      ivimkit node check --config node.toml
    """
    # Here and not above: --help must not wait for numpy and pynetdicom.
    from ivimkit.cli.jobs.node_check import NodeCheck

    raise typer.Exit(NodeCheck(ctx, config, settings_only=settings_only).run())
