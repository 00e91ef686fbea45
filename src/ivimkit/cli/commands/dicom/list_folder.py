"""ivimkit dicom list: what a folder of DICOM contains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.shared_options import Json

__all__ = ["DicomInput", "list_folder"]

DicomInput = Annotated[
    list[Path],
    typer.Argument(
        metavar="FOLDER",
        show_default=False,
        help="Folders with all folders in them, ZIP archives, or files of DICOM; together one "
        "study or several.",
    ),
]


def list_folder(
    *,
    folders: DicomInput,
    json: Json = False,
) -> None:
    """List the studies and scans of a folder of DICOM.

    Prints, for each study, what can be fitted: series, kind of the images,
    b-values, volumes, slices and matrix, with what is wrong with them; then the
    series that cannot be fitted and why, and how many other files there are. No
    name of a patient is printed. Only headers are read.

    [bold]Examples[/bold]

      ivimkit dicom list study
      ivimkit dicom list study.zip --json
    """
    # Here and not above: --help must not wait for pydicom and numpy.
    from ivimkit.cli.jobs.dicom_listing import DicomListing

    DicomListing(as_json=json).run(folders)
