"""ivimkit check: a scan and its b-values, before any fit."""

from __future__ import annotations

from typing import Annotated

import typer

from ivimkit.cli.options.shared_options import (
    MODEL_PANEL,
    Average,
    AverageBy,
    Bmax,
    Bmin,
    BUnit,
    Bval,
    Bvals,
    Bvec,
    Mask,
    Method,
    MethodOptions,
    Model,
    Organ,
    Scans,
    Select,
    Stack,
    Strict,
    Te,
    Tolerance,
    Unit,
    Variables,
    Verbose,
    Volumes,
)

__all__ = ["check"]


def check(
    ctx: typer.Context,
    scans: Scans,
    bval: Bval = None,
    bvec: Bvec = None,
    variables: Variables = None,
    te: Te = None,
    mask: Mask = None,
    b_unit: Unit = BUnit.s_mm2,
    stack: Stack = False,
    strict: Strict = False,
    bmin: Bmin = None,
    bmax: Bmax = None,
    bvals: Bvals = None,
    volumes: Volumes = None,
    select: Select = None,
    average: AverageBy = Average.auto,
    tolerance: Tolerance = None,
    model: Model = "biexp",
    method: Method = "varpro",
    option: MethodOptions = None,
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
    verbose: Verbose = False,
) -> None:
    """Check a scan and its b-values without fitting.

    Prints the checks, a table of the b-values with their mean signal and
    signal-to-noise ratio, how well they cover the IVIM decay, and how much
    perfusion signal is left at each. The exit code is 2 if the scan cannot be
    fitted with this model and method, 0 with warnings, and with --strict 2 if
    volumes and b-values cannot both be right.

    [bold]Examples[/bold]

      ivimkit check dwi.nii.gz --mask mask.nii.gz
      ivimkit check dwi.nii.gz --bmax 1000 --model sivim
    """
    # Here and not above: --help must not wait for numpy.
    from ivimkit.cli.jobs.check_report import CheckReport
    from ivimkit.cli.options.fit_setup import FitSetup
    from ivimkit.cli.options.scan_input import ScanInput
    from ivimkit.cli.screen.terminal import Screen

    report = CheckReport(
        ctx=ctx,
        screen=Screen(verbose=verbose),
        scan=ScanInput(
            bval=bval,
            bvec=bvec,
            variables=variables,
            te=te,
            mask=mask,
            b_unit=b_unit.value,
            tolerance=tolerance,
            average=average.value,
            bmin=bmin,
            bmax=bmax,
            bvals=bvals,
            volumes=volumes,
            where=select,
        ),
        setup=FitSetup(
            model=model, method=method, options=option or (), organ=organ, b_unit=b_unit.value
        ),
        b_split=b_split,
        strict=strict,
    )
    raise typer.Exit(report.run(scans, stack=stack))
