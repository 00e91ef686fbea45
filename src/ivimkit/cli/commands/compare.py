"""ivimkit compare: which model each voxel supports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.compare_options import CompareOptions
from ivimkit.cli.options.scan_options import ScanOptions, Scans, Weights
from ivimkit.cli.options.shared_options import (
    OUTPUT_PANEL,
    Json,
    Overwrite,
    ScreenOptions,
    Threads,
    out_option,
)

__all__ = ["compare"]


def compare(
    *,
    ctx: typer.Context,
    scans: Scans,
    scan: ScanOptions,
    weights: Weights = None,
    choice: CompareOptions,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Regions to summarise one by one: a label image, or masks (repeatable), looked "
            "for next to each scan. By default the mask is one.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        out_option(
            "DIR",
            "Folder of the maps; for several scans, each gets a folder in it. By default "
            "next to the scan: dwi_comparison for dwi.nii.gz.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    figures: Annotated[
        bool,
        typer.Option(
            rich_help_panel=OUTPUT_PANEL, help="Also draw models and weights, into DIR/figures."
        ),
    ] = True,
    json: Json = False,
    screen: ScreenOptions,
    threads: Threads = None,
) -> None:
    """Find out which model each voxel supports.

    Fits all models and tests whether the richer ones fit better than noise can
    explain. Prints, for each region, the share of voxels that choose each model,
    its mean weight, its weight in the fit of the mean signal with the AICc above
    the lowest, and a verdict. Writes chosen.nii.gz (the position of the model in
    the list, from 0; -1 for none), weight_MODEL.nii.gz, D_averaged.nii.gz,
    f_averaged.nii.gz, table.csv, settings in comparison.json, and a picture in
    figures/.

    [bold]Examples[/bold]

      ivimkit compare dwi.nii.gz --mask mask.nii.gz
      ivimkit compare dwi.nii.gz --labels labels.nii.gz --sigma 12.5
      ivimkit compare dwi.nii.gz --models all --labels labels.nii.gz --report
      ivimkit compare dwi.nii.gz --models monoexp,biexp --criterion f_test
      ivimkit compare dwi.nii.gz --criterion evidence --out evidence
    """
    # Here and not above: --help must not wait for numpy and numba.
    from ivimkit.cli.jobs.compare_batch import CompareBatch
    from ivimkit.cli.options.scan_input import ScanInput
    from ivimkit.cli.screen.terminal import Screen

    batch = CompareBatch(
        ctx=ctx,
        screen=Screen(**vars(screen), json=json),
        scan=ScanInput(**vars(scan), weights=weights),
        choice=choice,
        labels=labels or (),
        out=out,
        overwrite=overwrite,
        figures=figures,
        threads=threads,
    )
    raise typer.Exit(batch.run(scans))
