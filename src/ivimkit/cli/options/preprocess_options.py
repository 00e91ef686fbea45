"""The steps before a fit, as options."""

# No postponed annotations, which are made anew for each command: an option is one object.

from typing import Annotated

import typer

from ivimkit.cli.options.completion import complete_step
from ivimkit.cli.options.shared_options import VOLUME_PANEL

__all__ = ["PREPROCESS_PANEL", "Preprocess", "Steps"]

PREPROCESS_PANEL = "Steps"

Steps = Annotated[
    str,
    typer.Option(
        "--steps",
        metavar="auto|LIST",
        rich_help_panel=PREPROCESS_PANEL,
        autocompletion=complete_step,
        help="auto: what the scan needs. Or the steps in their order, with commas, each with "
        "options or without, like align:transform=affine,outliers. ivimkit methods lists them "
        "with their options.",
    ),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        metavar="auto|STEPS",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        autocompletion=complete_step,
        help="Steps before the fit, as of ivimkit preprocess: auto (what the scan needs), or a "
        "list like align,outliers. The scan that was fitted is saved in DIR/preprocessed.",
    ),
]
