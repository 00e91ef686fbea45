"""ivimkit report: one HTML page on a result, or on two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.shared_options import (
    LABELS,
    OUTPUT_PANEL,
    REGION_PANEL,
    SCAN_PANEL,
    CountReliable,
    FittedBval,
    FittedModel,
    LabelNames,
    Overwrite,
    Quiet,
    ShownUnreliable,
    Unreliable,
    Verbose,
)

__all__ = ["report"]


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT",
            show_default=False,
            help="Folder that ivimkit fit has written; two are shown side by side.",
        ),
    ],
    labels: Annotated[list[Path] | None, LABELS] = None,
    names: LabelNames = None,
    lesion: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            help="Region to look at: its name or number, or the mask file's name without ending.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            help="Region to compare the lesion with; with --ring, the region that the ring stays "
            "in.",
        ),
    ] = None,
    ring: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            help="Compare with a ring of this width around the lesion, inside the fitted mask or "
            "--reference. By default 10, without --reference.",
        ),
    ] = None,
    gap: Annotated[
        float,
        typer.Option(
            metavar="MM",
            rich_help_panel=REGION_PANEL,
            help="Distance between lesion and ring, where voxels are mixed.",
        ),
    ] = 5.0,
    reliable: CountReliable = None,
    scan: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="The scan, for images, curves and residuals. By default the file that was "
            "fitted, if it is still there and unchanged. Give it twice if the second result has "
            "another.",
        ),
    ] = None,
    bval: FittedBval = None,
    model: FittedModel = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="The page. By default RESULT/report.html; of two results, comparison.html next "
            "to the first.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    title: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Title of the page. By default the model.",
        ),
    ] = None,
    unreliable: ShownUnreliable = Unreliable.fade,
    show_names: Annotated[
        bool,
        typer.Option(
            "--show-names",
            rich_help_panel=OUTPUT_PANEL,
            help="Show names of files and folders and the command that was typed. By default they "
            "are left out: they may contain the name of a patient.",
        ),
    ] = False,
    open_: Annotated[
        bool,
        typer.Option("--open", rich_help_panel=OUTPUT_PANEL, help="Open the page in a browser."),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make one HTML page on a result, or on two results side by side.

    Traffic lights with reasons, the acquisition, maps, histograms, regions and
    the figure of a lesion, curves, status and residuals, a methods paragraph
    with its references, and how to run the fit again. The page is one file: it
    opens without internet, prints to A4 and names no patient.

    [bold]Examples[/bold]

      ivimkit report dwi_ivim
      ivimkit report dwi_ivim --labels lesion.nii.gz --lesion lesion --out r.html
      ivimkit report dwi_ivim --labels rois.nii.gz --lesion 1 --reference 2
      ivimkit report before after --show-names
    """
    # Here and not above: --help must not wait for numpy and matplotlib.
    from ivimkit.cli.jobs.report_run import ReportRun
    from ivimkit.cli.screen.terminal import Screen

    run = ReportRun(
        screen=Screen(quiet=quiet, verbose=verbose),
        labels=labels or (),
        label_names=names,
        lesion=lesion,
        reference=reference,
        ring=ring,
        gap=gap,
        reliable=reliable,
        scans=scan or (),
        bval=bval,
        model=model,
        title=title,
        unreliable=unreliable.value,
        show_names=show_names,
        open_page=open_,
    )
    run.run(results, out, overwrite=overwrite)
