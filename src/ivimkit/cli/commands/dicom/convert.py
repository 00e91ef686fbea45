"""ivimkit dicom convert: the scans of a folder of DICOM as NIfTI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ivimkit.cli.commands.dicom.list_folder import DicomInput
from ivimkit.cli.options.scan_options import (
    DropIncomplete,
    Images,
    ImagesOption,
    SeriesOption,
)
from ivimkit.cli.options.shared_options import Overwrite, ScreenOptions, out_option

__all__ = ["convert"]


def convert(
    *,
    folders: DicomInput,
    out: Annotated[Path, out_option("DIR", "Where to; created if needed.")],
    series: SeriesOption = None,
    images: ImagesOption = Images.auto,
    drop_incomplete: DropIncomplete = False,
    overwrite: Overwrite = False,
    screen: ScreenOptions,
) -> None:
    """Convert the diffusion scans of a folder of DICOM to NIfTI.

    Writes, for each scan, SERIES_DESCRIPTION.nii.gz with .bval, .bvec (if there
    are directions) and .json: scanner, sequence and times, without name, dates or
    UIDs. With --images auto, the means of directions of a scan that has both
    become a second image, SERIES_DESCRIPTION_trace.nii.gz.

    [bold]Examples[/bold]

      ivimkit dicom convert study --out nifti
      ivimkit dicom convert study.zip --series 5,7 --out nifti
    """
    # Here and not above: --help must not wait for pydicom and numpy.
    from ivimkit import io
    from ivimkit.cli.options.assignments import series_list
    from ivimkit.cli.process.run_log import begin_log
    from ivimkit.cli.screen.terminal import Screen

    shown = Screen(**vars(screen))
    begin_log()
    with shown.warnings_shown():
        written = io.convert_dicom(
            folders,
            out,
            series=series_list(series),
            images=images.value,
            drop_incomplete=drop_incomplete,
            overwrite=overwrite,
        )
    shown.show(*map(str, written))
