"""ivimkit report: one HTML page on a result, or on two side by side."""

from __future__ import annotations

import typer

from ivimkit.cli.options.report_options import ReportOptions
from ivimkit.cli.options.result_options import Results
from ivimkit.cli.options.shared_options import ScreenOptions

__all__ = ["report"]


def report(
    *,
    ctx: typer.Context,
    results: Results,
    page: ReportOptions,
    screen: ScreenOptions,
) -> None:
    """Make one HTML page on a result, or on two results side by side.

    First what was found, with its limits, in a sentence, a picture and six numbers,
    and how far to trust it. Below, folded: traffic lights with reasons, the
    acquisition, maps, histograms, regions, curves, status and residuals, a methods
    paragraph with its references, and how to run the fit again. The page is one
    file: it opens without internet, prints to A4 and names no patient.

    A folder or ZIP archive of DICOM is fitted first, with the defaults of ivimkit
    fit, next to it: study_ivim for study.

    [bold]Examples[/bold]

      ivimkit report dwi_ivim
      ivimkit report dwi_ivim --labels lesion.nii.gz --lesion lesion --out r.html
      ivimkit report dwi_ivim --labels rois.nii.gz --lesion 1 --reference 2
      ivimkit report dwi_ivim --pdf
      ivimkit report before after --show-names
      ivimkit report study
    """
    # Here and not above: --help must not wait for numpy and matplotlib.
    from ivimkit.cli.jobs.report_run import ReportRun
    from ivimkit.cli.screen.terminal import Screen

    ReportRun(ctx=ctx, screen=Screen(**vars(screen)), page=page).run(results)
