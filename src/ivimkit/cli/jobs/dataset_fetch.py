"""DatasetFetch: a public scan on this machine; the work behind ``ivimkit datasets fetch``."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from ivimkit import datasets
from ivimkit.cli.screen.dataset_tables import about, fit_command
from ivimkit.cli.screen.progress import transfer_shown
from ivimkit.cli.screen.terminal import Screen, stderr

__all__ = ["DatasetFetch"]


@dataclass(frozen=True)
class DatasetFetch:
    """How to fetch.

    Parameters
    ----------
    overwrite : bool
        Replace other files of the same names.
    screen : Screen
        Where to print.
    """

    overwrite: bool = False
    screen: Screen = field(default_factory=Screen)

    def run(self, name: str, out: Path | None) -> None:
        """Download a data set and print where it is and what to cite."""
        data_set = datasets.get(name)
        name, size = data_set.name, data_set.n_bytes
        for download in data_set.downloads:
            self.screen.note(f"{download.name}: {download.urls[0]}, SHA-256 {download.sha256}")
        with transfer_shown(stderr(), name, size, quiet=self.screen.quiet) as progress:
            found = datasets.fetch(name, out, overwrite=self.overwrite, progress=progress)
        self.screen.show(
            f"{data_set.name} is in {found.folder}",
            *about(data_set),
            f"fit it with: {shlex.join(fit_command(found))}",
        )
