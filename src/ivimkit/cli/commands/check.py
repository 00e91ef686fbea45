"""ivimkit check: a scan and its b-values, before any fit."""

from __future__ import annotations

from typing import Annotated

import typer

from ivimkit.cli.options.design_options import SnrOfScan
from ivimkit.cli.options.fit_options import ModelOptions, Organ
from ivimkit.cli.options.scan_options import ScanOptions, Scans
from ivimkit.cli.options.shared_options import MODEL_PANEL, SCAN_PANEL, Json, ScreenOptions

__all__ = ["check"]


def check(
    *,
    ctx: typer.Context,
    scans: Scans,
    scan: ScanOptions,
    model: ModelOptions,
    b_split: Annotated[
        float | None,
        typer.Option(
            metavar="B",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            help="Threshold to look at. By default that of the method, or of the organ, or 200.",
        ),
    ] = None,
    organ: Organ = None,
    snr: SnrOfScan = None,
    monte_carlo: Annotated[
        int | None,
        typer.Option(
            "--monte-carlo",
            metavar="N",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            help="Also fit N simulated voxels, for the bias and scatter of each parameter.",
        ),
    ] = None,
    motion: Annotated[
        bool,
        typer.Option(
            "--motion/--no-motion",
            rich_help_panel=SCAN_PANEL,
            help="Estimate how far the tissue moves from volume to volume, 0.1 s for each. "
            "-v shows every volume.",
        ),
    ] = True,
    json: Json = False,
    screen: ScreenOptions,
) -> None:
    """Check a scan and its b-values without fitting.

    Prints the checks, what the steps before the fit see (how far the tissue
    moves between volumes, signal drift, slices that dropped out), a table of the
    b-values with their mean signal and signal-to-noise ratio, how well they
    cover the IVIM decay, how much perfusion signal is left at each, and the
    error of each parameter at the SNR of the scan: whether it can be estimated
    in single voxels, or how large a region has to be. The exit code is 2 if the scan
    cannot be fitted with this model and method, 0 with warnings, and with
    --strict 2 if volumes and b-values cannot both be right.

    [bold]Examples[/bold]

      ivimkit check dwi.nii.gz --mask mask.nii.gz
      ivimkit check dwi.nii.gz --bmax 1000 --model sivim
      ivimkit check dwi.nii.gz --organ liver --snr 30 --monte-carlo 1000
    """
    # Here and not above: --help must not wait for numpy.
    from ivimkit.cli.jobs.check_errors import ErrorQuestion
    from ivimkit.cli.jobs.check_report import CheckReport
    from ivimkit.cli.options.fit_setup import FitSetup
    from ivimkit.cli.options.scan_input import ScanInput
    from ivimkit.cli.screen.terminal import Screen

    report = CheckReport(
        ctx=ctx,
        screen=Screen(**vars(screen), json=json),
        scan=ScanInput(**vars(scan)),
        setup=FitSetup(**vars(model), organ=organ, b_unit=scan.b_unit),
        b_split=b_split,
        errors=ErrorQuestion(snr, monte_carlo),
        motion=motion,
    )
    raise typer.Exit(report.run(scans))
