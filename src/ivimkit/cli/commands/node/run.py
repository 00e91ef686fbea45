"""ivimkit node run: receive, fit and send until it is stopped."""

from __future__ import annotations

from ivimkit.cli.options.node_options import Config
from ivimkit.cli.options.shared_options import Quiet

__all__ = ["run"]


def run(*, config: Config, quiet: Quiet = False) -> None:
    """Receive studies, fit them by the rules of the settings, send the maps.

    Runs until Ctrl-C or SIGTERM. Whatever ends it, also kill -9 or a power cut,
    the next start goes on from there: an image that was acknowledged is on the
    disk. Each step is a line of JSON on stderr and in node.log, without names
    of patients. For research: this is not a medical device.

    [bold]Examples[/bold]

      ivimkit node check --config node.toml
      ivimkit node run --config node.toml
    """
    # Here and not above: --help must not wait for pynetdicom.
    from ivimkit.cli.jobs.node_run import NodeRun

    NodeRun(config, quiet=quiet).run()
