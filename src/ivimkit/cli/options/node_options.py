"""Options that the commands of ``ivimkit node`` share."""

# No postponed annotations, which are made anew for each command: an option is one object.

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Config"]

Config = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        show_default=False,
        help="Settings of the node, in TOML.",
    ),
]
