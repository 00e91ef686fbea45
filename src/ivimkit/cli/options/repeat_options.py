"""RepeatOptions: the options that say what is compared between scans, and what is written."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.completion import complete_maps, complete_region
from ivimkit.cli.options.result_options import FittedModel, LabelNames
from ivimkit.cli.options.shared_options import OUTPUT_PANEL, REGION_PANEL, Overwrite, out_option

__all__ = ["RepeatOptions", "Statistic"]

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


@dataclass(frozen=True)
class RepeatOptions:
    """The subjects and regions, the change, and the output."""

    subject: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel="Subjects",
            help="Subject of each RESULT or TABLE, like anna,anna,bert,bert. By default the sub-* "
            "in their paths, or that of the tables; otherwise all are of one subject.",
        ),
    ] = None
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
    ] = None
    names: LabelNames = None
    maps: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            autocompletion=complete_maps,
            help="Maps, like ADC,D,f. By default those of ADC, D, f, D_star and fD_star that "
            "there are.",
        ),
    ] = None
    statistic: Annotated[
        Statistic,
        typer.Option(
            metavar="NAME",
            rich_help_panel=REGION_PANEL,
            help="Value that represents a region: mean, median, p5, q25, q75, p95, or roi_fit, "
            "the fit of its mean signal.",
        ),
    ] = Statistic.median
    reliable: Annotated[
        bool,
        typer.Option(
            "--reliable",
            rich_help_panel=REGION_PANEL,
            help="Count reliable voxels only, whose value the data identify.",
        ),
    ] = False
    model: FittedModel = None
    change: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            show_default=False,
            rich_help_panel=_CHANGE_PANEL,
            help="Repeatability that ivimkit repeat has written: judge the change from the first "
            "to each later scan against it.",
        ),
    ] = None
    like: Annotated[
        str | None,
        typer.Option(
            metavar="REGION",
            show_default=False,
            rich_help_panel=_CHANGE_PANEL,
            autocompletion=complete_region,
            help="Region whose repeatability holds for all regions. By default each has its own.",
        ),
    ] = None
    relative: Annotated[
        bool,
        typer.Option(
            "--relative",
            rich_help_panel=_CHANGE_PANEL,
            help="Judge changes as shares of the first value.",
        ),
    ] = False
    out: Annotated[
        Path | None,
        out_option(
            "TABLE",
            "Also write all numbers: .csv, .tsv, .json, .xlsx or .parquet, with the values they "
            "are from (TABLE_values).",
        ),
    ] = None
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Also draw the Bland-Altman plots of the first two scans (.png).",
        ),
    ] = None
    overwrite: Overwrite = False
