"""convert_dicom: the scans of DICOM files as NIfTI, with b-values, directions and a sidecar."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

from ivimkit.errors import AcquisitionError
from ivimkit.io.dicom.choice import AnyPaths, chosen_scan, contents_of, scan_names
from ivimkit.io.dicom.element import number, text
from ivimkit.io.dicom.kinds import Kind
from ivimkit.io.dicom.loading import DicomFiles
from ivimkit.io.dicom.scans import DicomContents, DicomScan
from ivimkit.io.dicom.series_choice import DicomChoice
from ivimkit.io.json_text import write_json
from ivimkit.io.map_files import save_scan
from ivimkit.io.result_folder import absolute, check_free
from ivimkit.io.variable_files import TABLE_ENDINGS
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI
from ivimkit.writing import write_folder

__all__ = ["converted_scans", "write_converted"]

_LETTERS = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_LETTERS = 60
_SECOND_MS = 1000.0
_DIGITS = 9
# Fields of BIDS, with their elements. None of them identifies a person or a study.
_TEXTS = {
    "Manufacturer": "Manufacturer",
    "ManufacturersModelName": "ManufacturerModelName",
    "SoftwareVersions": "SoftwareVersions",
    "SeriesDescription": "SeriesDescription",
    "ProtocolName": "ProtocolName",
    "BodyPart": "BodyPartExamined",
    "PatientPosition": "PatientPosition",
    "ScanningSequence": "ScanningSequence",
    "SequenceVariant": "SequenceVariant",
    "MRAcquisitionType": "MRAcquisitionType",
}
_NUMBERS = {
    "MagneticFieldStrength": ("MagneticFieldStrength", 1.0),
    "RepetitionTime": ("RepetitionTime", _SECOND_MS),
    "FlipAngle": ("FlipAngle", 1.0),
    "SliceThickness": ("SliceThickness", 1.0),
    "SpacingBetweenSlices": ("SpacingBetweenSlices", 1.0),
}


def converted_scans(given: AnyPaths, choice: DicomChoice) -> dict[str, DicomScan]:
    """Return the scans to convert by the names of their files, without ending.

    Parameters
    ----------
    given : path or sequence of paths
        Folders, ZIP archives and files.
    choice : DicomChoice
        Which series and images: with ``"auto"`` both directions and means.

    Raises
    ------
    FileFormatError
        If there are no DICOM images.
    AcquisitionError
        If there is no scan, or one is not complete.
    OptionError
        If there is no such series.
    """
    contents = contents_of(given, choice)
    kinds = {"auto": None, "directions": Kind.DWI, "trace": Kind.TRACE}
    wanted = kinds[choice.images]
    found = [scan for scan in contents.scans if wanted in (None, scan.kind)]
    path = str(given if isinstance(given, str | PathLike) else next(iter(given)))
    if not found:
        # Says why there is none.
        found = [chosen_scan(contents, path, choice)]
    for scan in found:
        only = DicomContents((scan,), (), contents.skipped)
        chosen_scan(only, path, DicomChoice(drop_incomplete=choice.drop_incomplete))
    names = [_name(scan) for scan in found]
    for name, count in Counter(names).items():
        if count > 1:
            alike = [scan for scan, own in zip(found, names, strict=True) if own == name]
            raise AcquisitionError(
                f"{path}: {scan_names(alike)} would both become {name}; expected different "
                "series numbers or descriptions. Convert them one by one, by UID (--series)"
            )
    return dict(zip(names, found, strict=True))


def _name(scan: DicomScan) -> str:
    """Return series and description as the name of a file."""
    series = "-".join(map(str, scan.series_numbers[:2]))
    words = _LETTERS.sub("_", scan.description).strip("_")[:_MAX_LETTERS]
    ending = "trace" if scan.kind is Kind.TRACE and "trace" not in words.lower() else ""
    return "_".join(part for part in (series, words or "dwi", ending) if part)


def write_converted(
    scans: dict[str, DicomScan], given: Sequence[Path], folder: Path, *, overwrite: bool
) -> list[Path]:
    """Write scans as NIfTI; all files of one appear at once.

    Parameters
    ----------
    scans : dict of str to DicomScan
        Scans by name.
    given : sequence of Path
        Where they are from.
    folder : Path
        Where to.
    overwrite : bool
        Whether files of the same names may be replaced.

    Returns
    -------
    list of Path
        The images.

    Raises
    ------
    OutputExistsError
        If there are such files and overwriting was not asked for.
    FileFormatError
        If a file is damaged, or compressed in a way that cannot be decoded.
    """
    home = absolute(folder)
    opened = {name: DicomFiles(scan, tuple(given)) for name, scan in scans.items()}
    check_free(
        home,
        [file for name, files in opened.items() for file in _files(name, files)],
        overwrite=overwrite,
    )
    for name, files in opened.items():
        signal, sources = files.read()
        dwi = DWI(
            signal,
            Acquisition(files.bvals, files.bvecs, variables=files.variables),
            geometry=files.geometry,
            sources=sources,
        )
        outdated = [f"{name}.bvec", f"{name}{TABLE_ENDINGS[0]}"]
        write_folder(
            home, _files(name, files), partial(_write, name, dwi, files.scan), outdated=outdated
        )
    return [folder / f"{name}.nii.gz" for name in opened]


def _files(name: str, files: DicomFiles) -> list[str]:
    """Return the names of the files of a scan; the image last."""
    found = [f"{name}.bval", f"{name}.json"]
    found += [] if files.bvecs is None else [f"{name}.bvec"]
    found += [f"{name}{TABLE_ENDINGS[0]}"] if files.variables else []
    return [*found, f"{name}.nii.gz"]


def _write(name: str, dwi: DWI, scan: DicomScan, stage: Path) -> None:
    save_scan(dwi, stage / f"{name}.nii.gz")
    write_json(stage / f"{name}.json", _sidecar(scan))


def _sidecar(scan: DicomScan) -> dict[str, Any]:
    """Return what BIDS calls the metadata of a scan; without names, dates and UIDs."""
    header = scan.header
    texts = {field: text(header, keyword) for field, keyword in _TEXTS.items()}
    numbers = {
        field: round(value / divisor, _DIGITS)
        for field, (keyword, divisor) in _NUMBERS.items()
        if (value := number(header, keyword)) is not None
    }
    series = list(scan.series_numbers)
    times = {volume.echo_time for volume in scan.volumes}
    echo_time = round(times.pop() / _SECOND_MS, _DIGITS) if len(times) == 1 else 0.0
    return {
        "Modality": "MR",
        **{field: value for field, value in texts.items() if value},
        "SeriesNumber": series[0] if len(series) == 1 else series,
        **({"EchoTime": echo_time} if echo_time else {}),
        **numbers,
        **scan.k_space,
        "ImageType": text(header, "ImageType").split("\\"),
        "BValueSource": sorted({frame.b_from for frame in scan.frames}),
        "Notes": [*scan.warnings, *scan.notes, *scan.problems],
        "ConversionSoftware": "ivimkit",
        "ConversionSoftwareVersion": version("ivimkit"),
    }
