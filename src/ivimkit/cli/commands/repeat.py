"""ivimkit repeat: how repeatable numbers are, and which changes are real."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.shared_options import (
    OUTPUT_PANEL,
    REGION_PANEL,
    FittedModel,
    LabelNames,
    Overwrite,
    Quiet,
    Verbose,
)

__all__ = ["repeat"]

_CHANGE_PANEL = "Change"


class Statistic(StrEnum):
    """Choices of --statistic."""

    mean = "mean"
    median = "median"
    p5 = "p5"
    q25 = "q25"
    q75 = "q75"
    p95 = "p95"
    roi_fit = "roi_fit"


def repeat(
    scans: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT|TABLE",
            show_default=False,
            help="Folders that ivimkit fit has written, or tables of ivimkit roi, in the order "
            "of the scans of each subject.",
        ),
    ],
    subject: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel="Subjects",
            help="Subject of each RESULT or TABLE, like anna,anna,bert,bert. By default the sub-* "
            "in their paths, or that of the tables; otherwise all are of one subject.",
        ),
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            help="Label image, or masks (repeatable): of each RESULT the file of this name in "
            "its folder, or next to it; otherwise this file for all. By default the fitted voxels "
            "are one region.",
        ),
    ] = None,
    names: LabelNames = None,
    maps: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            help="Maps, like ADC,D,f. By default those of ADC, D, f, D_star and fD_star that "
            "there are.",
        ),
    ] = None,
    statistic: Annotated[
        Statistic,
        typer.Option(
            metavar="NAME",
            rich_help_panel=REGION_PANEL,
            help="Value that represents a region: mean, median, p5, q25, q75, p95, or roi_fit, "
            "the fit of its mean signal.",
        ),
    ] = Statistic.median,
    reliable: Annotated[
        bool,
        typer.Option(
            "--reliable",
            rich_help_panel=REGION_PANEL,
            help="Count reliable voxels only, whose value the data identify.",
        ),
    ] = False,
    model: FittedModel = None,
    change: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            show_default=False,
            rich_help_panel=_CHANGE_PANEL,
            help="Repeatability that ivimkit repeat has written: judge the change from the first "
            "to each later scan against it.",
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="REGION",
            show_default=False,
            rich_help_panel=_CHANGE_PANEL,
            help="Region whose repeatability holds for all regions. By default each has its own.",
        ),
    ] = None,
    relative: Annotated[
        bool,
        typer.Option(
            "--relative",
            rich_help_panel=_CHANGE_PANEL,
            help="Judge changes as shares of the first value.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="TABLE",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Also write all numbers: .csv, .tsv, .json or .xlsx, with the values they are "
            "from (TABLE_values).",
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Also draw the Bland-Altman plots of the first two scans (.png).",
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say how well the numbers of regions repeat, or which changes are real.

    Of two or more scans of unchanged subjects: standard deviation and coefficient
    of variation within subjects, repeatability coefficient (RC: two scans differ
    by less in 95 % of cases), intraclass correlation ICC(3,1), bias and limits of
    agreement. With --change, of scans before and after: a change is significant
    if it is larger than the RC.

    [bold]Examples[/bold]

      ivimkit repeat sub-*/ses-*/dwi_ivim --labels liver.nii.gz --out rc.csv
      ivimkit repeat first_ivim second_ivim --figure repeat.png
      ivimkit repeat a1.csv a2.csv b1.csv b2.csv --subject a,a,b,b
      ivimkit repeat before_ivim after_ivim --change rc.csv --like liver
    """
    # Here and not above: --help must not wait for numpy and numba.
    from ivimkit.cli.jobs.repeat_report import RepeatReport
    from ivimkit.cli.screen.terminal import Screen

    report = RepeatReport(
        screen=Screen(quiet=quiet, verbose=verbose),
        subject=subject,
        labels=labels or (),
        names=names,
        maps=maps,
        statistic=statistic.value,
        reliable=reliable,
        change=change,
        model=model,
        like=like,
        relative=relative,
        out=out,
        figure=figure,
        overwrite=overwrite,
    )
    report.run(scans)
