"""Options of the commands that take saved results: the files that go with them, and regions."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.completion import complete_region
from ivimkit.cli.options.shared_options import MODEL_PANEL, REGION_PANEL, SCAN_PANEL

__all__ = [
    "GAP",
    "LABELS",
    "REFERENCE",
    "CountReliable",
    "FittedBval",
    "FittedFiles",
    "FittedModel",
    "LabelNames",
    "RegionFiles",
    "Results",
]

Results = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULT",
        show_default=False,
        help="Folder that ivimkit fit has written; two are shown side by side.",
    ),
]
FittedBval = Annotated[
    Path | None,
    typer.Option(
        "--bval",
        metavar="FILE|LIST",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="Its b-values, as a file or as numbers, if they are not next to --scan.",
    ),
]
FittedModel = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
        help="Python file of the model that was fitted, if it is your own: results do not "
        "contain its equation, and no code of a result is ever run.",
    ),
]
# Some commands need regions, some can do without: the types differ.
LABELS = typer.Option(
    "--labels",
    metavar="FILE",
    show_default=False,
    rich_help_panel=REGION_PANEL,
    help="Label image, or masks (repeatable), whose regions are named after the files. Where "
    "masks overlap, a voxel belongs to the one named first: the lesion before its organ.",
)
LabelNames = Annotated[
    Path | None,
    typer.Option(
        "--names",
        metavar="FILE",
        show_default=False,
        rich_help_panel=REGION_PANEL,
        help="Names of a label image: CSV, TSV, JSON, ITK-SNAP label description or FreeSurfer "
        "colour table.",
    ),
]
CountReliable = Annotated[
    bool | None,
    typer.Option(
        "--reliable/--no-reliable",
        show_default=False,
        rich_help_panel=REGION_PANEL,
        help="Count reliable voxels only, whose value the data identify, or all. By default all "
        "in tables of regions, reliable ones where a lesion is compared.",
    ),
]
# Commands show these options in different panels, see `in_panel`.
REFERENCE = typer.Option(
    metavar="NAME",
    show_default=False,
    autocompletion=complete_region,
    help="Region to compare the lesion with; with --ring, the region that the ring stays in.",
)
GAP = typer.Option(metavar="MM", help="Distance between lesion and ring, where voxels are mixed.")


@dataclass(frozen=True)
class FittedFiles:
    """Files that results do not contain."""

    scan: Annotated[
        Path | None,
        typer.Option(
            "--scan",
            metavar="FILE",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="The scan, for its images and signals. By default the file that was fitted, if "
            "it is still there and unchanged.",
        ),
    ] = None
    bval: FittedBval = None
    model: FittedModel = None


@dataclass(frozen=True)
class RegionFiles:
    """Regions that a command can do without."""

    labels: Annotated[list[Path] | None, LABELS] = None
    names: LabelNames = None
