"""Ledger: what is known of each scan of a cohort, one file each, written by renaming.

An entry says which inputs and options its results are from, so that a run that was interrupted
goes on where it stopped, and results of other inputs or options are never mistaken for these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import msgspec

from ivimkit.cohort.subjects import Subject
from ivimkit.io.checksum import sha256
from ivimkit.writing import told_as_input
from ivimkit.writing.lock import hold, release

__all__ = [
    "DONE",
    "FAILED",
    "FOLDER",
    "PRIORS",
    "RUNNING",
    "UNSUITABLE",
    "Entry",
    "InputFile",
    "Ledger",
]

_VERSION = version("ivimkit")

FOLDER = ".ivimkit"
"""Folder of the ledger in the output."""

PRIORS = "priors"
"""Folder of the priors of the cohort in the output."""

RUNNING, DONE, FAILED, UNSUITABLE = "running", "done", "failed", "unsuitable"
"""States of a scan; an unsuitable one was not made for the model."""


class InputFile(msgspec.Struct, frozen=True):
    """A file that a result depends on, and how to tell whether it has changed."""

    name: str
    size: int
    modified_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> InputFile:
        """Read a file for its checksum."""
        stat = path.stat()
        return cls(path.name, stat.st_size, stat.st_mtime_ns, sha256(path))

    def is_still(self, path: Path) -> bool:
        """Return whether a file is this one; its content is only read if its date differs."""
        try:
            stat = path.stat()
        except OSError:
            return False
        if (path.name, stat.st_size) != (self.name, self.size):
            return False
        return stat.st_mtime_ns == self.modified_ns or sha256(path) == self.sha256


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one scan.

    Parameters
    ----------
    name : str
        The scan.
    state : str
        One of the states.
    options : str
        Checksum of the recipe, see `Recipe.digest`.
    version : str
        Version of ivimkit.
    cpu : str
        Processor that the compiled code was made for. Other processors may give other last bits.
    inputs : tuple of InputFile
        The files.
    priors : tuple of InputFile
        The priors of the cohort that it was fitted with, in `PRIORS`.
    files : tuple of str
        Files of the result, relative to the output.
    sentence : str
        Why it failed, or is unsuitable.
    warnings : tuple of str
        What was said about it.
    protocol : str
        b-values and voxel size.
    n_voxels, share_ok : int, float
        Number of voxels fitted, and the share without any flag.
    seconds, peak_mb : float
        Time, and the largest memory of its process so far.
    """

    name: str
    state: str
    options: str
    version: str = _VERSION
    cpu: str = ""
    inputs: tuple[InputFile, ...] = ()
    priors: tuple[InputFile, ...] = ()
    files: tuple[str, ...] = ()
    sentence: str = ""
    warnings: tuple[str, ...] = ()
    protocol: str = ""
    n_voxels: int = 0
    share_ok: float = 0.0
    seconds: float = 0.0
    peak_mb: float = 0.0

    @property
    def key(self) -> str:
        """Checksum of inputs, priors, options, version: results with the same key are the same."""
        files = (*self.inputs, *self.priors)
        parts = [self.options, self.version, *(one.sha256 for one in files)]
        return hashlib.sha256(json.dumps(parts).encode("utf-8")).hexdigest()

    def is_of(self, subject: Subject, options: str, out: Path) -> bool:
        """Return whether it is of these inputs, options and priors, and of this version."""
        paths = subject.inputs
        return (
            (self.options, self.version) == (options, _VERSION)
            and len(paths) == len(self.inputs)
            and all(one.is_still(path) for one, path in zip(self.inputs, paths, strict=True))
            and all(one.is_still(out / PRIORS / one.name) for one in self.priors)
        )


class Ledger:
    """The entries of a cohort.

    Parameters
    ----------
    out : Path
        The output folder.
    of : str
        What it keeps account of, if that is not the maps: the name of a folder in that of the
        ledger.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ivimkit.cohort.ledger import Entry, Ledger
    >>> ledger = Ledger(Path(tempfile.mkdtemp()))
    >>> ledger.write(Entry(name="sub-01", state="done", options="x"))
    >>> ledger.read("sub-01").state, ledger.read("sub-02")
    ('done', None)
    """

    def __init__(self, out: Path, of: str = "") -> None:
        self.out = out
        self.folder = out / FOLDER / of

    def read(self, name: str) -> Entry | None:
        """Return the entry of a scan; None if there is none, or a damaged one."""
        try:
            content = self._path(name).read_bytes()
            return msgspec.json.decode(content, type=Entry)
        except (OSError, msgspec.MsgspecError):
            return None

    def write(self, entry: Entry) -> None:
        """Write an entry, completely or not at all.

        Raises
        ------
        InputError
            If it cannot be written: no space, no permission.
        """
        path = self._path(entry.name)
        with told_as_input(self.out):
            self.folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(msgspec.json.format(msgspec.json.encode(entry), indent=1))
            part.replace(path)

    def entries(self) -> Iterator[Entry]:
        """Yield all entries, in the order of their names."""
        for path in sorted(self.folder.glob("*.json")):
            entry = self.read(path.stem)
            if entry is not None:
                yield entry

    def others(self, subjects: Sequence[Subject], options: str) -> list[str]:
        """Return the scans that have results of other inputs, options, priors or version."""
        known = ((subject, self.read(subject.name)) for subject in subjects)
        return [
            subject.name
            for subject, entry in known
            if entry is not None
            and entry.state == DONE
            and not entry.is_of(subject, options, self.out)
        ]

    def is_done(self, subject: Subject, options: str) -> bool:
        """Return whether a scan has been fitted, and its files are all there."""
        entry = self.read(subject.name)
        return (
            entry is not None
            and entry.state == DONE
            and entry.is_of(subject, options, self.out)
            and all((self.out / name).is_file() for name in entry.files)
        )

    @contextmanager
    def claimed(self, name: str) -> Iterator[bool]:
        """Keep other processes from a scan during a block; yield whether none has it.

        The system releases the claim when a process ends, however it does.
        """
        with told_as_input(self.out):
            self.folder.mkdir(parents=True, exist_ok=True)
            place = self.folder / f"{name}.lock"
            place.touch()
            number = hold(place)
        if number is None:
            yield False
            return
        try:
            yield True
        finally:
            # Who has opened the file meanwhile finds the entry complete.
            with suppress(OSError):
                place.unlink()
            release(number)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"
