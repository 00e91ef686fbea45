"""ivimkit datasets list: the public scans that can be fetched."""

from __future__ import annotations

from ivimkit.cli.options.shared_options import Json

__all__ = ["list_datasets"]


def list_datasets(*, json: Json = False) -> None:
    """List the public scans with their size, terms of use and what to cite.

    [bold]Examples[/bold]

      ivimkit datasets list
      ivimkit datasets list --json
    """
    # Here and not above: --help must not wait for what reads scans.
    from ivimkit.cli.screen.dataset_tables import catalogue, plain_catalogue
    from ivimkit.cli.screen.terminal import Screen

    if json:
        Screen(json=True).answer(plain_catalogue())
    else:
        Screen().show(*catalogue())
