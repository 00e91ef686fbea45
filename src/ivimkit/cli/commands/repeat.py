"""ivimkit repeat: how repeatable numbers are, and which changes are real."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.repeat_options import RepeatOptions
from ivimkit.cli.options.shared_options import Json, ScreenOptions

__all__ = ["repeat"]


def repeat(
    *,
    scans: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT|TABLE",
            show_default=False,
            help="Folders that ivimkit fit has written, or tables of ivimkit roi, in the order "
            "of the scans of each subject.",
        ),
    ],
    options: RepeatOptions,
    json: Json = False,
    screen: ScreenOptions,
) -> None:
    """Measure how repeatable region values are, or which changes are real.

    From two or more scans of unchanged subjects: within-subject standard deviation
    and coefficient of variation, repeatability coefficient (RC: two scans differ
    by less in 95 % of cases), intraclass correlation ICC(3,1), bias and limits of
    agreement. With --change, for scans before and after: a change is significant
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

    RepeatReport(screen=Screen(**vars(screen), json=json), options=options).run(scans)
