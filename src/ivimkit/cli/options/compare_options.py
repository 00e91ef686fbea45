"""CompareOptions: the options that say which models are compared, and how."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from ivimkit.cli.options.completion import complete_list
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
    SIGMA,
    MethodOptions,
    in_panel,
)

__all__ = ["CompareOptions", "Criterion", "TableFormat"]


class Criterion(StrEnum):
    """Choices of --criterion."""

    aicc = "aicc"
    bic = "bic"
    f_test = "f_test"
    evidence = "evidence"


class TableFormat(StrEnum):
    """Choices of --table."""

    csv = "csv"
    tsv = "tsv"
    json = "json"


@dataclass(frozen=True)
class CompareOptions:
    """The options of a comparison of models."""

    models: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE,...",
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete_list(lambda: (*model_names(), "all")),
            help=f"Models to compare: {', '.join(model_names())}, and Python files that define "
            "models, like biexp,./mine.py; or all, without those that the scan does not support.",
        ),
    ] = "monoexp,sivim,biexp"
    criterion: Annotated[
        Criterion,
        typer.Option(
            metavar="NAME",
            rich_help_panel=MODEL_PANEL,
            help="What to compare by: aicc, bic, f_test, or evidence (method bayes).",
        ),
    ] = Criterion.aicc
    alpha: Annotated[
        float,
        typer.Option(
            metavar="P",
            rich_help_panel=MODEL_PANEL,
            help="Level of the F-test: its rate of false positives in simple voxels.",
        ),
    ] = 0.05
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete(method_names),
            help="Fit method. By default varpro; for evidence, bayes with prior flat.",
        ),
    ] = None
    option: MethodOptions = None
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete(prior_names),
            help=f"Prior of method bayes: {', '.join(prior_names())}. By default flat.",
        ),
    ] = None
    organ: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete(organ_names),
            help=f"Organ of --prior organ: {', '.join(organ_names())}.",
        ),
    ] = None
    sigma: Annotated[str | None, in_panel(SIGMA, MODEL_PANEL)] = None
    table: Annotated[
        TableFormat,
        typer.Option(
            metavar="FORMAT",
            rich_help_panel=OUTPUT_PANEL,
            help="Format of the table of regions: csv, tsv or json.",
        ),
    ] = TableFormat.csv
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            rich_help_panel=OUTPUT_PANEL,
            help="Also write DIR/report.html: verdicts, table, maps, methods.",
        ),
    ] = False
