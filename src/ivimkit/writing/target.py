"""Output paths: which can be written, and which must not be replaced."""

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
        If it is empty or cannot be resolved: no such home, a loop of links, or the current folder
        no longer exists.
    """
    if not os.fspath(path):
        raise InputError(
            "the path is empty; expected the name of a file or folder. Write . for the current "
            "folder"
        )
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        # Without a current folder a relative path is meaningless.
        reason = (
            "the current folder is gone" if isinstance(error, FileNotFoundError) else str(error)
        )
        raise InputError(
            f"{os.fspath(path)!r} is not a usable path ({reason}); expected one that exists or "
            "can be created. Choose another one"
        ) from None


@contextmanager
def told_as_input(place: Path) -> Iterator[None]:
    """Convert errors of the operating system to an error that says where and why.

    Raises
    ------
    InputError
        Instead of any `OSError`: no permission, no space, a name that is too long.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write to {place}: {error.strerror or error}; expected a folder with enough "
            "space and write permission. Choose another one"
        ) from error


def check_replaceable(path: Path) -> bool:
    """Return whether there is a file that a new one may replace.

    Parameters
    ----------
    path : Path
        The file to be written.

    Raises
    ------
    OutputExistsError
        If it is a folder, a device, a pipe or a socket: renaming a file over a device would remove
        the device for all processes.
    InputError
        If the system denies access.
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
    """Return the full path of a file to be written, or reject it before any work.

    Parameters
    ----------
    path : path
        The file.
    overwrite : bool
        Whether a file of this name may be replaced.

    Raises
    ------
    OutputExistsError
        If it is a folder or a device, or the file exists and overwriting was not requested.
    InputError
        If it is not a usable path.
    """
    target = full_path(path)
    # The path as given, too: /dev/stdout resolves to something without a proper name.
    there = [check_replaceable(place) for place in (Path(path).expanduser(), target)]
    if any(there) and not overwrite:
        raise OutputExistsError(
            f"{target} exists already; expected a new file. Choose another name, or ask to "
            "overwrite it (--overwrite)",
            python="Pass overwrite=True",
        )
    return target
