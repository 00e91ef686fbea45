"""ivimkit node retry: do again what failed."""

from __future__ import annotations

from typing import Annotated

import typer

from ivimkit.cli.options.node_options import Config

__all__ = ["retry"]


def retry(
    *,
    jobs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="JOB",
            show_default=False,
            help="Jobs, as node status shows them, or studies that could not be read. By default "
            "everything that failed.",
        ),
    ] = None,
    config: Config,
) -> None:
    """Do jobs again.

    A job whose fit failed is fitted again, by the rule as it now is in the
    settings; one whose results could not be sent is only sent. Naming a job
    that is done fits and sends it once more. The node does it at its next pulse,
    or when it is started.

    [bold]Examples[/bold]

      ivimkit node retry --config node.toml
      ivimkit node retry 43b7f8db99-c476970eb6 --config node.toml
    """
    # Here and not above: --help must not wait for the node.
    from ivimkit.cli.jobs.node_status import retry_jobs

    retry_jobs(config, jobs or [])
