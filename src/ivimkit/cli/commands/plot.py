"""ivimkit plot: pictures of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.plugin_names import complete, organ_names
from ivimkit.cli.options.shared_options import (
    OUTPUT_PANEL,
    FittedBval,
    FittedModel,
    FittedScan,
    Quiet,
    ShownUnreliable,
    Unreliable,
    Verbose,
)
from ivimkit.errors import OptionError

__all__ = ["plot"]

_SHOWN_PANEL = "What is shown"


def plot(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT",
            show_default=False,
            help="Folder that ivimkit fit has written; several are compared.",
        ),
    ],
    voxel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y,Z",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Also draw the signal and the curves of this voxel, counted from 0. Repeatable.",
        ),
    ] = None,
    slices: Annotated[
        list[int] | None,
        typer.Option(
            "--slice",
            metavar="Z",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Slice to show, from 0. Repeatable. By default up to three with data.",
        ),
    ] = None,
    maps: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Maps to show, like D,f,D_star.",
        ),
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="NAME=LOW:HIGH",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Range of a map, like D=0:3e-3 (mm²/s). Repeatable.",
        ),
    ] = None,
    organ: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            autocompletion=complete(organ_names),
            help=f"Ranges for: {', '.join(organ_names())}. By default those of the fit.",
        ),
    ] = None,
    unreliable: ShownUnreliable = Unreliable.fade,
    reliable: Annotated[
        bool,
        typer.Option(
            "--reliable",
            rich_help_panel=OUTPUT_PANEL,
            help="Show reliable voxels only: short for --unreliable hide.",
        ),
    ] = False,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Regions to draw histograms of, one by one: a label image, or masks "
            "(repeatable).",
        ),
    ] = None,
    lesion: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=_SHOWN_PANEL,
            help="Mask of a lesion, to draw it with arrowheads on image and maps.",
        ),
    ] = None,
    scan: FittedScan = None,
    bval: FittedBval = None,
    model: FittedModel = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Folder of the pictures. By default RESULT/figures; of several results, "
            "comparison next to the first. Pictures of the same names are replaced.",
        ),
    ] = None,
    dpi: Annotated[
        float | None,
        typer.Option(
            min=20,
            max=1200,
            metavar="N",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Resolution in dots per inch. By default 120.",
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw the maps of a result, or compare results.

    Of one result: maps.png, status.png, histograms.png; residuals.png if the
    scan is at hand; uncertainty.png if the fit has standard deviations;
    prior.png of a fit by bayes. With --lesion also lesion.png: the lesion on
    the image at b = 800 and on the maps, with arrowheads. Of several results:
    comparison.png, with their maps below each other on the same scales.
    With --voxel also voxel_X_Y_Z.png: the measured signal, the curve of each
    fit, residuals and estimates.

    [bold]Examples[/bold]

      ivimkit plot dwi_ivim --slice 3 --range D=0:3e-3
      ivimkit plot dwi_ivim --voxel 60,52,3 --scan dwi.nii.gz
      ivimkit plot dwi_ivim --lesion lesion.nii.gz --reliable
      ivimkit plot segmented trr varpro --out comparison
    """
    # Here and not above: --help must not wait for numpy and matplotlib.
    from ivimkit.cli.jobs.plot_run import ResultPlot
    from ivimkit.cli.screen.terminal import Screen

    request = ResultPlot(
        screen=Screen(quiet=quiet, verbose=verbose),
        voxels=voxel or (),
        slices=slices or (),
        maps=maps,
        limits=limits or (),
        organ=organ,
        unreliable=_shown(unreliable, reliable=reliable),
        labels=labels or (),
        lesion=lesion,
        scan=scan,
        bval=bval,
        model=model,
        dpi=dpi,
    )
    request.run(results, out)


def _shown(unreliable: Unreliable, *, reliable: bool) -> str:
    """Return how unreliable voxels are shown."""
    if reliable and unreliable is Unreliable.show:
        raise OptionError(
            "--reliable and --unreliable show contradict each other; expected one of them. Leave "
            "one out"
        )
    return Unreliable.hide.value if reliable else unreliable.value
