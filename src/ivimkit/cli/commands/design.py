"""ivimkit design: which b-values to measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ivimkit.cli.options.design_options import DesignOptions
from ivimkit.cli.options.shared_options import Json, Overwrite, ScreenOptions, out_option

__all__ = ["design"]


def design(
    *,
    options: DesignOptions,
    out: Annotated[
        Path | None,
        out_option("DIR", "Write the design to this folder. By default it is only printed."),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    screen: ScreenOptions,
) -> None:
    """Design a protocol: the b-values and averages that measure an organ best.

    Prints the settings with their averages, in ascending and in scan order, the
    expected error of each parameter, and what published sets and your protocol
    give in the same scan time. With --out it writes dwi.bval (in scan order),
    protocol.tsv (settings and averages), protocol.json (everything), and
    design.png: the errors over the scan time.

    [bold]Examples[/bold]

      ivimkit design --organ liver --snr 40 --n 12
      ivimkit design --organ liver --snr 40 --time 4 --tr 5 --wanted D=5%

      ivimkit design --organ brain --snr 30 --n 21 --bmax 1000 --out plan
      ivimkit design --organ kidney --snr 30 --n 16 --gradient 45 --bmax 1200
    """
    # Here and not above: --help must not wait for numpy.
    from ivimkit.cli.jobs.design_run import DesignRun
    from ivimkit.cli.options.design_input import DesignInput
    from ivimkit.cli.screen.terminal import Screen

    run = DesignRun(screen=Screen(**vars(screen), json=json), request=DesignInput(**vars(options)))
    run.run(out, overwrite=overwrite)
