"""ReportRun: a report on saved results; the work behind ``ivimkit report``."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from ivimkit import report
from ivimkit.cli.jobs.fit_batch import FitBatch
from ivimkit.cli.options.fit_setup import FitSetup
from ivimkit.cli.options.model_file import ModelFile
from ivimkit.cli.options.output_folders import check_writable, output_folders, shown_names
from ivimkit.cli.options.report_options import ReportOptions
from ivimkit.cli.options.result_input import check_names, load_regions, with_scan
from ivimkit.cli.options.scan_input import ScanInput
from ivimkit.cli.options.shared_options import MachineOptions
from ivimkit.cli.process.exit_codes import DONE
from ivimkit.cli.process.run_log import begin_log
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError
from ivimkit.fitting.result import FitResult
from ivimkit.io.dicom import is_dicom_input
from ivimkit.io.dicom.files import Skipped, find_files
from ivimkit.io.result_names import RECORD, REPORT, also_folder
from ivimkit.letters import readable
from ivimkit.report.anonymity import without_names
from ivimkit.report.html_document import check_files, printed_before
from ivimkit.scan.labels import Labels

__all__ = ["ReportRun"]

_MAX_RESULTS = 2


@dataclass(frozen=True)
class ReportRun:
    """What to report on which results.

    Parameters
    ----------
    ctx : typer.Context
        Of the command.
    screen : Screen
        Where to print.
    page : ReportOptions
        What the page contains, and where it is written.
    """

    ctx: typer.Context
    screen: Screen
    page: ReportOptions

    def run(self, given: Sequence[Path]) -> None:
        """Report on one result, or on two, and say which file was written.

        Raises
        ------
        typer.Exit
            If a scan cannot be fitted; the reason was printed.
        """
        self._check(given)
        folders = [self._fitted(path) for path in given]
        # Check this first: the work takes seconds.
        target = self.page.out or _usual_target(folders)
        folders = [*folders, *self._also(folders)]
        check_writable(target.parent)
        files = check_files(target, overwrite=self.page.overwrite, pdf=self.page.pdf)
        outdated = [] if self.page.pdf else printed_before(files[0])
        file = ModelFile(self.page.model, self.screen)
        begin_log()
        with self.screen.warnings_shown():
            loaded = file.load(folders, "no curves and no residuals")
            results = [self._with_scan(result, k) for k, result in enumerate(loaded)]
            regions = load_regions(results[0], self.page.labels, self.page.names)
            shown = regions
            if regions is not None and not self.page.show_names and self.page.names is None:
                shown = without_names(regions)
            named = self.page.show_names and len(folders) > 1
            built = report.build(
                results[0],
                results[1] if len(results) > 1 else None,
                labels=shown,
                lesion=_renamed(self.page.lesion, regions, shown),
                reference=_renamed(self.page.reference, regions, shown),
                ring=self.page.ring,
                gap=self.page.gap,
                reliable_only=self.page.reliable,
                names=shown_names(folders) if named else None,
                title=self.page.title,
                unreliable=self.page.unreliable.value,
                anonymous=not self.page.show_names,
            )
            built.write(files[0], overwrite=self.page.overwrite, pdf=self.page.pdf)
        for path in outdated:
            self.screen.warn(f"removed {path}, which was printed from the earlier page")
        for path in files:
            self.screen.show(str(path))
        if self.page.open_:
            webbrowser.open(files[0].as_uri())

    def _fitted(self, path: Path) -> Path:
        """Return the folder of a result; that of a scan of DICOM after it was fitted."""
        is_result = (path / RECORD).is_file()
        if is_result or not is_dicom_input(path) or not find_files(path, Skipped()):
            return path
        batch = FitBatch(
            ctx=self.ctx,
            screen=self.screen,
            scan=ScanInput(),
            setup=FitSetup(),
            machine=MachineOptions(),
            overwrite=self.page.overwrite,
            figures=False,
        )
        code = batch.run([path])
        if code != DONE:
            raise typer.Exit(code)
        return output_folders([path], None, ending=batch.ending)[0]

    def _also(self, folders: Sequence[Path]) -> list[Path]:
        """Return the folder of the fit by another method, if it is to be shown."""
        name = self.page.also
        if name is None:
            return []
        if len(folders) > 1:
            raise OptionError(
                f"--also {name} is given for {len(folders)} results; expected one result, as a "
                "page shows two. Leave it out, or give one result"
            )
        found = also_folder(folders[0], name)
        if not (found / RECORD).is_file():
            raise OptionError(
                f"--also is {name!r}, and {folders[0]} has no fit by that method in addition; "
                f"expected {found}. Fit again with ivimkit fit --also {name}"
            )
        return [found]

    def _check(self, folders: Sequence[Path]) -> None:
        if len(folders) > _MAX_RESULTS:
            raise OptionError(
                f"{len(folders)} results are given; expected one, or two to compare. Make several "
                "reports, or see ivimkit plot"
            )
        scans = self.page.scan or ()
        if len(scans) > len(folders):
            raise OptionError(
                f"{len(scans)} scans are given for {len(folders)} results; expected at most "
                "one each. Leave some out"
            )
        check_names(self.page.labels, self.page.names)

    def _with_scan(self, result: FitResult, number: int) -> FitResult:
        """Return a result with its scan; without it there are maps, but no curves."""
        scans = self.page.scan
        given = scans[min(number, len(scans) - 1)] if scans else None
        missing = "no images, curves and residuals"
        return with_scan(result, self.screen, missing, scan=given, bval=self.page.bval)


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
