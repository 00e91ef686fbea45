"""NodeRun: a node at work; behind ``ivimkit node run``."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from ivimkit.cli.options.pacs_extra import require_pacs
from ivimkit.cli.process.exit_codes import DONE
from ivimkit.cli.process.interruption import raise_if_interrupted

__all__ = ["NodeRun"]


@dataclass(frozen=True)
class NodeRun:
    """Which node, and whether it prints its log.

    Parameters
    ----------
    config : Path
        Its settings.
    quiet : bool
        Whether the log goes only to the file.
    """

    config: Path
    quiet: bool = False

    def run(self) -> None:
        """Check the settings, then work until the process is interrupted."""
        require_pacs()
        from ivimkit.node import Node, load_settings

        settings = load_settings(self.config)
        self._check_fits()
        node = Node(settings, stream=None if self.quiet else sys.stderr)
        try:
            node.start()
            node.run(raise_if_interrupted)
        finally:
            node.stop()

    def _check_fits(self) -> None:
        """Check the options of the fits in another process.

        It loads what fits scans, which a process that runs for months should not carry along.
        """
        words = ["-m", "ivimkit", "node", "check", "--settings-only", "--config"]
        done = subprocess.run(
            [sys.executable, *words, str(self.config)], stdout=subprocess.DEVNULL
        )
        if done.returncode != DONE:
            raise typer.Exit(done.returncode)
