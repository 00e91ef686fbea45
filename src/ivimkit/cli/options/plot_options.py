"""PlotOptions: the options that say what of results is drawn, and how."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.plugin_names import complete, organ_names
from ivimkit.cli.options.shared_options import OUTPUT_PANEL, ShownUnreliable, Unreliable

__all__ = ["PlotOptions"]

_SHOWN_PANEL = "What is shown"


@dataclass(frozen=True)
class PlotOptions:
    """What is drawn, and how."""

    voxel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y,Z",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Also draw the signal and the curves of this voxel, counted from 0. Repeatable.",
        ),
    ] = None
    slices: Annotated[
        list[int] | None,
        typer.Option(
            "--slice",
            metavar="Z",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Slice to show, from 0. Repeatable. By default up to three with data.",
        ),
    ] = None
    maps: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Maps to show, like D,f,D_star.",
        ),
    ] = None
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="NAME=LOW:HIGH",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Range of a map, like D=0:3e-3 (mm²/s). Repeatable.",
        ),
    ] = None
    organ: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            autocompletion=complete(organ_names),
            help=f"Ranges for: {', '.join(organ_names())}. By default those of the fit.",
        ),
    ] = None
    unreliable: ShownUnreliable = Unreliable.fade
    reliable: Annotated[
        bool,
        typer.Option(
            "--reliable",
            rich_help_panel=OUTPUT_PANEL,
            help="Show reliable voxels only: short for --unreliable hide.",
        ),
    ] = False
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Regions to draw histograms of, one by one: a label image, or masks "
            "(repeatable).",
        ),
    ] = None
    lesion: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Mask of a lesion, to draw it with arrowheads on image and maps.",
        ),
    ] = None
