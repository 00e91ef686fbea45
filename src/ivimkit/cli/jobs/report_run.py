"""ReportRun: a report on saved results; the work behind ``ivimkit report``."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ivimkit import report
from ivimkit.cli.options.model_file import ModelFile
from ivimkit.cli.options.output_folders import check_writable, shown_names
from ivimkit.cli.options.result_input import check_names, load_regions, with_scan
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError
from ivimkit.fitting.result import FitResult
from ivimkit.io.result_files import REPORT
from ivimkit.letters import readable
from ivimkit.report.anonymity import without_names
from ivimkit.scan.labels import Labels
from ivimkit.writing import check_file

__all__ = ["ReportRun"]

_MAX_RESULTS = 2


@dataclass(frozen=True)
class ReportRun:
    """What to report on which results.

    Parameters
    ----------
    screen : Screen
        Where to print.
    labels : sequence of Path
        Label image, or masks.
    label_names : Path, optional
        Names of the regions.
    lesion, reference : str, optional
        Names or numbers of regions.
    ring : float, optional
        Width of the ring around the lesion, mm.
    gap : float
        Distance of the ring from the lesion, mm.
    reliable : bool, optional
        Whether reliable voxels only count; by default where a lesion is compared.
    scans : sequence of Path
        The scan, or that of each result.
    bval : Path, optional
        Its b-values.
    model : Path, optional
        Python file of the model.
    title : str, optional
        Of the page.
    unreliable : {"fade", "hide", "show"}
        How voxels that are not reliable are shown.
    show_names : bool
        Whether names of files are shown.
    open_page : bool
        Whether to open the page in a browser.
    """

    screen: Screen
    labels: Sequence[Path] = ()
    label_names: Path | None = None
    lesion: str | None = None
    reference: str | None = None
    ring: float | None = None
    gap: float = 5.0
    reliable: bool | None = None
    scans: Sequence[Path] = ()
    bval: Path | None = None
    model: Path | None = None
    title: str | None = None
    unreliable: str = "fade"
    show_names: bool = False
    open_page: bool = False

    def run(self, folders: Sequence[Path], out: Path | None, *, overwrite: bool) -> None:
        """Report on one result, or on two, and say which file was written."""
        self._check(folders)
        # Check this first: the work takes seconds.
        target = out or _usual_target(folders)
        check_writable(target.parent)
        target = check_file(target, overwrite=overwrite)
        file = ModelFile(self.model, self.screen)
        with self.screen.warnings_shown():
            loaded = file.load(folders, "no curves and no residuals")
            results = [self._with_scan(result, k) for k, result in enumerate(loaded)]
            regions = load_regions(results[0], self.labels, self.label_names)
            shown = regions
            if regions is not None and not self.show_names and self.label_names is None:
                shown = without_names(regions)
            page = report.build(
                results[0],
                results[1] if len(results) > 1 else None,
                labels=shown,
                lesion=_renamed(self.lesion, regions, shown),
                reference=_renamed(self.reference, regions, shown),
                ring=self.ring,
                gap=self.gap,
                reliable_only=self.reliable,
                names=list(shown_names(folders)) if self.show_names and len(folders) > 1 else None,
                title=self.title,
                unreliable=self.unreliable,
                anonymous=not self.show_names,
            )
            path = page.write(target, overwrite=overwrite)
        self.screen.show(str(path))
        if self.open_page:
            webbrowser.open(path.as_uri())

    def _check(self, folders: Sequence[Path]) -> None:
        if len(folders) > _MAX_RESULTS:
            raise OptionError(
                f"{len(folders)} results are given; expected one, or two to compare. Make several "
                "reports, or see ivimkit plot"
            )
        if len(self.scans) > len(folders):
            raise OptionError(
                f"{len(self.scans)} scans are given for {len(folders)} results; expected at most "
                "one each. Leave some out"
            )
        check_names(self.labels, self.label_names)

    def _with_scan(self, result: FitResult, number: int) -> FitResult:
        """Return a result with its scan; without it there are maps, but no curves."""
        given = self.scans[min(number, len(self.scans) - 1)] if self.scans else None
        missing = "no images, curves and residuals"
        return with_scan(result, self.screen, missing, scan=given, bval=self.bval)


def _usual_target(folders: Sequence[Path]) -> Path:
    if len(folders) == 1:
        return folders[0] / REPORT
    return folders[0].resolve().parent / "comparison.html"


def _renamed(name: str | None, regions: Labels | None, shown: Labels | None) -> str | None:
    """Return the name on the page of a region given by name or number."""
    if name is None or regions is None or shown is None:
        return name
    for number, known in regions.names.items():
        if readable(name) in (known, str(number)):
            return shown.names[number]
    there = ", ".join(regions)
    raise OptionError(f"there is no region {name!r}; expected one of {there}. See --labels")
