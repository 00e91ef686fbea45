"""PreprocessBatch: steps on scans one after the other; the work behind ``ivimkit preprocess``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ivimkit import io
from ivimkit.cli.jobs.scan_batch import Job, OneScan, ScanBatch
from ivimkit.cli.jobs.scan_steps import ScanSteps
from ivimkit.io.preprocessed_files import MASK, SCAN

__all__ = ["PreprocessBatch"]


@dataclass(frozen=True, kw_only=True)
class PreprocessBatch(ScanBatch):
    """Everything that is the same for all scans of a call; for further options see `ScanBatch`.

    Parameters
    ----------
    steps : ScanSteps
        What to do.
    """

    ending: ClassVar[str] = "preprocessed"

    steps: ScanSteps

    def check_lists(self) -> None:
        """Raise OptionError for steps that cannot be read, once and not per scan."""
        self.steps.check()

    def check_output(self, folder: Path) -> None:
        """Refuse a folder that contains a scan, unless overwriting was asked for."""
        io.check_preprocessed(folder, overwrite=self.overwrite)

    def jobs(self, scans: Sequence[Path]) -> Sequence[Job]:
        """Return the work for each scan."""
        return [self._work] * len(scans)

    def _work(self, scan: OneScan) -> None:
        io.check_preprocessed(scan.folder, overwrite=self.overwrite, acquired=scan.paths)
        dwi = scan.reading.weighted(scan.load())
        made = self.steps.apply(dwi, scan.name, self.screen)
        io.save_preprocessed(made.dwi, scan.folder, overwrite=self.overwrite)
        mask = "" if made.dwi.mask.all() else f" --mask {scan.folder / MASK}"
        self.screen.show(
            f"scan in {scan.folder}; fit it with",
            f"ivimkit fit {scan.folder / SCAN}{mask}",
        )
