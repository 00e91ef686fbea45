"""ivimkit dicom run: from a folder of DICOM to a folder of DICOM, for routers and platforms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.export_options import DicomOutput
from ivimkit.cli.options.fit_options import FitOptions
from ivimkit.cli.options.scan_options import ScanOptions
from ivimkit.cli.options.shared_options import (
    OUTPUT_PANEL,
    MachineOptions,
    Overwrite,
    ScreenOptions,
)

__all__ = ["run"]


def run(
    *,
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", show_default=False, help="Folder or ZIP archive of DICOM: one study."
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", show_default=False, help="Folder for the DICOM files."),
    ],
    scan: ScanOptions,
    setup: FitOptions,
    output: DicomOutput,
    result: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Also keep the maps as ivimkit fit writes them, with fit.json.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    screen: ScreenOptions,
    machine: MachineOptions,
) -> None:
    """Fit the scan of a folder of DICOM, and write the maps as DICOM.

    One step for mercure, XNAT, Kaapana and other platforms that hand a folder in
    and take a folder out: the same as ivimkit fit and ivimkit dicom export. OUT
    contains DICOM only, all of it or nothing. Regions of --labels also become
    Segmentation and report; --labels seg takes those that somebody has drawn: the
    Segmentations in IN. The node runs this command for each scan.

    [bold]Examples[/bold]

      ivimkit dicom run study maps --organ liver
      ivimkit dicom run study maps --series 5,7 --method bayes --mask auto --as mr
      ivimkit dicom run study maps --labels seg --as mr,sr
    """
    # Here and not above: --help must not wait for numpy and numba.
    from ivimkit.io.dicom.extra import require_dicom

    # Before the job: its imports need the extra.
    require_dicom("results as DICOM", "highdicom")
    from ivimkit.cli.jobs.dicom_run import DicomRun
    from ivimkit.cli.options.fit_setup import FitSetup
    from ivimkit.cli.options.scan_input import ScanInput
    from ivimkit.cli.screen.terminal import Screen

    job = DicomRun(
        ctx=ctx,
        screen=Screen(**vars(screen)),
        scan=ScanInput(**vars(scan)),
        setup=FitSetup(**vars(setup), b_unit=scan.b_unit),
        output=output,
        result=result,
        overwrite=overwrite,
        machine=machine,
    )
    raise typer.Exit(job.run(source, out))
