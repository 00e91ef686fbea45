"""Folders that are written as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from ivimkit.errors import InputError, OutputExistsError

__all__ = ["absolute", "check_free", "write_folder"]


def absolute(folder: str | os.PathLike[str]) -> Path:
    """Return the full path of a folder, ``~`` and links resolved."""
    return Path(folder).expanduser().resolve()


def check_free(folder: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """Refuse a folder that holds one of these files already, unless overwriting is asked for.

    Parameters
    ----------
    folder : Path
        The folder, which need not exist.
    names : sequence of str
        Files that are to be written.
    overwrite : bool
        Whether files of these names may be replaced.

    Raises
    ------
    OutputExistsError
        If there is such a file, or the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file; expected a folder. Choose another name")
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise OutputExistsError(
            f"{folder} holds results already ({', '.join(there[:3])}"
            f"{', ...' if len(there) > 3 else ''}); expected a new folder. "
            "Choose another one, or ask to overwrite them (--overwrite, overwrite=True)"
        )


def write_folder(
    folder: Path,
    names: Sequence[str],
    write: Callable[[Path], None],
    *,
    outdated: Sequence[str] = (),
) -> None:
    """Write files elsewhere and move them to their folder when all are complete.

    Other files in the folder are left alone. If anything goes wrong, an interruption included,
    the folder is as it was.

    Parameters
    ----------
    folder : Path
        Where the files are to be; made if it is not there.
    names : sequence of str
        Names of the files, the one that makes the folder valid last.
    write : callable
        Called with the path of an empty folder; writes the files into it.
    outdated : sequence of str
        Files of an earlier result, removed if they are there.

    Raises
    ------
    InputError
        If the files cannot be written: no right to, no space.
    """
    # Inside an existing folder, since its parent may be another disk or not writable.
    new = not folder.exists()
    parent = folder.parent if new else folder
    stage = parent / f".{folder.name}.partial-{uuid.uuid4().hex[:8]}"
    try:
        stage.mkdir(parents=True)
        write(stage)
        if new:
            stage.rename(folder)
        else:
            _exchange(stage, folder, names, outdated)
    except OSError as error:
        raise InputError(
            f"cannot write to {folder}: {error.strerror or error}; expected a folder with enough "
            "space and the right to write. Choose another one"
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _exchange(stage: Path, folder: Path, names: Sequence[str], outdated: Sequence[str]) -> None:
    """Move old files out and new ones in; undo all of it if one cannot be moved."""
    backup = stage / "replaced"
    backup.mkdir()
    # The last name makes the folder valid, so it is the first to go.
    old = [n for n in dict.fromkeys([*reversed(names), *outdated]) if (folder / n).is_file()]
    moves = [(folder / name, backup / name) for name in old]
    moves += [(stage / name, folder / name) for name in names]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            source.replace(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.replace(source)
        raise
