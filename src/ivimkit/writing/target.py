"""Where something is to be written: what can be, and what must not be replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ivimkit.errors import InputError, OutputExistsError

__all__ = ["check_file", "check_replaceable", "full_path", "told_as_input"]


def full_path(path: str | os.PathLike[str]) -> Path:
    """Return a full path, ``~`` and links resolved.

    Raises
    ------
    InputError
        If it is empty, or cannot be resolved: there is no such home, links form a loop, the
        current folder is gone.
    """
    if not os.fspath(path):
        raise InputError(
            "the path is empty; expected the name of a file or folder. Write . for the current "
            "folder"
        )
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        # Without a current folder a relative path means nothing.
        reason = (
            "the current folder is gone" if isinstance(error, FileNotFoundError) else str(error)
        )
        raise InputError(
            f"{os.fspath(path)!r} is no usable path ({reason}); expected one that exists or can "
            "be made. Choose another one"
        ) from None


@contextmanager
def told_as_input(place: Path) -> Iterator[None]:
    """Raise what the system refuses as an error that says where and why.

    Raises
    ------
    InputError
        In place of any `OSError`: no right to, no space, a name that is too long.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write to {place}: {error.strerror or error}; expected a folder with enough "
            "space and the right to write. Choose another one"
        ) from error


def check_replaceable(path: Path) -> bool:
    """Return whether there is a file that a new one may take the place of.

    Parameters
    ----------
    path : Path
        The file to be written.

    Raises
    ------
    OutputExistsError
        If it is a folder, a device, a pipe or a socket: renaming a file over a device would
        take the device away from all processes.
    InputError
        If the system does not let us look.
    """
    try:
        with told_as_input(path):
            mode = path.stat().st_mode
    except InputError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            return False
        raise
    if stat.S_ISDIR(mode):
        raise OutputExistsError(f"{path} is a folder; expected a file. Choose another name")
    if not stat.S_ISREG(mode):
        raise OutputExistsError(
            f"{path} is a device, a pipe or a socket; expected the name of an ordinary file. "
            "Choose another name"
        )
    return True


def check_file(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return the full path of a file to be written, or refuse it before any work.

    Parameters
    ----------
    path : path
        The file.
    overwrite : bool
        Whether a file of this name may be replaced.

    Raises
    ------
    OutputExistsError
        If it is a folder or a device, or there is such a file and overwriting was not asked for.
    InputError
        If it is no usable path.
    """
    target = full_path(path)
    # As given, too: /dev/stdout leads to what has no name of its own.
    there = [check_replaceable(place) for place in (Path(path).expanduser(), target)]
    if any(there) and not overwrite:
        raise OutputExistsError(
            f"{target} is there already; expected a new file. Choose another name, or ask to "
            "overwrite it (--overwrite)",
            python="Pass overwrite=True",
        )
    return target
