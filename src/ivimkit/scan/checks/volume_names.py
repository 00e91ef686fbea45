"""Check: whether files of volumes are in b-value order, by the numbers in their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from ivimkit.scan.checks.finding import ScanFinding
from ivimkit.scan.dwi import DWI

__all__ = ["names_finding"]

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_B_NUMBER = re.compile(r"(?<![A-Za-z])b[-_=]?(?:val(?:ue)?[-_=]?)?(\d+(?:\.\d+)?)", re.IGNORECASE)
_ENDING = re.compile(r"(\.nii)?(\.gz|\.hdr|\.img|\.nii)?$", re.IGNORECASE)
_MAX_RELATIVE_ERROR = 0.01


def names_finding(dwi: DWI) -> ScanFinding | None:
    """Find files of volumes whose names contradict the order of the b-values."""
    paths = [source.path for source in dwi.sources if source.role == "scan"]
    if len(paths) < 2 or len(paths) != dwi.signal.shape[-1]:
        return None
    volumes = dwi.volumes.tolist()
    names = [PurePath(paths[volume]).name for volume in volumes]
    stems = [_ENDING.sub("", name) for name in names]
    bvals = dwi.acquisition.bvals.tolist()
    for numbers in _columns(stems):
        wrong = _contradictions(numbers, bvals)
        if wrong:
            k = wrong[0]
            return ScanFinding(
                "names",
                tuple(volumes[i] for i in wrong),
                f"the names of the files and the b-values contradict each other in {len(wrong)} "
                f"of {len(names)} volumes: {names[k]} (volume {volumes[k]}, counted from 0) is "
                f"given b = {bvals[k]:g}",
                "Give the files in the order of the b-values",
            )
        if wrong is not None:
            return None
    for numbers in _columns(stems):
        if _alphabetical(stems, numbers):
            k = next(i for i in range(1, len(numbers)) if numbers[i] < numbers[i - 1])
            return ScanFinding(
                "names",
                tuple(volumes),
                "the files are in alphabetical order, which is not that of the numbers in their "
                f"names: {names[k]} comes after {names[k - 1]}",
                "Give the files in the order of the b-values",
            )
    return None


def _columns(stems: Sequence[str]) -> list[list[float]]:
    """Return the numbers that distinguish the names: those after a b first, then the others."""
    found = []
    behind_b = [_B_NUMBER.findall(stem) for stem in stems]
    if all(len(numbers) == 1 for numbers in behind_b):
        found.append([float(numbers[0]) for numbers in behind_b])
    every = [[float(number) for number in _NUMBER.findall(stem)] for stem in stems]
    if len({len(numbers) for numbers in every}) == 1:
        found.extend(list(column) for column in zip(*every, strict=True))
    return [column for column in found if len(set(column)) > 1]


def _contradictions(numbers: Sequence[float], bvals: Sequence[float]) -> list[int] | None:
    """Return where the numbers are not the b-values; None if they are not b-values at all."""
    if not all(map(_same, sorted(numbers), sorted(bvals))):
        return None
    return [k for k, (one, b) in enumerate(zip(numbers, bvals, strict=True)) if not _same(one, b)]


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= max(_MAX_RELATIVE_ERROR * abs(other), 0.5)


def _alphabetical(stems: Sequence[str], numbers: Sequence[float]) -> bool:
    """Whether names were sorted as text, and their numbers, all different, are out of order."""
    return (
        len(set(numbers)) == len(numbers)
        and list(stems) == sorted(stems)
        and list(numbers) != sorted(numbers)
    )
