"""unpacked: a large .nii.gz decompressed once to disk, and mapped into memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError
from ivimkit.io.nifti import DAMAGE, NiftiFile, damaged, open_nifti
from ivimkit.io.remote_copies import local_path

__all__ = ["MIN_UNPACKED_BYTES", "unpacked", "unpacked_file"]

MIN_UNPACKED_BYTES = 4 << 30
"""Size in memory from which `ivimkit.load` unpacks a compressed scan to disk instead."""

# Some programs align the end of a file.
_MAX_BEHIND_BYTES = 1 << 16


def unpacked(
    path: str | PathLike[str], scratch: str | PathLike[str] | None = None
) -> NDArray[Any]:
    """Decompress a NIfTI file to disk, and return its array, mapped into memory.

    The file on disk has no name, so nothing is left of it when the array is no longer used, or the
    process ends, however it ends.

    Parameters
    ----------
    path : path or address
        ``.nii.gz``; others are decompressed as well.
    scratch : path, optional
        Folder on a disk with enough space; by default that for temporary files (``TMPDIR``).

    Returns
    -------
    ndarray
        In Fortran order; as stored, or float32 if the file scales its numbers. Read-only.

    Raises
    ------
    FileFormatError
        If the file is missing or damaged, or its content is longer or shorter than its header
        says.
    InputError
        If there is not enough space.

    Examples
    --------
    >>> import tempfile, numpy as np, nibabel as nib
    >>> from pathlib import Path
    >>> from ivimkit.io.unpacked import unpacked
    >>> path = Path(tempfile.mkdtemp()) / "dwi.nii.gz"
    >>> nib.save(nib.Nifti1Image(np.ones((4, 4, 2, 3), "int16"), np.eye(4)), path)
    >>> unpacked(path).shape
    (4, 4, 2, 3)
    """
    return unpacked_file(open_nifti(local_path(path)), None if scratch is None else Path(scratch))


def unpacked_file(file: NiftiFile, scratch: Path | None = None) -> NDArray[Any]:
    """Do the same with a file that has been opened."""
    if not file.compressed:
        return file.read()
    home = Path(tempfile.gettempdir()) if scratch is None else scratch
    volumes, size = file.shape[-1], int(np.prod(file.shape[:-1]))
    _check_space(file, home, volumes * size * file.dtype.itemsize)
    try:
        disk = tempfile.TemporaryFile(dir=home)  # noqa: SIM115, closed below
    except OSError as error:
        raise _no_space(file, home, error.strerror or str(error)) from None
    # What is mapped stays on disk when the file is closed.
    with disk:
        try:
            parts = _written(disk, volumes, size, file.dtype)
            file.decompress(parts, most_behind=_MAX_BEHIND_BYTES)
            disk.flush()
        except _DiskError as error:
            raise _no_space(file, home, str(error)) from None
        except DAMAGE as error:
            raise damaged(file, error) from None
        return np.memmap(disk, dtype=file.dtype, mode="r", shape=file.shape, order="F")


class _DiskError(Exception):
    """The disk does not take more, which is not a fault of the file that is read."""


def _written(disk: IO[bytes], n: int, size: int, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Give out an array to fill `n` times, and write what is in it."""
    buffer = np.empty(size, dtype)
    for _ in range(n):
        yield buffer
        try:
            disk.write(buffer.view(np.uint8).data)
        except OSError as error:
            raise _DiskError(error.strerror or str(error)) from None


def _check_space(file: NiftiFile, home: Path, needed: int) -> None:
    try:
        free = shutil.disk_usage(home).free
    except OSError as error:
        raise _no_space(file, home, error.strerror or str(error)) from None
    if needed > free:
        raise _no_space(file, home, f"{needed / 1e9:.3g} GB are needed, {free / 1e9:.3g} GB free")


def _no_space(file: NiftiFile, home: Path, why: str) -> InputError:
    return InputError(
        f"{file.path} cannot be unpacked to {home}: {why}; expected a folder with enough space. "
        "Name another one for temporary files (TMPDIR), or unpack the scan to a .nii"
    )
