"""ivimkit compare: which model each voxel supports."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.plugin_names import (
    complete,
    method_names,
    model_names,
    organ_names,
    prior_names,
)
from ivimkit.cli.options.shared_options import (
    MODEL_PANEL,
    OUTPUT_PANEL,
    Average,
    AverageBy,
    Bmax,
    Bmin,
    BUnit,
    Bval,
    Bvals,
    Bvec,
    Mask,
    MethodOptions,
    Overwrite,
    Quiet,
    Scans,
    Select,
    Stack,
    Strict,
    Te,
    Threads,
    Tolerance,
    Unit,
    Variables,
    Verbose,
    Volumes,
    Weights,
)

__all__ = ["compare"]


class Criterion(StrEnum):
    """Choices of --criterion."""

    aicc = "aicc"
    bic = "bic"
    f_test = "f_test"
    evidence = "evidence"


def compare(
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
    weights: Weights = None,
    models: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            rich_help_panel=MODEL_PANEL,
            help=f"Models to compare: {', '.join(model_names())}, and Python files that define "
            "models, like biexp,./mine.py.",
        ),
    ] = "monoexp,sivim,biexp",
    criterion: Annotated[
        Criterion,
        typer.Option(
            metavar="NAME",
            rich_help_panel=MODEL_PANEL,
            help="What to compare by: aicc, bic, f_test, or evidence (method bayes).",
        ),
    ] = Criterion.aicc,
    alpha: Annotated[
        float,
        typer.Option(
            metavar="P",
            rich_help_panel=MODEL_PANEL,
            help="Level of the F-test: its rate of false positives in simple voxels.",
        ),
    ] = 0.05,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete(method_names),
            help="Fit method. By default varpro; for evidence, bayes with prior flat.",
        ),
    ] = None,
    option: MethodOptions = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete(prior_names),
            help=f"Prior of method bayes: {', '.join(prior_names())}. By default flat.",
        ),
    ] = None,
    organ: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete(organ_names),
            help=f"Organ of --prior organ: {', '.join(organ_names())}.",
        ),
    ] = None,
    sigma: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|FILE",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            help="Noise of one volume (standard deviation) in the unit of the scan, as a number "
            "or a map, looked for next to each scan. By default from the residuals of each voxel.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Regions to summarise one by one: a label image, or masks (repeatable), looked "
            "for next to each scan. By "
            "default the mask is one.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Folder of the maps; for several scans, each gets a folder in it. By default "
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
    quiet: Quiet = False,
    verbose: Verbose = False,
    threads: Threads = None,
) -> None:
    """Find out which model each voxel supports.

    Fits all models and asks whether the richer ones fit better than noise
    explains. Prints, for each region, the share of voxels that choose each model
    and its mean weight. Writes chosen.nii.gz (the position of the model in the
    list, from 0; -1 for none), weight_MODEL.nii.gz, D_averaged.nii.gz,
    f_averaged.nii.gz, table.csv, settings in comparison.json, and a picture in
    figures/.

    [bold]Examples[/bold]

      ivimkit compare dwi.nii.gz --mask mask.nii.gz
      ivimkit compare dwi.nii.gz --labels labels.nii.gz --sigma 12.5
      ivimkit compare dwi.nii.gz --models monoexp,biexp --criterion f_test
      ivimkit compare dwi.nii.gz --criterion evidence --out evidence
    """
    # Here and not above: --help must not wait for numpy and numba.
    from ivimkit.cli.jobs.compare_batch import CompareBatch
    from ivimkit.cli.options.scan_input import ScanInput
    from ivimkit.cli.screen.terminal import Screen

    batch = CompareBatch(
        ctx=ctx,
        screen=Screen(quiet=quiet, verbose=verbose),
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
            strict=strict,
            weights=weights,
        ),
        models=models,
        criterion=criterion.value,
        alpha=alpha,
        method=method,
        options=option or (),
        prior=prior,
        organ=organ,
        sigma=sigma,
        weights=weights,
        labels=labels or (),
        overwrite=overwrite,
        figures=figures,
        threads=threads,
    )
    raise typer.Exit(batch.run(scans, out=out, stack=stack))
