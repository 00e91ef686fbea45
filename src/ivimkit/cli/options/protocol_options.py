"""ProtocolOptions: the options that say which volumes a simulated scan has."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.scan_options import BUnit, EchoTimes, UnitOfB
from ivimkit.cli.options.shared_options import SCAN_PANEL

__all__ = ["ProtocolOptions"]


@dataclass(frozen=True)
class ProtocolOptions:
    """The volumes of a scan to simulate, in the words of the options of a fit."""

    bvals: Annotated[
        str | None,
        typer.Option(
            "--bvals",
            "--bval",
            metavar="LIST|FILE",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="b-values, like 0,50,800, or a file; repeated ones become repeated volumes. b13 "
            "and b21 are two sets from 0 to 800 and to 1000. By default those of --variables, or "
            "b13.",
        ),
    ] = None
    bvec: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="Directions of the volumes.",
        ),
    ] = None
    variables: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="What differs from volume to volume (b, echo_time, diffusion_time, ...): a TSV "
            "or CSV file with a header and one row per volume.",
        ),
    ] = None
    te: EchoTimes = None
    b_unit: UnitOfB = BUnit.s_mm2
