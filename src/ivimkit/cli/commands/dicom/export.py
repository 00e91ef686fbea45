"""ivimkit dicom export: a result as DICOM, for the PACS that its scan came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.export_options import ExportOptions
from ivimkit.cli.options.result_options import FittedFiles, RegionFiles
from ivimkit.cli.options.shared_options import Overwrite, ScreenOptions, out_option

__all__ = ["export"]


def export(
    *,
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT", show_default=False, help="Folder that ivimkit fit has written."
        ),
    ],
    out: Annotated[Path, out_option("FOLDER", "Where the DICOM files go; a new folder.")],
    output: ExportOptions,
    regions: RegionFiles,
    files: FittedFiles,
    overwrite: Overwrite = False,
    screen: ScreenOptions,
) -> None:
    """Write a result as DICOM, into the study that its scan came from.

    Kinds (--as): mr, a series of MR images per map, which every PACS shows;
    pm, Parametric Maps with the exact values; seg, the regions; sr, a report of
    their values with 95 % limits; sc, a picture. By default all that are
    possible. Exporting the same result again gives the same UIDs.

    [bold]Examples[/bold]

      ivimkit dicom export scan_ivim --out for_pacs
      ivimkit dicom export scan_ivim --out for_pacs --labels lesion.nii.gz
                  --labels liver.nii.gz --lesion lesion
      ivimkit dicom export dwi_ivim --template dicom/ --as mr --out for_pacs
    """
    # Here and not above: --help must not wait for numpy and numba.
    from ivimkit.cli.jobs.dicom_export import DicomExport
    from ivimkit.cli.screen.terminal import Screen

    job = DicomExport(
        screen=Screen(**vars(screen)),
        output=output,
        regions=regions,
        files=files,
        out=out,
        overwrite=overwrite,
    )
    job.run(result)
