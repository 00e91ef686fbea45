"""Exchange: replaces old files by new ones, with a journal that survives a kill.

All new files are in a hidden stage inside the folder when a journal that lists them is renamed
into place. That one step is the commit: before it the old files are valid, after it the new ones.
The positions of the files show how far a killed process got, so that any other process can finish
or undo its work.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ivimkit.writing.lock import locked
from ivimkit.writing.signals import signals_wait

__all__ = ["NEW", "Exchange", "finish", "finish_locked", "is_stage", "located", "pending"]

NEW = "new"
"""Name of the folder of new files in a stage."""

_OLD = "old"
_JOURNAL = ".ivimkit-exchange.json"
_MARK = ".partial-"


@dataclass(frozen=True)
class Exchange:
    """The replacement of old files by new ones.

    Parameters
    ----------
    folder : Path
        Folder of the old files.
    stage : Path
        Hidden folder in it, with the new files in `NEW`.
    names : tuple of str
        The new files; the one that makes the folder valid comes last.
    outdated : tuple of str
        Old files to remove without a replacement.
    """

    folder: Path
    stage: Path
    names: tuple[str, ...]
    outdated: tuple[str, ...] = ()

    def run(self) -> None:
        """Exchange the files; if that fails, everything is left as it was."""
        self._decide()
        try:
            self.complete()
        except BaseException:
            # Once the journal is gone, everything is done.
            if _there(self.folder / _JOURNAL):
                self.undo()
            raise

    def complete(self) -> None:
        """Continue from wherever an earlier attempt stopped, to the end."""
        # The last name makes the folder valid, so it is removed first and placed last.
        waiting = [name for name in reversed(self.names) if _there(self._new(name))]
        gone = [name for name in self.outdated if name not in self.names]
        for name in [*waiting, *gone]:
            if _there(self.folder / name):
                _move(self.folder / name, self._old(name))
        for name in reversed(waiting):
            _move(self._new(name), self.folder / name)
        self._close()

    def undo(self) -> None:
        """Put everything back, from wherever an attempt stopped."""
        for name in reversed(self.names):
            if not _there(self._new(name)) and _there(self.folder / name):
                _move(self.folder / name, self._new(name))
        for name in (*self.names, *self.outdated):
            if _there(self._old(name)):
                _move(self._old(name), self.folder / name)
        self._close()

    def where(self, name: str) -> Path:
        """Return where the new file of a name is at this moment."""
        return self._new(name) if _there(self._new(name)) else self.folder / name

    def _decide(self) -> None:
        content = {"stage": self.stage.name, "names": self.names, "outdated": self.outdated}
        draft = self.stage / _JOURNAL
        draft.write_text(json.dumps(content), encoding="ascii")
        try:
            draft.replace(self.folder / _JOURNAL)
        except BaseException:
            # An interrupt may have come right after it.
            (self.folder / _JOURNAL).unlink(missing_ok=True)
            raise

    def _close(self) -> None:
        (self.folder / _JOURNAL).unlink(missing_ok=True)
        for name in _subfolders([*self.names, *self.outdated]):
            with suppress(OSError):  # Not empty.
                (self.folder / name).rmdir()

    def _new(self, name: str) -> Path:
        return self.stage / NEW / name

    def _old(self, name: str) -> Path:
        return self.stage / _OLD / name


def pending(folder: Path) -> Exchange | None:
    """Return the unfinished exchange of a folder; None if there is none."""
    try:
        content = json.loads((folder / _JOURNAL).read_text(encoding="ascii"))
        stage, names, outdated = (content[key] for key in ("stage", "names", "outdated"))
        # A journal from elsewhere must not reach out of the folder.
        every = [str(name) for name in (stage, *names, *outdated)]
        if not is_stage(every[0], "") or not all(map(_is_inside, every)):
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    kept = 1 + len(names)
    return Exchange(folder, folder / every[0], tuple(every[1:kept]), tuple(every[kept:]))


def finish(folder: Path) -> None:
    """Finish the exchange that a killed process left in a folder, if there is one.

    If another process is busy with an exchange, wait for it. If the folder is not writable, the
    files stay where they are, and `located` finds them.

    Parameters
    ----------
    folder : Path
        The folder; it need not exist.
    """
    with suppress(OSError):
        if (folder / _JOURNAL).is_file():
            with locked(folder), signals_wait():
                finish_locked(folder)


def finish_locked(folder: Path) -> None:
    """Do the same for a folder whose lock is already held."""
    exchange = pending(folder)
    if exchange is None:
        (folder / _JOURNAL).unlink(missing_ok=True)
        return
    try:
        exchange.complete()
    except OSError:
        exchange.undo()
    shutil.rmtree(exchange.stage, ignore_errors=True)


def located(folder: Path, name: str) -> Path:
    """Return where a file of a folder is, even if its exchange could not be finished.

    Parameters
    ----------
    folder : Path
        The folder.
    name : str
        The file.
    """
    exchange = pending(folder)
    return folder / name if exchange is None else exchange.where(name)


def is_stage(name: str, of: str) -> bool:
    """Return whether a file name is that of a stage of a folder whose name starts like this."""
    return name.startswith(f".{of}") and _MARK in name


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _subfolders(names: Iterable[str]) -> list[str]:
    parents = {str(PurePosixPath(name).parent) for name in names}
    return sorted(parents - {"."}, reverse=True)


def _there(path: Path) -> bool:
    return os.path.lexists(path)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
