"""ivimkit datasets list: the public scans that can be fetched."""

from __future__ import annotations

from typing import Annotated

import typer

from ivimkit.cli.options.shared_options import OUTPUT_PANEL

__all__ = ["list_datasets"]


def list_datasets(
    *,
    as_json: Annotated[
        bool,
        typer.Option("--json", rich_help_panel=OUTPUT_PANEL, help="Print JSON, for programs."),
    ] = False,
) -> None:
    """List the public scans with their size, terms of use and what to cite.

    [bold]Examples[/bold]

      ivimkit datasets list
      ivimkit datasets list --json
    """
    # Here and not above: --help must not wait for what reads scans.
    from ivimkit.cli.screen.dataset_tables import catalogue, plain_catalogue
    from ivimkit.cli.screen.terminal import Screen

    Screen().show(*(plain_catalogue() if as_json else catalogue()))
