"""ArtefactOptions: the options that say what goes wrong in a simulated scan."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from typing import Annotated

import typer

__all__ = ["ArtefactOptions"]

_PANEL = "What goes wrong"


@dataclass(frozen=True)
class ArtefactOptions:
    """Motion, drift, drop-outs and ringing of a scan to simulate."""

    motion: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:MM",
            rich_help_panel=_PANEL,
            help="Motion from volume to volume: rigid, affine, breathing or slices, with the root "
            "mean square displacement, like rigid:5.",
        ),
    ] = None
    drift: Annotated[
        str | None,
        typer.Option(
            metavar="[KIND:]PERCENT",
            rich_help_panel=_PANEL,
            help="Signal lost from the first volume to the last, linear or quadratic, like "
            "quadratic:5; by default linear.",
        ),
    ] = None
    dropouts: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=_PANEL,
            help="Slices of volumes, with b from 50, that lose signal.",
        ),
    ] = None
    dropout_loss: Annotated[
        str | None,
        typer.Option(
            metavar="LOW:HIGH",
            rich_help_panel=_PANEL,
            help="Share of the signal that they lose; by default 0.2:0.6.",
        ),
    ] = None
    ringing: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=_PANEL,
            help="Gibbs ringing: share of the lines of the image that were acquired, 1 for all; "
            "the others are filled with zeros.",
        ),
    ] = None
    partial_fourier: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            rich_help_panel=_PANEL,
            help="Share of these lines that were measured, from 0.55; with ringing.",
        ),
    ] = None
