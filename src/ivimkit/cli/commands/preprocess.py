"""ivimkit preprocess: what is done to a scan before the fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.preprocess_options import Steps
from ivimkit.cli.options.scan_options import ScanOptions, Scans, Weights
from ivimkit.cli.options.shared_options import Overwrite, ScreenOptions, out_option

__all__ = ["preprocess"]


def preprocess(
    *,
    ctx: typer.Context,
    scans: Scans,
    scan: ScanOptions,
    weights: Weights = None,
    steps: Steps = "auto",
    out: Annotated[
        Path | None,
        out_option(
            "DIR",
            "Folder of the scan; for several scans, each gets a folder in it. By default next to "
            "the scan: dwi_preprocessed for dwi.nii.gz.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    screen: ScreenOptions,
) -> None:
    """Align volumes and leave out what does not belong, before a fit.

    The order is fixed: denoise, gibbs, drift, align, follow, outliers, mask,
    average.
    auto takes drift, align and outliers where the scan needs them; denoising
    and following non-rigid motion change the values of tissue, and are done
    only when asked for.

    The result is a folder with the scan, dwi.nii.gz, and all that belongs to
    it: b-values, directions, the weights of its values (dwi_weights.nii.gz: 0
    where a value is missing or does not belong) and its history (dwi.json).
    ivimkit reads all of them with the scan.

    [bold]Examples[/bold]

      ivimkit preprocess dwi.nii.gz
      ivimkit preprocess dwi.nii.gz --steps align,outliers --out corrected
      ivimkit preprocess dwi.nii.gz --steps denoise,align:transform=affine,mask
      ivimkit fit dwi_preprocessed/dwi.nii.gz
    """
    # Here and not above: --help must not wait for numpy.
    from ivimkit.cli.jobs.preprocess_batch import PreprocessBatch
    from ivimkit.cli.jobs.scan_steps import ScanSteps
    from ivimkit.cli.options.scan_input import ScanInput
    from ivimkit.cli.screen.terminal import Screen

    batch = PreprocessBatch(
        ctx=ctx,
        screen=Screen(**vars(screen)),
        scan=ScanInput(**vars(scan), weights=weights),
        steps=ScanSteps(steps),
        out=out,
        overwrite=overwrite,
        figures=False,
    )
    raise typer.Exit(batch.run(scans))
