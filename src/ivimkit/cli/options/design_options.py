"""DesignOptions: the options that say what a protocol is designed for."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.fit_options import ModelName
from ivimkit.cli.options.plugin_names import complete, organ_names
from ivimkit.cli.options.scan_options import BUnit, UnitOfB
from ivimkit.cli.options.shared_options import MODEL_PANEL, SCAN_PANEL, Seed

__all__ = ["Criterion", "DesignOptions", "MagnitudeNoise", "SnrOfScan"]

_GOAL_PANEL = "What is best"
_ECHO_PANEL = "Echo time"
_ANSWER_PANEL = "Answers"

# As in cli/options: the tests compare these with those of ivimkit.planning.


class Criterion(StrEnum):
    """Choices of --criterion."""

    bayes = "bayes"
    crlb = "crlb"
    relative = "relative"


class MagnitudeNoise(StrEnum):
    """Choices of --noise."""

    rician = "rician"
    gaussian = "gaussian"


SnrOfScan = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="Signal at the lowest b-value by the noise of one volume. By default that of the "
        "scan, if it can be estimated.",
    ),
]


@dataclass(frozen=True)
class DesignOptions:
    """The tissue, the scan, the goal, and the questions to answer."""

    organ: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            metavar="NAME",
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete(lambda: (*organ_names(), "abdomen")),
            help=f"Whose tissue is measured: {', '.join(organ_names())}, or abdomen for all "
            "tissues of the phantom. By default the typical ranges of the model.",
        ),
    ] = None
    model: ModelName = "biexp"
    snr: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="Signal at b = 0 by the noise of one volume, which ivimkit check prints. With "
            "--gradient or --te-of-bmax, that at the echo time of b = 800. Required.",
        ),
    ] = None
    n: Annotated[
        int | None,
        typer.Option(
            "--n",
            metavar="N",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="Number of volumes. Or give --time.",
        ),
    ] = None
    time: Annotated[
        float | None,
        typer.Option(
            metavar="MIN",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="Scan time in minutes, instead of --n. Needs --tr.",
        ),
    ] = None
    tr: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="Time of one volume in seconds: TR, or the breathing cycle. The design shows its "
            "scan time.",
        ),
    ] = None
    noise: Annotated[
        MagnitudeNoise,
        typer.Option(
            metavar="KIND",
            rich_help_panel=SCAN_PANEL,
            help="rician (magnitude images) or gaussian.",
        ),
    ] = MagnitudeNoise.rician
    bmax: Annotated[
        float | None,
        typer.Option(
            metavar="B",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="Highest b-value. By default 800, or more if the model needs it.",
        ),
    ] = None
    candidates: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="Settings to choose from: b-values, or a TSV or CSV table with a column of each "
            "variable of the model (b, echo_time, ...). By default the steps of scanners.",
        ),
    ] = None
    b_unit: UnitOfB = BUnit.s_mm2
    gradient: Annotated[
        float | None,
        typer.Option(
            metavar="MT/M",
            show_default=False,
            rich_help_panel=_ECHO_PANEL,
            help="Gradient strength: the echo time grows with the highest b-value, as with two "
            "monopolar gradients. By default it does not.",
        ),
    ] = None
    te_of_bmax: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=_ECHO_PANEL,
            help="The echo times that the scanner shows instead: a TSV or CSV table with columns "
            "b and echo_time.",
        ),
    ] = None
    t2: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            show_default=False,
            rich_help_panel=_ECHO_PANEL,
            help="T2 of the tissue in ms. By default that of the organ at 3 T.",
        ),
    ] = None
    criterion: Annotated[
        Criterion,
        typer.Option(
            metavar="NAME",
            rich_help_panel=_GOAL_PANEL,
            help="Error to minimise: bayes (for fits by method bayes, which know a prior), "
            "relative (the sum of relative errors, for other fits), or crlb (their mean square).",
        ),
    ] = Criterion.bayes
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=W,...",
            show_default=False,
            rich_help_panel=_GOAL_PANEL,
            help="Weights of parameters, like D=2,D_star=0.5; 0 leaves one out. By default 1.",
        ),
    ] = None
    min_distinct: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            show_default=False,
            rich_help_panel=_GOAL_PANEL,
            help="Number of distinct b-values at least. By default 6, 3 of them up to 100; as "
            "many as the model has parameters if it has none of blood.",
        ),
    ] = None
    starts: Annotated[
        int,
        typer.Option(
            metavar="N", rich_help_panel=_GOAL_PANEL, help="Number of starts of the exchange."
        ),
    ] = 12
    compare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST|FILE|NAME",
            show_default=False,
            rich_help_panel=_ANSWER_PANEL,
            help="Your protocol, to compare: b-values like 0,10,50,800, a file of them, a scan, a "
            "table of variables, or a published set by name. Repeatable. Published sets for the "
            "organ are always compared.",
        ),
    ] = None
    wanted: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=ERROR",
            show_default=False,
            rich_help_panel=_ANSWER_PANEL,
            help="Print the SNR, or the number of volumes, for a wanted error, like D=5% of the "
            "typical value or f=0.02. Repeatable.",
        ),
    ] = None
    monte_carlo: Annotated[
        int | None,
        typer.Option(
            "--monte-carlo",
            metavar="N",
            show_default=False,
            rich_help_panel=_ANSWER_PANEL,
            help="Fit N simulated voxels, by varpro and, with an organ and criterion bayes, by "
            "bayes, to check the expected errors.",
        ),
    ] = None
    seed: Seed = 0
