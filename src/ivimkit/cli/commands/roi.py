"""ivimkit roi: tables of regions, and a lesion against its surroundings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.result_options import FittedFiles
from ivimkit.cli.options.roi_options import RoiOptions
from ivimkit.cli.options.shared_options import (
    OUTPUT_PANEL,
    Json,
    Overwrite,
    ScreenOptions,
    out_option,
)

__all__ = ["roi"]


def roi(
    *,
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT", show_default=False, help="Folder that ivimkit fit has written."
        ),
    ],
    regions: RoiOptions,
    files: FittedFiles,
    out: Annotated[
        Path | None,
        out_option(
            "TABLE",
            "Also write all numbers: .csv, .tsv, .json, .xlsx or .parquet. CSV, TSV and Parquet "
            "get further files, TABLE_regions and TABLE_comparison.",
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
    json: Json = False,
    screen: ScreenOptions,
) -> None:
    """Summarise the maps of a result region by region.

    Prints, for each region, its size, what became of its voxels, and mean, sd,
    median and quartiles of each map, how many voxels are reliable, and the fit of
    the region's mean signal.
    With --lesion, also how the lesion differs from its surroundings, beginning
    with the map that separates them best. --out writes these and more: percentiles,
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
        screen=Screen(**vars(screen), json=json),
        regions=regions,
        files=files,
        out=out,
        columns={"subject": subject, "session": session},
        overwrite=overwrite,
    )
    report.run(result)
