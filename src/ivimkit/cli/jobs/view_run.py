"""ResultView: the page of saved results, served until Ctrl-C; the work of ``ivimkit view``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ivimkit.cli.options.model_file import ModelFile
from ivimkit.cli.options.output_folders import shown_names
from ivimkit.cli.options.result_input import check_names, load_regions, with_scan
from ivimkit.cli.options.result_options import FittedFiles, RegionFiles
from ivimkit.cli.process.interruption import raise_if_interrupted
from ivimkit.cli.process.run_log import begin_log
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import IvimkitWarning, OptionError
from ivimkit.viewer import view

__all__ = ["ResultView"]


@dataclass(frozen=True)
class ResultView:
    """What to show, and where.

    Parameters
    ----------
    screen : Screen
        Where to print.
    regions : RegionFiles
        Regions.
    files : FittedFiles
        The scan and the model, where the results do not say enough.
    port : int
        Port; 0 for any.
    browser : bool
        Whether a browser may be opened.
    """

    screen: Screen
    regions: RegionFiles
    files: FittedFiles
    port: int = 0
    browser: bool = True

    def run(self, folders: Sequence[Path]) -> None:
        """Serve the page until the process is interrupted."""
        if len({folder.resolve() for folder in folders}) < len(folders):
            raise OptionError("a result is named twice; expected different ones. Leave one out")
        check_names(self.regions.labels, self.regions.names)
        file = ModelFile(self.files.model, self.screen)
        begin_log()
        with self.screen.warnings_shown():
            results = [
                with_scan(
                    result,
                    self.screen,
                    "no images and no signal next to the maps",
                    scan=self.files.scan,
                    bval=self.files.bval,
                )
                for result in file.load(folders, "no curves")
            ]
            labels = load_regions(results[0], self.regions.labels, self.regions.names)
            viewer = view(
                *results,
                labels=labels,
                names=shown_names(folders),
                port=self.port,
                open_browser=None if self.browser else False,
            )
        with warnings.catch_warnings():
            # Warnings of a refit about the b-values are shown next to it on the page.
            warnings.simplefilter("ignore", IvimkitWarning)
            # Also with --quiet: without the address there is nothing.
            Screen().show(viewer.url)
            self.screen.note("Ctrl-C ends it")
            # During a compilation an interrupt may be dropped; it is remembered.
            viewer.wait(raise_if_interrupted)
