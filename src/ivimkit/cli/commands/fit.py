"""ivimkit fit: maps of one or more scans."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.fit_options import Also, FitOptions
from ivimkit.cli.options.preprocess_options import Preprocess
from ivimkit.cli.options.scan_options import ScanOptions, Scans, Weights
from ivimkit.cli.options.shared_options import (
    DICOM_PANEL,
    OUTPUT_PANEL,
    Json,
    MachineOptions,
    MemMb,
    Overwrite,
    Scratch,
    ScreenOptions,
    ShownUnreliable,
    Unreliable,
    out_option,
)

__all__ = ["MapFormat", "fit"]


# The names of choices are repeated here, as importing their owner takes too long for --help.
# tests/unit/cli/options/test_shared_options.py compares them.
class MapFormat(StrEnum):
    """Choices of --format."""

    nifti = "nifti"
    zarr = "zarr"


def fit(
    *,
    ctx: typer.Context,
    scans: Scans,
    scan: ScanOptions,
    weights: Weights = None,
    preprocess: Preprocess = None,
    setup: FitOptions,
    also: Also = None,
    out: Annotated[
        Path | None,
        out_option(
            "DIR",
            "Folder of the result; for several scans, each gets a folder in it. By default "
            "next to the scan: dwi_ivim for dwi.nii.gz.",
        ),
    ] = None,
    anonymous: Annotated[
        bool,
        typer.Option(
            "--anonymous",
            rich_help_panel=DICOM_PANEL,
            help="Keep nothing of the patient in the result: dicom.json then contains UIDs and "
            "dates only.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    map_format: Annotated[
        MapFormat,
        typer.Option(
            "--format",
            metavar="FORMAT",
            rich_help_panel=OUTPUT_PANEL,
            help="How maps are stored: nifti, a .nii.gz for each; or zarr, all in maps.zarr, for "
            "xarray and for results larger than memory. The numbers are the same.",
        ),
    ] = MapFormat.nifti,
    figures: Annotated[
        bool,
        typer.Option(
            rich_help_panel=OUTPUT_PANEL,
            help="Also draw maps, status and histograms, into DIR/figures.",
        ),
    ] = True,
    unreliable: ShownUnreliable = Unreliable.fade,
    json: Json = False,
    screen: ScreenOptions,
    machine: MachineOptions,
    mem_mb: MemMb = None,
    scratch: Scratch = None,
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
      ivimkit fit dwi.nii.gz --mask mask.nii.gz --method bayes --also varpro
      ivimkit fit later.nii.gz --method bayes --prior dwi_ivim/prior.npz
      ivimkit fit dwi.nii.gz --mask auto
      ivimkit fit dwi.nii.gz --preprocess auto
      ivimkit fit large.nii --mask mask.nii.gz --mem-mb 2000 --format zarr
      ivimkit fit sub-*/dwi.nii.gz --mask mask.nii.gz --out group --overwrite
    """
    # Here and not above: --help must not wait for numpy and numba.
    from ivimkit.cli.jobs.fit_batch import FitBatch
    from ivimkit.cli.jobs.scan_steps import ScanSteps
    from ivimkit.cli.options.fit_setup import FitSetup
    from ivimkit.cli.options.scan_input import ScanInput
    from ivimkit.cli.screen.terminal import Screen

    batch = FitBatch(
        ctx=ctx,
        screen=Screen(**vars(screen), json=json),
        scan=ScanInput(**vars(scan), weights=weights),
        setup=FitSetup(**vars(setup), b_unit=scan.b_unit),
        also=also,
        steps=None if preprocess is None else ScanSteps(preprocess),
        out=out,
        overwrite=overwrite,
        map_format=map_format.value,
        figures=figures,
        unreliable=unreliable.value,
        anonymous=anonymous,
        machine=machine,
        mem_mb=mem_mb,
        scratch=scratch,
    )
    raise typer.Exit(batch.run(scans))
