"""Files that may be DICOM: of a folder, a ZIP archive or a list, without reading them."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import IO

from ivimkit.errors import FileFormatError
from ivimkit.io.untrusted_files import reason_of
from ivimkit.io.zarr_store import is_zarr

__all__ = ["DicomFile", "Skipped", "find_files", "is_dicom", "is_dicom_input"]

_PREAMBLE, _MARK = 128, b"DICM"
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
# The first element of a file without preamble: of group 0002 or 0008, little or big endian.
_FIRST_ELEMENTS = (b"\x02\x00\x00\x00", b"\x02\x00\x10\x00", b"\x08\x00", b"\x00\x08\x00")
_MAX_FILE_BYTES = 1 << 33
_MAX_NAMED = 3
AnyPath = str | PathLike[str]


@dataclass(frozen=True, order=True)
class DicomFile:
    """A file, or a member of an archive.

    Parameters
    ----------
    path : Path
        The file or the archive.
    member : str
        Name in the archive; empty for a file.
    """

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open it for reading, uncompressed.

        Raises
        ------
        OSError, zipfile.BadZipFile, RuntimeError
            If it cannot be opened; RuntimeError for an archive with a password.
        """
        if not self.member:
            with self.path.open("rb") as file:
                if file.read(2) != _GZIP:
                    file.seek(0)
                    yield file
                    return
            with gzip.open(self.path) as stream:
                yield io.BufferedReader(stream)
            return
        with zipfile.ZipFile(self.path) as archive:
            if archive.getinfo(self.member).file_size > _MAX_FILE_BYTES:
                raise OSError(None, "it is too large", self.name)
            with archive.open(self.member) as stream:
                yield stream

    def content(self) -> bytes:
        """Return its bytes, uncompressed."""
        with self.opened() as stream:
            return stream.read(_MAX_FILE_BYTES)


@dataclass
class Skipped:
    """Files that are not images of MR, counted by the reason.

    Parameters
    ----------
    reasons : Counter
        Number of files by reason, like ``"not DICOM"``.
    examples : dict
        The first names of files by reason.
    broken : set of str
        Reasons by which images may be lost: damaged files and those that cannot be read.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def add(self, reason: str, name: str, *, broken: bool = False) -> None:
        """Count a file."""
        self.reasons[reason] += 1
        if broken:
            self.broken.add(reason)
        names = self.examples.setdefault(reason, [])
        if len(names) < _MAX_NAMED:
            names.append(name)

    @property
    def losses(self) -> str:
        """Files that may be images and cannot be used, with names; empty if there are none."""
        return "; ".join(
            f"{self.reasons[reason]} {reason}, like {self.examples[reason][0]}"
            for reason in sorted(self.broken)
        )

    def __str__(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())


def is_dicom_input(scan: AnyPath | Sequence[AnyPath]) -> bool:
    """Whether a scan is given as DICOM: a folder, a ZIP archive, a DICOM file, or a list of these.

    Parameters
    ----------
    scan : path or sequence of paths
        What was given as a scan.

    Examples
    --------
    >>> import tempfile
    >>> from ivimkit.io.dicom.files import is_dicom_input
    >>> is_dicom_input(tempfile.mkdtemp()), is_dicom_input("dwi.nii.gz")
    (True, False)
    """
    if not isinstance(scan, str | PathLike):
        paths = list(scan)
        return bool(paths) and is_dicom_input(paths[0])
    path = Path(scan)
    try:
        if path.is_dir():
            return not is_zarr(path)
        with path.open("rb") as file:
            start = file.read(len(_ZIP))
        return start.startswith(_ZIP) or is_dicom(DicomFile(path))
    except (OSError, ValueError, EOFError, zlib.error):
        return False


def is_dicom(file: DicomFile) -> bool:
    """Whether a file may be DICOM by its first bytes.

    Raises
    ------
    OSError, zipfile.BadZipFile, RuntimeError, EOFError, zlib.error
        If it cannot be read.
    """
    with file.opened() as stream:
        start = stream.read(_PREAMBLE + len(_MARK))
    if start[_PREAMBLE:] == _MARK:
        return True
    return len(start) > _PREAMBLE and start.startswith(_FIRST_ELEMENTS)


def find_files(given: AnyPath | Sequence[AnyPath], skipped: Skipped) -> list[DicomFile]:
    """Return the files that may be DICOM, in order of their names.

    Parameters
    ----------
    given : path or sequence of paths
        Folders, with all folders in them, ZIP archives and files. A DICOMDIR is not needed: its
        folder is searched.
    skipped : Skipped
        Where to count the others.

    Raises
    ------
    FileFormatError
        If something does not exist or cannot be read.
    """
    paths = [given] if isinstance(given, str | PathLike) else list(given)
    found: dict[DicomFile, None] = {}
    for path in map(Path, paths):
        for file in _candidates(path, skipped):
            if _is_kept(file, skipped):
                found[file] = None
    return list(found)


def _candidates(path: Path, skipped: Skipped) -> Iterator[DicomFile]:
    if path.name.upper() == "DICOMDIR" and path.is_file():
        path = path.parent
    try:
        if path.is_dir():
            next(path.iterdir(), None)
            yield from _in_folder(path, skipped)
            return
        with path.open("rb") as file:
            zipped = file.read(len(_ZIP)) == _ZIP
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"cannot read {path}: {reason_of(error)}; expected a folder, a ZIP archive or files "
            "of DICOM. Check the path and the right to read it"
        ) from None
    yield from _in_archive(path) if zipped else [DicomFile(path)]


def _in_folder(folder: Path, skipped: Skipped) -> Iterator[DicomFile]:
    def refused(error: OSError) -> None:
        skipped.add("in a folder that cannot be read", str(error.filename), broken=True)

    for home, folders, names in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(names):
            yield DicomFile(Path(home, name))


def _in_archive(path: Path) -> list[DicomFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise FileFormatError(
            f"{path} is not a readable ZIP archive: {reason_of(error)}; expected DICOM files in "
            "it. Pack or download it again"
        ) from None
    return [DicomFile(path, member) for member in sorted(members)]


def _is_kept(file: DicomFile, skipped: Skipped) -> bool:
    """Whether a file may be DICOM; others are counted."""
    if Path(file.member or file.path).name.upper() == "DICOMDIR":
        skipped.add("DICOMDIR", file.name)
        return False
    try:
        if is_dicom(file):
            return True
        skipped.add("not DICOM", file.name)
    except RuntimeError:
        skipped.add("with a password", file.name, broken=True)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        skipped.add(f"not readable ({reason_of(error)})", file.name, broken=True)
    return False
