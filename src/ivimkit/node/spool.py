"""Spool: received images on disk, by study and series.

An image appears under its name when it is whole and on the disk, and is acknowledged after that.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from filecmp import cmp
from pathlib import Path

import msgspec

from ivimkit.node.durable import make_folder, read_json, sync_file, sync_folder, write_json

__all__ = ["Arrival", "Look", "Spool", "Stored", "is_uid"]

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_MAX_UID_LENGTH = 64
_SENDERS = ".from.json"
_LOOK = ".look.json"
_BYTES_PER_GB = 1_000_000_000


@dataclass(frozen=True)
class Arrival:
    """An image as it has come in.

    Parameters
    ----------
    study, series, instance : str
        Its UIDs.
    peer : str
        Name of the peer that sent it.
    """

    study: str
    series: str
    instance: str
    peer: str


@dataclass(frozen=True)
class Stored:
    """What became of an image.

    Parameters
    ----------
    is_new : bool
        Whether the study differs from before: not so if the same image came again.
    is_first : bool
        Whether the study was unknown before.
    """

    is_new: bool
    is_first: bool = False


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was found the last time that somebody looked into a study.

    Parameters
    ----------
    fingerprint : str
        Of the images that were there then.
    verdict : {"fitted", "ignored", "incomplete", "unreadable"}
        What follows.
    reason : str
        Why, in a sentence.
    at : float
        When, seconds since 1970.
    attempts : int
        How often it was tried, if it cannot be read.
    """

    fingerprint: str
    verdict: str
    reason: str = ""
    at: float = 0.0
    attempts: int = 1


class _Senders(msgspec.Struct, frozen=True):
    peers: tuple[str, ...] = ()


class Spool:
    """The images of the node.

    Parameters
    ----------
    root : Path
        Folder of the node.
    free_bytes : callable, optional
        The free space of a folder, bytes.
    """

    def __init__(self, root: Path, free_bytes: Callable[[Path], int] | None = None) -> None:
        self.root = root
        self.receiving = root / "receiving"
        self._studies = root / "studies"
        self._trash = root / "trash"
        self._free_bytes = free_bytes or _free_bytes
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Make the folders; remove what was being written or removed when a process ended."""
        for folder in (self.receiving, self._studies, self._trash):
            make_folder(folder, parents=self.root)
        for folder in (self.receiving, self._trash):
            for path in folder.iterdir():
                _remove(path)

    def free_gb(self) -> float:
        """Return the free space, 10⁹ bytes."""
        return self._free_bytes(self.root) / _BYTES_PER_GB

    def store(self, draft: Path, arrival: Arrival) -> Stored:
        """Take an image over from the folder of what is being received; durably.

        Parameters
        ----------
        draft : Path
            The file, whole, on the same file system; renamed.
        arrival : Arrival
            What it is.

        Raises
        ------
        OSError
            If the disk refuses; the image is not there then.
        """
        sync_file(draft)
        folder = self.study(arrival.study) / arrival.series
        target = folder / f"{arrival.instance}.dcm"
        with self._lock:
            is_first = not self.study(arrival.study).is_dir()
            make_folder(folder, parents=self._studies)
            self._note_sender(arrival)
            if target.is_file() and cmp(draft, target, shallow=False):
                return Stored(is_new=False)
            draft.replace(target)
            sync_folder(folder)
        return Stored(is_new=True, is_first=is_first)

    def study(self, uid: str) -> Path:
        """Return the folder of a study."""
        return self._studies / uid

    def studies(self) -> list[str]:
        """Return the UIDs of all studies."""
        return sorted(path.name for path in self._studies.iterdir() if is_uid(path.name))

    def files(self, study: str, series: Iterable[str] | None = None) -> list[Path]:
        """Return the images of a study, or of some of its series."""
        wanted = None if series is None else set(series)
        return sorted(
            path
            for folder in self._series(study)
            if wanted is None or folder.name in wanted
            for path in folder.glob("*.dcm")
        )

    def fingerprint(self, study: str, series: Iterable[str] | None = None) -> str:
        """Return what identifies the images of a study, or of some of its series.

        The times of files are a part of it, as another version of an image may have the same size.
        """
        found = hashlib.sha256()
        for path in self.files(study, series):
            stat = path.stat()
            line = f"{path.parent.name}/{path.name} {stat.st_size} {stat.st_mtime_ns}\n"
            found.update(line.encode())
        return found.hexdigest()

    def peers(self, study: str) -> tuple[str, ...]:
        """Return the names of the peers that sent a study."""
        found = read_json(self.study(study) / _SENDERS, _Senders)
        return () if found is None else found.peers

    def look(self, study: str) -> Look | None:
        """Return what was found in a study; None if nobody has looked."""
        return read_json(self.study(study) / _LOOK, Look)

    def set_look(self, study: str, look: Look | None) -> None:
        """Write down what was found in a study, or that somebody has to look again."""
        if look is None:
            (self.study(study) / _LOOK).unlink(missing_ok=True)
        elif self.study(study).is_dir():
            write_json(self.study(study) / _LOOK, look)

    def remove(self, study: str, *, if_still: str) -> bool:
        """Remove a study if it still has these images, by their fingerprint."""
        with self._lock:
            if not self.study(study).is_dir() or self.fingerprint(study) != if_still:
                return False
            aside = self._trash / uuid.uuid4().hex
            self.study(study).replace(aside)
        _remove(aside)
        return True

    def remove_abandoned(self, before: float) -> None:
        """Remove half-received images that nobody has written to since a time."""
        for path in self.receiving.iterdir():
            try:
                if path.stat().st_mtime < before:
                    _remove(path)
            except FileNotFoundError:
                # It was completed just now.
                continue

    def _series(self, study: str) -> Iterator[Path]:
        folder = self.study(study)
        if folder.is_dir():
            yield from (path for path in folder.iterdir() if is_uid(path.name))

    def _note_sender(self, arrival: Arrival) -> None:
        known = self.peers(arrival.study)
        if arrival.peer not in known:
            names = _Senders((*known, arrival.peer))
            write_json(self.study(arrival.study) / _SENDERS, names)


def is_uid(text: str) -> bool:
    """Return whether a text is a UID, and so also a harmless file name.

    Examples
    --------
    >>> from ivimkit.node.spool import is_uid
    >>> is_uid("1.2.840.10008"), is_uid("../1.2"), is_uid("1" * 65)
    (True, False, False)
    """
    return len(text) <= _MAX_UID_LENGTH and _UID.fullmatch(text) is not None


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
