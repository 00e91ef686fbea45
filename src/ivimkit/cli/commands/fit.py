"""ivimkit fit: maps of one or more scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.plugin_names import complete, prior_names, uncertainty_names
from ivimkit.cli.options.shared_options import (
    MODEL_PANEL,
    OUTPUT_PANEL,
    Average,
    AverageBy,
    Bmax,
    Bmin,
    BSplit,
    BUnit,
    Bval,
    Bvals,
    Bvec,
    Device,
    Digits,
    Mask,
    Method,
    MethodOptions,
    Model,
    Organ,
    Overwrite,
    Precision,
    Quiet,
    Scans,
    Select,
    ShownUnreliable,
    Stack,
    Strict,
    Te,
    Threads,
    Tolerance,
    Unit,
    Unreliable,
    Variables,
    Verbose,
    Volumes,
    Weights,
)

__all__ = ["fit"]

_BAYES_PANEL = "Method bayes"
_TRUST_PANEL = "The noise, and how sure the numbers are"


def fit(
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
    b_split: BSplit = None,
    organ: Organ = None,
    bounds: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOW:HIGH",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            help="Bounds of a parameter, like D=0:5e-3 (mm²/s) or f=0:0.5. Repeatable.",
        ),
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            help="Fix a parameter, like D_star=0.02, or to a map, placed by position and looked "
            "for next to each scan: D=D.nii.gz. Repeatable.",
        ),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            help="Starting value, for methods that use one (trr), like D_star=0.03. Repeatable.",
        ),
    ] = None,
    weights: Weights = None,
    adc_bvalues: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            help="b-values of the ADC map, like 0,400,800. By default all.",
        ),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            show_default=False,
            rich_help_panel=_BAYES_PANEL,
            autocompletion=complete(prior_names),
            help=f"Prior: {', '.join(prior_names())}, or the prior.npz of an "
            "earlier result. By default learned. organ is that of --organ.",
        ),
    ] = None,
    estimate: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=_BAYES_PANEL,
            help="Posterior estimate that the maps show: mean (the default), median or mode.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=_BAYES_PANEL,
            help="Label image: each region learns a separate prior, so that a lesion is not "
            "drawn towards the tissue around it. Looked for next to each scan. Needs --mask.",
        ),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            show_default=False,
            rich_help_panel=_TRUST_PANEL,
            help="Noise distribution: rician (magnitudes), gaussian; for varpro also chi. "
            "By default gaussian for varpro and rician for bayes.",
        ),
    ] = None,
    coils: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            show_default=False,
            rich_help_panel=_TRUST_PANEL,
            help="Number of coils combined as root of the sum of squares, for --noise chi.",
        ),
    ] = None,
    uncertainty: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=_TRUST_PANEL,
            autocompletion=complete(uncertainty_names),
            help="Also write standard deviations and 95 % limits of the maps (D_sd, D_lo, "
            f"D_hi), found by: {', '.join(uncertainty_names())}.",
        ),
    ] = None,
    sigma: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|FILE",
            show_default=False,
            rich_help_panel=_TRUST_PANEL,
            help="Noise of one volume (standard deviation) in the unit of the scan, as a number "
            "or a map, placed by position and looked for next to each scan. By default from the "
            "residuals of each voxel.",
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
            help="Folder of the result; for several scans, each gets a folder in it. By default "
            "next to the scan: dwi_ivim for dwi.nii.gz.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    figures: Annotated[
        bool,
        typer.Option(
            rich_help_panel=OUTPUT_PANEL,
            help="Also draw maps, status and histograms, into DIR/figures.",
        ),
    ] = True,
    unreliable: ShownUnreliable = Unreliable.fade,
    quiet: Quiet = False,
    verbose: Verbose = False,
    threads: Threads = None,
    device: Device = "auto",
    precision: Digits = Precision.float64,
) -> None:
    """Fit scans and write their maps.

    Each result is a folder with the maps S0, f, D_star, D, ADC, fD_star, rmse,
    r2 and status as .nii.gz, all settings in fit.json, and pictures in figures/.
    A voxel without a value is NaN, and status says why. Method bayes adds, for
    each parameter, standard deviation, limits and information (D_sd, D_lo, D_hi,
    D_lo50, D_hi50, D_bits), and its prior as prior.npz.

    Several scans are fitted one after the other; one that fails does not stop
    the others, and the exit code says so.

    [bold]Examples[/bold]

      ivimkit fit dwi.nii.gz --mask mask.nii.gz --organ liver
      ivimkit fit dwi.nii.gz --bmax 1000 --bounds f=0:0.5 --out results
      ivimkit fit dwi.nii.gz --method segmented --b-split 150 --option steps=2
      ivimkit fit dwi.nii.gz --uncertainty profile --sigma 12.5
      ivimkit fit dwi.nii.gz --noise rician
      ivimkit fit dwi.nii.gz --mask mask.nii.gz --method bayes
      ivimkit fit later.nii.gz --method bayes --prior dwi_ivim/prior.npz
      ivimkit fit dwi.nii.gz --mask auto
      ivimkit fit sub-*/dwi.nii.gz --mask mask.nii.gz --out group --overwrite
    """
    # Here and not above: --help must not wait for numpy and numba.
    from ivimkit.cli.jobs.fit_batch import FitBatch
    from ivimkit.cli.options.fit_setup import FitSetup
    from ivimkit.cli.options.scan_input import ScanInput
    from ivimkit.cli.screen.terminal import Screen

    batch = FitBatch(
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
        setup=FitSetup(
            model=model,
            method=method,
            options=option or (),
            b_split=b_split,
            organ=organ,
            bounds=bounds or (),
            fix=fix or (),
            start=start or (),
            uncertainty=uncertainty,
            sigma=sigma,
            noise_kind=noise,
            coils=coils,
            prior=prior,
            estimate=estimate,
            b_unit=b_unit.value,
        ),
        labels=labels,
        weights=weights,
        adc_bvalues=adc_bvalues,
        overwrite=overwrite,
        figures=figures,
        unreliable=unreliable.value,
        threads=threads,
        device=device,
        precision=precision.value,
    )
    raise typer.Exit(batch.run(scans, out=out, stack=stack))
