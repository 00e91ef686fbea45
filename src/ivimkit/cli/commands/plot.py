"""ivimkit plot: pictures of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.plot_options import PlotOptions
from ivimkit.cli.options.result_options import FittedFiles
from ivimkit.cli.options.shared_options import OUTPUT_PANEL, ScreenOptions, out_option

__all__ = ["plot"]


def plot(
    *,
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT",
            show_default=False,
            help="Folder that ivimkit fit has written; several are compared.",
        ),
    ],
    shown: PlotOptions,
    files: FittedFiles,
    out: Annotated[
        Path | None,
        out_option(
            "DIR",
            "Folder of the pictures. By default RESULT/figures; of several results, "
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
    screen: ScreenOptions,
) -> None:
    """Draw the maps of a result, or compare results.

    For one result: maps.png, status.png, histograms.png; residuals.png if the
    scan is available; uncertainty.png if the fit has standard deviations;
    prior.png of a fit by bayes, spectra.png of a fit by nnls. With --lesion
    also lesion.png: the lesion on the image at b = 800 and on the maps, with
    arrowheads. For several results: comparison.png, with their maps one below
    the other on the same scales. With --voxel also voxel_X_Y_Z.png: the measured
    signal, the curve of each fit, residuals and estimates, and the spectrum
    of a fit by nnls.

    [bold]Examples[/bold]

      ivimkit plot dwi_ivim --slice 3 --range D=0:3e-3
      ivimkit plot dwi_ivim --voxel 60,52,3 --scan dwi.nii.gz
      ivimkit plot dwi_ivim --lesion lesion.nii.gz --reliable
      ivimkit plot segmented trr varpro --out comparison
    """
    # Here and not above: --help must not wait for numpy and matplotlib.
    from ivimkit.cli.jobs.plot_run import ResultPlot
    from ivimkit.cli.screen.terminal import Screen

    request = ResultPlot(screen=Screen(**vars(screen)), shown=shown, files=files, dpi=dpi)
    request.run(results, out)
