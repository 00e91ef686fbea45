"""Inspection: which scans a study has, found by a child process.

What a peer sends is untrusted, and reading the headers of thousands of files takes memory: a child
process can neither take the node with it nor make it grow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ivimkit.errors import InputError

if TYPE_CHECKING:
    from ivimkit.io.dicom.scans import DicomContents, DicomScan
    from ivimkit.io.dicom.segmentation_files import SegmentationFile

__all__ = ["FoundScan", "Inspection", "inspect", "write_inspection"]

_MAX_REASONS = 3


class FoundScan(msgspec.Struct, frozen=True, kw_only=True):
    """A scan of a study.

    Parameters
    ----------
    series : tuple of str
        Series Instance UIDs.
    numbers : tuple of int
        Series Numbers.
    b_values : tuple of float
        Its different b-values, s/mm².
    description, protocol, body_part, manufacturer, station : str
        Header values.
    incomplete : str
        Which volumes lack slices; empty if none does.
    regions : tuple of str
        Series Instance UIDs of Segmentations in the same space that others have drawn.
    """

    series: tuple[str, ...]
    numbers: tuple[int, ...] = ()
    b_values: tuple[float, ...] = ()
    description: str = ""
    protocol: str = ""
    body_part: str = ""
    manufacturer: str = ""
    station: str = ""
    incomplete: str = ""
    regions: tuple[str, ...] = ()


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a study has.

    Parameters
    ----------
    scans : tuple of FoundScan
        The scans that can be fitted, or could with more images.
    reason : str
        Why there is none.
    patient : str
        Name and number of the patient, for logs that may have them.
    """

    scans: tuple[FoundScan, ...] = ()
    reason: str = ""
    patient: str = ""


def inspect(folder: Path) -> Inspection:
    """Return what a folder of DICOM files has.

    Parameters
    ----------
    folder : Path
        The folder of a study.
    """
    # Only here: the node itself needs nothing of what reads and fits scans.
    from ivimkit.io.dicom.choice import candidates, contents_of
    from ivimkit.io.dicom.segmentation_files import find_segmentations

    try:
        contents = contents_of(folder)
    except InputError as error:
        return Inspection(reason=str(error))
    scans = candidates(contents.scans)
    drawn = find_segmentations(folder) if scans else []
    return Inspection(
        scans=tuple(_found(scan, drawn) for scan in scans),
        reason="" if scans else _reason(contents),
        patient=_patient(scans),
    )


def _found(scan: DicomScan, drawn: list[SegmentationFile]) -> FoundScan:
    from ivimkit.io.dicom.element import text

    space = text(scan.header, "FrameOfReferenceUID")
    return FoundScan(
        series=scan.series,
        numbers=scan.series_numbers,
        b_values=_shells([*scan.bvals, *(one.b for one in scan.incomplete)]),
        description=scan.description,
        protocol=text(scan.header, "ProtocolName"),
        body_part=scan.body_part,
        manufacturer=text(scan.header, "Manufacturer"),
        station=text(scan.header, "StationName"),
        incomplete="; ".join(scan.problems) if scan.incomplete else "",
        regions=tuple(sorted({one.series for one in drawn if one.frame_of_reference == space})),
    )


def _shells(bvals: Sequence[float | None]) -> tuple[float, ...]:
    """Return the mean b-value of each shell: scanners that tell what they applied never repeat."""
    import numpy as np

    from ivimkit.scan.shell_clusters import shell_clusters

    known = np.array([b for b in bvals if b is not None and not math.isnan(b)])
    clusters = shell_clusters(known, None)
    return tuple(sorted(float(known[clusters == one].mean()) for one in set(clusters.tolist())))


def _patient(scans: list[DicomScan]) -> str:
    from ivimkit.io.dicom.element import text

    names = [text(scan.header, name) for scan in scans for name in ("PatientName", "PatientID")]
    return " ".join(dict.fromkeys(names))


def _reason(contents: DicomContents) -> str:
    """Return why there is no scan."""
    reasons = [f"series {one.number}: {one.reason}" for one in contents.others]
    more = len(reasons) - _MAX_REASONS
    shown = "; ".join(reasons[:_MAX_REASONS])
    return f"{shown}; and {more} more series" if more > 0 else shown or "no images of MR"


def write_inspection(folder: str, file: str) -> None:
    """Write down what a folder has: what the child process does."""
    Path(file).write_bytes(msgspec.json.encode(inspect(Path(folder))))
