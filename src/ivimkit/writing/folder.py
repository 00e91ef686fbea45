"""write_folder, write_file: files that appear in a folder together, or not at all."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from ivimkit.errors import OutputExistsError
from ivimkit.writing.exchange import NEW, Exchange, finish, finish_locked, is_stage, pending
from ivimkit.writing.files import Files
from ivimkit.writing.lock import hold, locked, release
from ivimkit.writing.signals import signals_wait
from ivimkit.writing.target import check_replaceable, full_path, told_as_input

__all__ = ["write_file", "write_files", "write_folder"]

# Part of the folder name used in that of its stage: file names have at most 255 bytes.
_MAX_NAME_LENGTH = 50

_Stamp = tuple[int, int, int] | None


def write_folder(
    folder: Path,
    names: Sequence[str],
    write: Callable[[Path], None],
    *,
    outdated: Sequence[str] = (),
) -> None:
    """Write files elsewhere and move them to their folder once all are complete.

    Other files in the folder are left alone. If anything goes wrong, including an interruption,
    the folder stays as it was; a kill at any moment leaves the old files or the new ones, and
    whoever reads or writes there next finds them complete.

    Parameters
    ----------
    folder : Path
        Folder of the files; created if it does not exist.
    names : sequence of str
        Names of the files, with the one that makes the folder valid last; ``figures/maps.png`` for
        one in a subfolder.
    write : callable
        Called with the path of an empty folder with the needed subfolders; writes the files.
    outdated : sequence of str
        Files of an earlier result, removed if they exist.

    Raises
    ------
    InputError
        If the files cannot be written: no permission, no space.
    OutputExistsError
        If a name is that of a folder or device, or another process has meanwhile written files of
        these names, which are kept.
    """
    write_files(folder, Files(names, write, outdated))


def write_files(folder: Path, *parts: Files) -> None:
    """Write files of several kinds at once, like `write_folder`.

    Parameters
    ----------
    folder : Path
        Folder of the files; created if it does not exist.
    *parts : Files
        The files, with those that make the folder valid last.
    """
    _write_all(full_path(folder), parts, folder)


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Write one file, completely or not at all.

    Parameters
    ----------
    path : Path
        The file; its folder is created if it does not exist.
    write : callable
        Called with the path to write to, which has the same name in another folder.
    """
    file = Files([path.name], lambda stage: write(stage / path.name))
    _write_all(full_path(path.parent), [file], path)


def _write_all(folder: Path, parts: Sequence[Files], called: Path) -> None:
    with told_as_input(called):
        finish(folder)
        _clear(folder)
        names = [name for part in parts for name in part.names]
        outdated = [name for part in parts for name in part.outdated]
        folders = {name for part in parts for name in part.folders}
        before = _stamps(folder, names, folders)
        new = not folder.exists()
        # Inside an existing folder, because its parent may be another disk or not writable.
        with _stage(folder.parent if new else folder, folder.name) as stage:
            (stage / NEW).mkdir()
            for name in names:
                (stage / NEW / name).parent.mkdir(parents=True, exist_ok=True)
            for part in parts:
                part.write(stage / NEW)
            if new and _renamed(stage / NEW, folder):
                return
            if not new:
                exchange = Exchange(folder, stage, tuple(names), tuple(outdated))
                _install(exchange, before, folders)
                return
            # Another process has created the folder meanwhile.
            with _stage(folder, folder.name) as inner:
                (stage / NEW).replace(inner / NEW)
                exchange = Exchange(folder, inner, tuple(names), tuple(outdated))
                _install(exchange, before, folders)


def _renamed(source: Path, folder: Path) -> bool:
    """Rename a folder; return False if its new name is taken."""
    try:
        source.rename(folder)
    except OSError:
        if folder.is_dir():
            return False
        raise
    return True


def _install(exchange: Exchange, before: dict[str, _Stamp], folders: Set[str]) -> None:
    folder = exchange.folder
    with locked(folder), signals_wait():
        finish_locked(folder)
        now = _stamps(folder, exchange.names, folders)
        changed = [name for name in exchange.names if now[name] != before[name]]
        if changed:
            raise OutputExistsError(
                f"another process has written {changed[-1]} to {folder} meanwhile, and its files "
                "were kept; expected no other writer. Choose another folder, or try again"
            )
        exchange.run()


def _stamps(folder: Path, names: Sequence[str], folders: Set[str]) -> dict[str, _Stamp]:
    """Return an identity to detect changes of a file; refuse what must not be replaced."""
    return {name: _stamp(folder / name, name in folders) for name in names}


def _stamp(path: Path, is_folder: bool) -> _Stamp:
    if not (is_folder and path.is_dir()) and not check_replaceable(path):
        return None
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


@contextmanager
def _stage(parent: Path, name: str) -> Iterator[Path]:
    """Create a hidden folder that is removed at the end, unless an exchange still needs it."""
    stage, lock = _made(parent, name)
    try:
        yield stage
    finally:
        with signals_wait():
            exchange = pending(parent)
            if exchange is None or exchange.stage != stage:
                shutil.rmtree(stage, ignore_errors=True)
            release(lock)


def _made(parent: Path, name: str) -> tuple[Path, int]:
    while True:
        stage = parent / f".{name[:_MAX_NAME_LENGTH]}.partial-{uuid.uuid4().hex[:8]}"
        stage.mkdir(parents=True)
        # The lock shows that its owner is alive. A process that cleans up may have been faster.
        with suppress(FileNotFoundError):
            lock = hold(stage)
            if lock is not None:
                if stage.exists():
                    return stage, lock
                release(lock)


def _clear(folder: Path) -> None:
    """Remove the stages of processes that were killed."""
    for parent in (folder.parent, folder):
        with suppress(OSError):
            for path in parent.iterdir():
                if is_stage(path.name, f"{folder.name[:_MAX_NAME_LENGTH]}.partial-"):
                    _remove_dead(parent, path)


def _remove_dead(parent: Path, stage: Path) -> None:
    exchange = pending(parent)
    if exchange is not None and exchange.stage == stage:
        return
    lock = hold(stage)
    # Without locks there is no way to know who is alive.
    if lock is not None and lock >= 0:
        shutil.rmtree(stage, ignore_errors=True)
        release(lock)
