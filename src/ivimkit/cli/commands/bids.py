"""ivimkit bids: a whole data set, as a BIDS app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.bids_options import (
    BidsDataset,
    BidsFit,
    BidsMachine,
    BidsOutput,
    BidsReading,
    Level,
    Preprocess,
)
from ivimkit.cli.options.shared_options import ScreenOptions

__all__ = ["bids"]


def bids(
    *,
    ctx: typer.Context,
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="BIDS_DIR",
            show_default=False,
            help="Root of a BIDS data set; or a table (TSV, CSV) with columns participant_id, "
            "scan and, as needed, session_id, run, bval, mask, labels.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT_DIR", show_default=False, help="Folder of the derivatives."),
    ],
    level: Annotated[
        Level,
        typer.Argument(
            metavar="participant|group",
            show_default=False,
            help="Maps of each scan, or afterwards tables and a page of all.",
        ),
    ],
    chosen: BidsDataset,
    reading: BidsReading,
    preprocess: Preprocess = None,
    setup: BidsFit,
    output: BidsOutput,
    machine: BidsMachine,
    screen: ScreenOptions,
) -> None:
    """Fit all diffusion scans of a BIDS data set, and summarise the group.

    participant writes maps with BIDS names (..._model-ivim_param-D_dwimap.nii.gz),
    a table of regions, figures and a report for each scan, and index.html.
    group writes group_regions.tsv, group_wide.tsv, Parquet and group.html.

    A run that was interrupted, even killed, goes on where it stopped when it is
    started again: scans are fitted once for the same inputs and options.

    Exit codes: 0 done, 1 some scans failed (the others are done), 2 nothing could
    be started or written. Scans that do not suit the model are listed; that is
    not an error.

    [bold]Examples[/bold]

      ivimkit bids data out participant --derivatives seg=data/derivatives/seg
      ivimkit bids data out participant --participant-label 01,02 --mask liver
      ivimkit bids data out participant --method bayes --no-reports --n-procs 8
      ivimkit bids data out participant --slurm 20 > array.sh; sbatch array.sh
      ivimkit bids paths.tsv out participant --dry-run
      ivimkit bids data out group
    """
    # Here and not above: --help must not wait for numpy and numba.
    from ivimkit.cli.jobs.bids_run import BidsRun
    from ivimkit.cli.options.fit_setup import FitSetup
    from ivimkit.cli.options.scan_input import ScanInput
    from ivimkit.cli.screen.terminal import Screen

    job = BidsRun(
        ctx=ctx,
        screen=Screen(**vars(screen)),
        dataset=dataset,
        out=out,
        chosen=chosen,
        scan=ScanInput(**vars(reading)),
        setup=FitSetup(**vars(setup), b_unit=reading.b_unit),
        steps=preprocess,
        output=output,
        machine=machine,
    )
    raise typer.Exit(job.group() if level is Level.group else job.participant())
