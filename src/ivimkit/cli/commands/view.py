"""ivimkit view: inspect every voxel of a result, in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from ivimkit.cli.options.result_options import FittedFiles, RegionFiles, Results
from ivimkit.cli.options.shared_options import ScreenOptions

__all__ = ["view"]

_SERVER_PANEL = "The server"


def view(
    *,
    results: Results,
    regions: RegionFiles,
    files: FittedFiles,
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            metavar="N",
            show_default=False,
            rich_help_panel=_SERVER_PANEL,
            help="Port on this machine. By default any that is free.",
        ),
    ] = 0,
    browser: Annotated[
        bool,
        typer.Option(
            rich_help_panel=_SERVER_PANEL,
            help="Open the page in the browser, where there is a screen.",
        ),
    ] = True,
    screen: ScreenOptions,
) -> None:
    """Look into every voxel of a result, in the browser.

    Serves a page on this machine alone and prints its address, which holds a
    secret: nobody without it gets an answer. Maps and images in three planes;
    the signal, the curves and the estimates of the voxel under the pointer;
    the same voxel fitted in another way; regions drawn by hand with their
    statistics. Ends with Ctrl-C.

    [bold]Examples[/bold]

      ivimkit view dwi_ivim
      ivimkit view dwi_ivim --labels lesion.nii.gz --labels liver.nii.gz
      ivimkit view segmented varpro --scan dwi.nii.gz --port 8000 --no-browser
    """
    # Here and not above: --help must not wait for numpy and the server.
    from ivimkit.cli.jobs.view_run import ResultView
    from ivimkit.cli.screen.terminal import Screen

    ResultView(
        screen=Screen(**vars(screen)),
        regions=regions,
        files=files,
        port=port,
        browser=browser,
    ).run(results)
