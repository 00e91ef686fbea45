"""NodeReport: what a node does; behind ``ivimkit node status`` and ``retry``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ivimkit.cli.options.pacs_extra import require_pacs
from ivimkit.cli.process.exit_codes import DONE, FAULT
from ivimkit.cli.screen.node_tables import status_shown
from ivimkit.cli.screen.terminal import Screen

__all__ = ["NodeReport", "retry_jobs"]


@dataclass(frozen=True)
class NodeReport:
    """Which node, and how to print.

    Parameters
    ----------
    config : Path
        Its settings.
    as_json : bool
        Print JSON instead of tables.
    """

    config: Path
    as_json: bool = False

    def run(self) -> int:
        """Print; return the exit code, which says whether anything failed."""
        require_pacs()
        from ivimkit.node import load_settings
        from ivimkit.node.health import node_status

        status = node_status(load_settings(self.config).folder)
        if self.as_json:
            content = msgspec.to_builtins(status)
            found = {**content, "counts": status.counts(), "failures": status.failures}
            Screen().show(json.dumps(found, indent=2))
        else:
            Screen().show(*status_shown(status))
        return FAULT if status.failures else DONE


def retry_jobs(config: Path, names: list[str]) -> None:
    """Ask a node to do jobs again, and say what will happen."""
    require_pacs()
    from ivimkit.node import load_settings
    from ivimkit.node.health import is_running
    from ivimkit.node.requests import ask_to_retry

    root = load_settings(config).folder
    asked = ask_to_retry(root, names)
    if not asked:
        Screen().show("nothing failed: there is nothing to do again")
        return
    when = "now" if is_running(root) else "when the node is started"
    Screen().show(f"again, {when}: {', '.join(asked)}")
