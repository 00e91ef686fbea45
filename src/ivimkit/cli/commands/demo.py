"""ivimkit demo: from a scan to maps, on a phantom whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.commands.simulate import Shape, Snr
from ivimkit.cli.options.shared_options import OUTPUT_PANEL, Overwrite, ScreenOptions, Seed

__all__ = ["demo"]


def demo(
    *,
    ctx: typer.Context,
    shape: Shape = "128,96,10",
    snr: Snr = 40.0,
    seed: Seed = 0,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", rich_help_panel=OUTPUT_PANEL, help="Where to write."
        ),
    ] = Path("ivimkit-demo"),
    overwrite: Overwrite = False,
    screen: ScreenOptions,
) -> None:
    """Simulate an abdomen, fit it by three methods and compare them with the truth.

    Writes the phantom, the maps of segmented, trr and varpro and their
    pictures, and prints the error per tissue and method, and how a lesion
    stands out from the liver around it in ADC, D and f. Files of an
    earlier demo in that folder are replaced.

    [bold]Example[/bold]

      ivimkit demo --out ivimkit-demo
    """
    # Here and not above: --help must not wait for numpy.
    from ivimkit.cli.jobs.demo_run import DemoRun
    from ivimkit.cli.jobs.simulate_files import PhantomFiles
    from ivimkit.cli.screen.terminal import Screen

    run = DemoRun(
        ctx=ctx,
        screen=Screen(**vars(screen)),
        phantom=PhantomFiles(shape=shape, snr=snr, seed=seed),
        folder=out,
    )
    run.run(overwrite=overwrite)
