"""ivimkit node status: what a node does, and what failed."""

from __future__ import annotations

import typer

from ivimkit.cli.options.node_options import Config
from ivimkit.cli.options.shared_options import Json

__all__ = ["status"]


def status(
    *,
    config: Config,
    json: Json = False,
) -> None:
    """Print the jobs of a node, and the studies that it waits for or ignores.

    Reads the folder of the node, which need not be running. The exit code is 1
    if anything failed; ivimkit node retry does it again.

    [bold]Examples[/bold]

      ivimkit node status --config node.toml
      ivimkit node status --config node.toml --json
    """
    # Here and not above: --help must not wait for the node.
    from ivimkit.cli.jobs.node_status import NodeReport

    raise typer.Exit(NodeReport(config, as_json=json).run())
