"""Scans as scanners and archives hand them out, and results for them: DICOM, read and written.

Nothing here is imported before a folder, an archive or a DICOM file is given: pydicom is an extra,
``pip install 'ivimkit[dicom]'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ivimkit.io.dicom.extra import require_dicom
from ivimkit.io.dicom.files import is_dicom_input
from ivimkit.io.dicom.saving import save_dicom
from ivimkit.io.dicom.series_choice import DicomChoice, SeriesChoice
from ivimkit.io.dicom.template import with_template

if TYPE_CHECKING:
    from ivimkit.io.dicom.scans import DicomContents, DicomScan

__all__ = [
    "convert_dicom",
    "find_scans",
    "is_dicom_input",
    "list_dicom",
    "save_dicom",
    "with_template",
]


def find_scans(
    folder: str | PathLike[str] | Sequence[str | PathLike[str]],
) -> list[DicomScan]:
    """Return the diffusion scans of a folder, a ZIP archive or a list of DICOM files.

    Only headers are read.

    Parameters
    ----------
    folder : path or sequence of paths
        Folders, with all folders in them, ZIP archives and files.

    Returns
    -------
    list of DicomScan
        Each is one series, or several that are one acquisition, such as one series per b-value.
        Where a scan has both single directions and their means, there is one of each kind.

    Raises
    ------
    FileFormatError
        If something cannot be read, or there are no DICOM images.
    InputError
        If pydicom is not installed.

    Examples
    --------
    >>> import ivimkit as ik
    >>> for scan in ik.io.find_scans("study"):  # doctest: +SKIP
    ...     print(scan.description, scan.kind, scan.bvals, scan.shape, scan.problems)
    """
    return list(list_dicom(folder).scans)


def list_dicom(
    folder: str | PathLike[str] | Sequence[str | PathLike[str]],
) -> DicomContents:
    """Return what a folder, a ZIP archive or a list of DICOM files contains.

    Parameters
    ----------
    folder : path or sequence of paths
        Folders, with all folders in them, ZIP archives and files.

    Returns
    -------
    DicomContents
        The scans, the series that belong to none with the reason, and the number of other files.

    Raises
    ------
    FileFormatError
        If something cannot be read, or there are no DICOM images.
    InputError
        If pydicom is not installed.

    Examples
    --------
    >>> import ivimkit as ik
    >>> contents = ik.io.list_dicom("study")  # doctest: +SKIP
    >>> [(series.number, series.reason) for series in contents.others]  # doctest: +SKIP
    [(16, 'no diffusion: no b-value')]
    """
    require_dicom()
    from ivimkit.io.dicom.choice import contents_of

    return contents_of(folder)


def convert_dicom(
    folder: str | PathLike[str] | Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    series: SeriesChoice | None = None,
    images: str = "auto",
    drop_incomplete: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Convert the diffusion scans of a folder, a ZIP archive or a list of DICOM files to NIfTI.

    Each scan becomes ``SERIES_DESCRIPTION.nii.gz`` with ``.bval``, ``.bvec`` if it has directions,
    ``_volumes.tsv`` if echo times differ, and ``.json``, which contains no names, dates or UIDs.

    Parameters
    ----------
    folder : path or sequence of paths
        Folders, with all folders in them, ZIP archives and files.
    out : path
        Where to; created if needed.
    series : int, str or sequence of these, optional
        Series to convert, by number or UID: one scan. By default each scan.
    images : {"auto", "directions", "trace"}
        Of a scan that has both: directions and means as two images, or one of them.
    drop_incomplete : bool
        Leave out volumes with missing or doubled slices, which are an error otherwise.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    list of Path
        The images.

    Raises
    ------
    FileFormatError
        If something cannot be read, or there are no DICOM images.
    AcquisitionError
        If there is no scan, or one is not complete.
    OptionError
        If `images` is unknown, or there is no such series.
    OutputExistsError
        If there are such files and overwriting was not asked for.
    InputError
        If pydicom is not installed.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.io.convert_dicom("study", "nifti")  # doctest: +SKIP
    [PosixPath('nifti/5_ep2d_diff_ivim.nii.gz')]
    """
    choice = DicomChoice(series, images, drop_incomplete)
    require_dicom()
    from ivimkit.io.dicom.converting import converted_scans, write_converted

    given = [folder] if isinstance(folder, str | PathLike) else list(folder)
    scans = converted_scans(folder, choice)
    return write_converted(scans, [*map(Path, given)], Path(out), overwrite=overwrite)
