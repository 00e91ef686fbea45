"""Scratch files: numbers that do not fit into memory, on disk for as long as they are in use."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ivimkit.errors import InputError
from ivimkit.rounding import megabytes

__all__ = ["ScratchArray", "check_scratch", "scratch_folder"]

_ON_DISK = Path("/var/tmp")
"""Unlike /tmp, which is part of the memory on many systems."""

_HOW = "TMPDIR, or for maps --scratch"


class ScratchArray:
    """An array that is written once, from its start to its end in memory order, and then read.

    Its file has no name: it is gone when nobody uses the array, however the process ends. (On
    Windows it has one, and is removed when it is closed.)

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    dtype : dtype
        Type of its numbers.
    order : {"C", "F"}
        Its memory order.
    folder : Path
        Where the file is.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: DTypeLike, order: Literal["C", "F"], folder: Path
    ) -> None:
        self._shape, self._dtype, self._order = shape, np.dtype(dtype), order
        self._folder = folder
        self._left = math.prod(shape)
        with _told(folder):
            self._file: IO[bytes] = tempfile.TemporaryFile(  # noqa: SIM115 - it outlives this.
                dir=folder, prefix=".ivimkit-"
            )
        weakref.finalize(self, self._file.close)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its numbers."""
        return self._dtype

    def append(self, values: NDArray[Any]) -> None:
        """Write the next numbers.

        Parameters
        ----------
        values : ndarray, shape (n,)
            In memory order of the array; converted to its type.

        Raises
        ------
        InputError
            If the disk is full.
        """
        # Numbers beyond the range of float32 become inf, as they should.
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(values, dtype=self._dtype)
        with _told(self._folder):
            # Not into a map of the file: a full disk would end the process.
            self._file.write(numbers.data)
        self._left -= numbers.size

    def finished(self) -> NDArray[Any]:
        """Return the array, read from the file where it is looked at; it cannot be changed."""
        assert self._left == 0, "every number has been written"
        with _told(self._folder):
            self._file.flush()
            mapped = np.memmap(
                self._file,
                dtype=self._dtype,
                mode="r",
                shape=self._shape,
                order=self._order,
            )
            # The array keeps the file.
            self._file.close()
        return np.asarray(mapped)


def scratch_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of scratch files, which must exist and be writable.

    Parameters
    ----------
    given : path, optional
        The folder; by default that of the variable TMPDIR, ``/var/tmp``, or what the system uses.

    Raises
    ------
    InputError
        If there is no such folder, or nothing can be written there.
    """
    folder = _usual() if given is None else Path(given).expanduser()
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        what = "cannot be written to" if folder.is_dir() else "is not a folder"
        raise InputError(
            f"{folder}, the folder for scratch files, {what}; expected one with enough space and "
            f"write permission. Name another one ({_HOW})",
            python="Pass scratch=",
        )
    return folder


def check_scratch(folder: Path, n_bytes: float, what: str = "scratch files") -> None:
    """Refuse a folder whose disk has less room than is needed, before anything is written.

    Parameters
    ----------
    folder : Path
        The folder.
    n_bytes : float
        What is needed.
    what : str
        What it is for.

    Raises
    ------
    InputError
        If it has less.
    """
    with _told(folder):
        free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise InputError(
            f"the disk of {folder}, the folder for {what}, has {megabytes(free)} left; expected "
            f"{megabytes(n_bytes)}. Name a folder on another disk ({_HOW})",
            python="Pass scratch=",
        )


def _usual() -> Path:
    named = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    if not named and _ON_DISK.is_dir() and os.access(_ON_DISK, os.W_OK | os.X_OK):
        return _ON_DISK
    return Path(tempfile.gettempdir())


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Convert errors of the operating system to one that says where, and what to do."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write scratch files to {folder}: {error.strerror or error}; expected a "
            f"folder with enough space and write permission. Name another one ({_HOW})",
            python="Pass scratch=",
        ) from error
