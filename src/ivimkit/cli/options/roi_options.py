"""RoiOptions: the options that say which regions are summarised and compared."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.completion import complete_maps, complete_region
from ivimkit.cli.options.result_options import (
    GAP,
    LABELS,
    REFERENCE,
    CountReliable,
    LabelNames,
)
from ivimkit.cli.options.shared_options import REGION_PANEL, in_panel

__all__ = ["RoiOptions"]

_LESION_PANEL = "A lesion and its surroundings"


@dataclass(frozen=True)
class RoiOptions:
    """The regions, the maps, and the lesion."""

    labels: Annotated[list[Path], LABELS]
    names: LabelNames = None
    maps: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            autocompletion=complete_maps,
            help="Maps to summarise, like D,f,D_star. By default all.",
        ),
    ] = None
    mean_fit: Annotated[
        bool,
        typer.Option(
            rich_help_panel=REGION_PANEL,
            help="Also fit the mean signal of each region, as its voxels were fitted.",
        ),
    ] = True
    reliable: CountReliable = None
    lesion: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=_LESION_PANEL,
            autocompletion=complete_region,
            help="Region to compare with --reference, or with a ring around it.",
        ),
    ] = None
    reference: Annotated[str | None, in_panel(REFERENCE, _LESION_PANEL)] = None
    ring: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            show_default=False,
            rich_help_panel=_LESION_PANEL,
            help="Compare with a ring of this width around the lesion, inside the fitted mask "
            "or --reference.",
        ),
    ] = None
    gap: Annotated[float, in_panel(GAP, _LESION_PANEL)] = 5.0
