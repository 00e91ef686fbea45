"""Which scan of a folder is meant: the only one, or the one that was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from ivimkit.errors import AcquisitionError, FileFormatError, OptionError
from ivimkit.io.dicom.assembly import assembled
from ivimkit.io.dicom.files import Skipped
from ivimkit.io.dicom.kinds import Kind
from ivimkit.io.dicom.reading import read_frames
from ivimkit.io.dicom.scans import DicomContents, DicomScan, OtherSeries
from ivimkit.io.dicom.series_choice import DicomChoice
from ivimkit.io.dicom.volumes import Stack, stacks_of

__all__ = ["AnyPaths", "candidates", "chosen_scan", "contents_of", "scan_names"]

AnyPaths = str | PathLike[str] | Sequence[str | PathLike[str]]
_NO_CHOICE = DicomChoice()
_MAX_LISTED = 12
# b-values of directions differ from the nominal one of their mean.
_SAME_B, _SAME_B_SHARE = 1.0, 0.05


def contents_of(given: AnyPaths, choice: DicomChoice = _NO_CHOICE) -> DicomContents:
    """Read the headers of all files and assemble the scans.

    Parameters
    ----------
    given : path or sequence of paths
        Folders, ZIP archives and files.
    choice : DicomChoice
        The series that are chosen are one scan if they lie on one grid.

    Raises
    ------
    FileFormatError
        If there is nothing to read, or no DICOM.
    OptionError
        If there is no such series.
    """
    read = read_frames(given)
    if not read.frames:
        raise FileFormatError(_nothing(given, read.skipped))
    stacks = _of_series(stacks_of(read.frames), choice.series_names)
    return assembled(stacks, read.skipped, merge=choice.series is not None)


def _of_series(stacks: Sequence[Stack], wanted: Sequence[str]) -> list[Stack]:
    """Return the stacks of the series that are chosen, by number or UID; all if none are."""
    known = {name for stack in stacks for name in _names(stack)}
    for one in wanted:
        if one not in known:
            there = ", ".join(dict.fromkeys(_names(stack)[0] for stack in stacks))
            raise OptionError(
                f"there is no series {one} (--series); expected some of {there}, by number or UID"
            )
    return [s for s in stacks if not wanted or not set(wanted).isdisjoint(_names(s))]


def _names(stack: Stack) -> tuple[str, str]:
    return str(stack.first.instance.series_number), stack.first.instance.series


def chosen_scan(
    contents: DicomContents,
    name: str,
    choice: DicomChoice = _NO_CHOICE,
    *,
    with_b: bool = True,
) -> DicomScan:
    """Return the scan to load.

    Parameters
    ----------
    contents : DicomContents
        What there is.
    name : str
        Its name in messages.
    choice : DicomChoice
        Which series and images.
    with_b : bool
        Whether images need b-values; False if others are given.

    Raises
    ------
    AcquisitionError
        If there is none, there are several, or it is not complete.
    """
    found = candidates(contents.scans, choice.images)
    if not found and not with_b:
        found = _without_b(contents.stacks)
    if not found:
        raise AcquisitionError(_why_none(contents, name, choice))
    if len(found) > 1:
        raise AcquisitionError(_several(found, name, choice))
    _check(found[0], name, choice.drop_incomplete, contents.skipped.losses)
    return found[0]


def candidates(scans: Sequence[DicomScan], images: str = "auto") -> list[DicomScan]:
    """Return the scans with the images that are chosen, see `DicomChoice`."""
    if images == "directions":
        return [scan for scan in scans if scan.kind is Kind.DWI]
    if images == "trace":
        return [scan for scan in scans if scan.kind is Kind.TRACE]
    directed = [scan for scan in scans if scan.kind is Kind.DWI]
    return [
        scan
        for scan in scans
        if scan.kind is Kind.DWI or not any(_is_mean_of(scan, other) for other in directed)
    ]


def _is_mean_of(trace: DicomScan, directed: DicomScan) -> bool:
    """Whether directions with the b-values of their means are there."""
    apart = np.abs(trace.bvals[:, None] - directed.bvals)
    allowed = np.maximum(_SAME_B, _SAME_B_SHARE * trace.bvals)
    return (
        trace.study == directed.study
        and trace.grid.is_at(directed.grid)
        and bool((apart <= allowed[:, None]).any(axis=1).all())
    )


def _without_b(stacks: Sequence[Stack]) -> list[DicomScan]:
    """Return series without b-values, for those that are given."""
    return [
        DicomScan(stack.kind, stack.grid, stack.first, stack.volumes, stack.incomplete)
        for stack in stacks
        if stack.kind is Kind.DWI and not stack.bvals and len(stack.volumes) > 1
    ]


def _check(scan: DicomScan, name: str, drop_incomplete: bool, losses: str) -> None:
    """Raise AcquisitionError if a scan cannot be loaded."""
    where = f"{name}, {scan_names([scan])}"
    if scan.grid.problem:
        raise AcquisitionError(
            f"{where}: {scan.grid.problem}; expected slices at equal distances. Export the series "
            "again from the scanner or the PACS"
        )
    lost = f". Files that could not be used: {losses}" if losses else ""
    left_out = " or leave these volumes out (--drop-incomplete, or drop_incomplete=True)"
    kept = len(np.unique(scan.bvals)) > 1 or not scan.problems
    if scan.incomplete and not (drop_incomplete and kept):
        raise AcquisitionError(
            f"{where}: {scan.problems[0]}; expected each slice of a volume once{lost}. Export the "
            f"series again{left_out if kept else ''}"
        )


def scan_names(scans: Sequence[DicomScan]) -> str:
    """Return the series of scans, their descriptions, kinds and b-values, for messages."""
    names = []
    for scan in scans[:_MAX_LISTED]:
        series = ",".join(map(str, scan.series_numbers))
        values = [*scan.bvals, *(one.b for one in scan.incomplete if one.b is not None)]
        b = " ".join(dict.fromkeys(f"{b:g}" for b in sorted(values)))
        what = f"{scan.description} " if scan.description else ""
        names.append(f"series {series} ({what}{scan.kind}, b = {b})")
    return "; ".join(names) + ("; ..." if len(scans) > _MAX_LISTED else "")


def _several(scans: Sequence[DicomScan], name: str, choice: DicomChoice) -> str:
    """Say that there are several scans, and how to choose one."""
    n_studies = len({scan.study for scan in scans})
    of = f" of {n_studies} studies" if n_studies > 1 else ""
    return (
        f"{name} contains {len(scans)} scans{of}: {scan_names(scans)}; expected one. "
        f"{_how_to_choose(scans, choice, n_studies)}"
    )


def _how_to_choose(scans: Sequence[DicomScan], choice: DicomChoice, n_studies: int) -> str:
    if n_studies > 1:
        return "Give the folder of one study, or choose by UID (--series UID, or series=...)"
    if len({scan.kind for scan in scans}) == len(scans):
        return "Choose the directions or the means (--images trace, or images='trace')"
    if choice.series is not None:
        return (
            "These series do not lie on the same voxels, or have another frame of reference: "
            "choose one of them, or series that do"
        )
    if len({scan.series for scan in scans}) < len(scans):
        return (
            "Images of one series differ in size or place: give the files of one of them (--stack "
            "FILES, or a list)"
        )
    first = ",".join(map(str, scans[0].series_numbers))
    return f"Choose one (--series {first}, or series=...)"


def _why_none(contents: DicomContents, name: str, choice: DicomChoice) -> str:
    """Say why there is no scan to fit, and what to do."""
    if contents.scans:
        trace = choice.images == "trace"
        return (
            f"{name} has no {'means of directions' if trace else 'directions'} to fit (--images "
            f"{choice.images}); expected some. There is {scan_names(contents.scans)}: use "
            f"--images {'directions' if trace else 'trace'}"
        )
    others = contents.others
    unmeasured = [one for one in others if one.kind not in (Kind.DWI, Kind.TRACE)]
    one_b = [one for one in others if one.bvals and one not in unmeasured]
    if unmeasured and len(unmeasured) == len(others):
        return (
            f"{name} contains only images that were computed, or that are not magnitudes: "
            f"{_listed(others)}; expected the measured images. Choose the series they were made "
            "from"
        )
    if one_b:
        hint = (
            "Choose the series of the other b-values, too (--series 5,7, or series=[5, 7])"
            if choice.series is not None
            else "Export all series of the scan"
        )
        return (
            f"{name} has no scan with two b-values: {_listed(one_b)}; expected two at least, on "
            f"one grid. {hint}"
        )
    sought = dict.fromkeys(f"{one.manufacturer}: {one.sought}" for one in others)
    return (
        f"{name} has no b-value in any of its images: {_listed(others)}; looked for in "
        f"{'; '.join(sought)}. Anonymising may have removed them: export without removing private "
        "elements, or give the b-values in the order of the volumes (--bval 0,10,20)"
    )


def _listed(others: Sequence[OtherSeries]) -> str:
    found = [
        f"series {one.number}{f' {one.description}' if one.description else ''} ({one.reason})"
        for one in others[:_MAX_LISTED]
    ]
    return "; ".join(found) + ("; ..." if len(others) > _MAX_LISTED else "")


def _nothing(given: AnyPaths, skipped: Skipped) -> str:
    """Say what a folder without images contains instead."""
    path = Path(given if isinstance(given, str | PathLike) else next(iter(given), ""))
    if not skipped.reasons:
        return (
            f"{path} has no files; expected DICOM images: a folder, a ZIP archive or files. "
            "Check the path"
        )
    names = [name for names in skipped.examples.values() for name in names]
    images = [name for name in names if name.lower().endswith((".nii", ".nii.gz"))]
    advice = "Check the path"
    if (path / "fit.json").is_file():
        advice = "It is a result of ivimkit fit: give it to ivimkit report, plot, roi or view"
    elif (path / "dataset_description.json").is_file():
        advice = "It is a BIDS data set: give an image in it, like sub-01/dwi/sub-01_dwi.nii.gz"
    elif images:
        advice = f"It contains NIfTI files: give one of them, like {images[0]}"
    return f"{path} has no DICOM images of MR ({skipped}); expected some. {advice}"
