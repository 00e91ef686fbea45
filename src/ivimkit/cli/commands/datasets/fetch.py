"""ivimkit datasets fetch: download a public scan, each file checked by its checksum."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.shared_options import Overwrite, ScreenOptions, out_option

__all__ = ["fetch"]


def fetch(
    *,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", show_default=False, help="Its name, as ivimkit datasets list has it."
        ),
    ],
    out: Annotated[
        Path | None,
        out_option("DIR", "Folder for the files. By default one in the cache of the user."),
    ] = None,
    overwrite: Overwrite = False,
    screen: ScreenOptions,
) -> None:
    r"""Download a public scan, or find it where an earlier call has put it.

    Each file is checked by its SHA-256 checksum, also when it is there already.
    All files appear together once they are complete, with dataset.json, which
    says where they come from, their terms of use and what to cite. Needs the
    extra datasets: pip install 'ivimkit\[datasets]'.

    [bold]Examples[/bold]

      ivimkit datasets fetch dipy-ivim --out brain
      ivimkit fit brain/ivim.nii.gz --mask auto --organ brain
    """
    # Here and not above: --help must not wait for what reads scans.
    from ivimkit.cli.jobs.dataset_fetch import DatasetFetch
    from ivimkit.cli.screen.terminal import Screen

    DatasetFetch(overwrite=overwrite, screen=Screen(**vars(screen))).run(name, out)
