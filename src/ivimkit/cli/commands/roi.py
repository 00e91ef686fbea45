"""ivimkit roi: tables of regions, and a lesion against its surroundings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.shared_options import (
    LABELS,
    OUTPUT_PANEL,
    REGION_PANEL,
    CountReliable,
    FittedBval,
    FittedModel,
    FittedScan,
    LabelNames,
    Overwrite,
    Quiet,
    Verbose,
)

__all__ = ["roi"]

_LESION_PANEL = "A lesion and its surroundings"


def roi(
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT", show_default=False, help="Folder that ivimkit fit has written."
        ),
    ],
    labels: Annotated[list[Path], LABELS],
    names: LabelNames = None,
    maps: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            help="Maps to summarise, like D,f,D_star. By default all.",
        ),
    ] = None,
    mean_fit: Annotated[
        bool,
        typer.Option(
            rich_help_panel=REGION_PANEL,
            help="Also fit the mean signal of each region, as its voxels were fitted.",
        ),
    ] = True,
    reliable: CountReliable = None,
    lesion: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=_LESION_PANEL,
            help="Region to compare with --reference, or with a ring around it.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=_LESION_PANEL,
            help="Region to compare with; with --ring, the region that the ring stays in.",
        ),
    ] = None,
    ring: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            show_default=False,
            rich_help_panel=_LESION_PANEL,
            help="Compare with a ring of this width around the lesion, inside the fitted mask "
            "or --reference.",
        ),
    ] = None,
    gap: Annotated[
        float,
        typer.Option(
            metavar="MM",
            rich_help_panel=_LESION_PANEL,
            help="Distance between lesion and ring, where voxels are mixed.",
        ),
    ] = 5.0,
    scan: FittedScan = None,
    bval: FittedBval = None,
    model: FittedModel = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="TABLE",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Also write all numbers: .csv, .tsv, .json or .xlsx. CSV and TSV get further "
            "files, TABLE_regions and TABLE_comparison.",
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Write this name into a column of the tables, for ivimkit repeat.",
        ),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Write the name of the session into a column of the tables.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Summarise the maps of a result region by region.

    Prints, for each region, its size, what became of its voxels, and mean, sd,
    median and quartiles of each map, how many voxels are reliable, and the fit of
    the region's mean signal.
    With --lesion also how it differs from its surroundings, the map that
    separates them best first. --out writes these and more: percentiles,
    skewness, kurtosis, entropy.

    [bold]Examples[/bold]

      ivimkit roi dwi_ivim --labels labels.nii.gz --names labels.csv
      ivimkit roi dwi_ivim --labels lesion.nii.gz --labels liver.nii.gz
                  --lesion lesion --reference liver --out table.csv
      ivimkit roi dwi_ivim --labels lesion.nii.gz --lesion lesion --ring 10
    """
    # Here and not above: --help must not wait for numpy and numba.
    from ivimkit.cli.jobs.roi_report import RegionReport
    from ivimkit.cli.screen.terminal import Screen

    report = RegionReport(
        screen=Screen(quiet=quiet, verbose=verbose),
        labels=labels,
        names=names,
        maps=maps,
        mean_fit=mean_fit,
        reliable=reliable,
        lesion=lesion,
        reference=reference,
        ring=ring,
        gap=gap,
        scan=scan,
        bval=bval,
        model=model,
        out=out,
        columns={"subject": subject, "session": session},
        overwrite=overwrite,
    )
    report.run(result)
