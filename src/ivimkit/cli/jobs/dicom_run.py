"""DicomRun: fit a folder of DICOM and export the result; behind ``ivimkit dicom run``."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from ivimkit.cli.jobs.dicom_export import DicomExport
from ivimkit.cli.jobs.fit_batch import FitBatch
from ivimkit.cli.options.export_options import DicomOutput, ExportOptions
from ivimkit.cli.options.fit_setup import FitSetup
from ivimkit.cli.options.result_options import FittedFiles, RegionFiles
from ivimkit.cli.options.scan_input import ScanInput
from ivimkit.cli.options.shared_options import MachineOptions
from ivimkit.cli.process.exit_codes import DONE
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import InputError
from ivimkit.io.dicom import is_dicom_input

__all__ = ["DicomRun"]


@dataclass(frozen=True, kw_only=True)
class DicomRun:
    """What to fit, and what to write.

    Parameters
    ----------
    ctx : typer.Context
        Of the command.
    screen : Screen
        Where to print.
    scan : ScanInput
        How to read the scan.
    setup : FitSetup
        What to fit and how.
    output : DicomOutput
        What to write.
    result : Path, optional
        Where the maps are also kept.
    overwrite : bool
        Whether earlier files may be replaced.
    machine : MachineOptions
        What to compute on.
    """

    ctx: typer.Context
    screen: Screen
    scan: ScanInput
    setup: FitSetup
    output: DicomOutput
    result: Path | None
    overwrite: bool
    machine: MachineOptions

    def run(self, source: Path, out: Path) -> int:
        """Fit and export; return the exit code.

        Raises
        ------
        InputError
            If something cannot be used, before the fit where that can be known.
        """
        if source.exists() and not is_dicom_input(source):
            raise InputError(
                f"{source} is not DICOM; expected a folder, a ZIP archive or a file of DICOM. "
                "For NIfTI use ivimkit fit"
            )
        export = self._export(out)
        export.check()
        with ExitStack() as stack:
            folder = self.result
            if folder is None:
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="ivimkit-"))) / "fit"
            code = self._batch(folder).run([source])
            if code == DONE:
                export.run(folder)
        return code

    def _batch(self, folder: Path) -> FitBatch:
        setup = self.setup
        if self.scan.mask is None:
            # Then the labels are for the export only: air would be a region that learns a prior.
            setup = dataclasses.replace(setup, labels=None)
        return FitBatch(
            ctx=self.ctx,
            screen=self.screen,
            scan=self.scan,
            setup=setup,
            out=folder,
            overwrite=self.overwrite,
            figures=False,
            is_kept=self.result is not None,
            machine=self.machine,
        )

    def _export(self, out: Path) -> DicomExport:
        labels = self.setup.labels
        model = Path(self.setup.model)
        return DicomExport(
            screen=self.screen,
            output=ExportOptions(**vars(self.output)),
            regions=RegionFiles(labels=None if labels is None else [Path(labels)]),
            files=FittedFiles(model=model if model.suffix == ".py" else None),
            out=out,
            overwrite=self.overwrite,
        )
