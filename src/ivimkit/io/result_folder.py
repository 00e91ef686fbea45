"""Folders of results: where they are, and whether they are free."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ivimkit.errors import OutputExistsError
from ivimkit.writing import finish, full_path, told_as_input

__all__ = ["absolute", "check_free"]


def absolute(folder: str | os.PathLike[str]) -> Path:
    """Return the full path of a folder, ``~`` and links resolved."""
    return full_path(folder)


def check_free(folder: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """Refuse a folder that already contains one of these files, unless overwriting is asked for.

    Parameters
    ----------
    folder : Path
        The folder, which need not exist.
    names : sequence of str
        Files to be written.
    overwrite : bool
        Whether files with these names may be replaced.

    Raises
    ------
    OutputExistsError
        If there is such a file, or the folder is a file.
    InputError
        If the folder may not be read.
    """
    finish(folder)
    with told_as_input(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputExistsError(f"{folder} is a file; expected a folder. Choose another name")
        there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise OutputExistsError(
            f"{folder} already contains results ({', '.join(there[:3])}"
            f"{', ...' if len(there) > 3 else ''}); expected a new folder. "
            "Choose another one, or ask to overwrite them (--overwrite)",
            python="Pass overwrite=True",
        )
