"""ResultView: the page of saved results, served until Ctrl-C; the work of ``ivimkit view``."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ivimkit import io
from ivimkit.cli.interruption import raise_if_interrupted
from ivimkit.cli.output_folders import names_apart
from ivimkit.cli.screen import Screen
from ivimkit.errors import InputError, IvimkitWarning, OptionError
from ivimkit.labels import Labels
from ivimkit.result import FitResult
from ivimkit.viewer import view

__all__ = ["ResultView"]


@dataclass(frozen=True)
class ResultView:
    """What to show, and where.

    Parameters
    ----------
    screen : Screen
        Where to print.
    labels : sequence of Path
        Regions.
    names : Path, optional
        Names of their numbers.
    scan, bval : Path, optional
        The scan and its b-values.
    port : int
        Port; 0 for any.
    browser : bool
        Whether a browser may be opened.
    """

    screen: Screen
    labels: Sequence[Path] = ()
    names: Path | None = None
    scan: Path | None = None
    bval: Path | None = None
    port: int = 0
    browser: bool = True

    def run(self, folders: Sequence[Path]) -> None:
        """Serve the page until the process is interrupted."""
        if len({folder.resolve() for folder in folders}) < len(folders):
            raise OptionError("a result is named twice; expected different ones. Leave one out")
        with self.screen.warnings_shown():
            results = [self._with_scan(io.load_result(folder)) for folder in folders]
            labels = self._regions(results[0])
            viewer = view(
                *results,
                labels=labels,
                names=names_apart(folders),
                port=self.port,
                open_browser=None if self.browser else False,
            )
        with warnings.catch_warnings():
            # What a refit has to say of the b-values stands beside it on the page.
            warnings.simplefilter("ignore", IvimkitWarning)
            # Also with --quiet: without the address there is nothing.
            Screen().show(viewer.url)
            self.screen.note("Ctrl-C ends it")
            # Beside a compilation an interrupt may be dropped; it is remembered.
            viewer.wait(raise_if_interrupted)

    def _with_scan(self, result: FitResult) -> FitResult:
        """Return a result with its scan; without it there are no images and no signal."""
        try:
            dwi = io.load_fitted_scan(result, self.scan, self.bval)
        except InputError as error:
            if self.scan is not None:
                raise
            self.screen.warn(f"no images and no signal beside the maps: {error}")
            return result
        return dataclasses.replace(result, dwi=dwi)

    def _regions(self, result: FitResult) -> Labels | None:
        if not self.labels:
            if self.names is not None:
                raise OptionError("--names is given without --labels; expected both. Give both")
            return None
        files = list(self.labels)
        return io.load_labels(files[0] if len(files) == 1 else files, result, self.names)
