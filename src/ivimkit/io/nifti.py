"""NIfTI images: opened with checks, read without a second copy of the array."""

from __future__ import annotations

import gzip
import math
import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.tripwire import TripWireError
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError, GeometryWarning, InputError
from ivimkit.io.file_kinds import advice_on
from ivimkit.io.gzip_files import GZIP_ERRORS, open_gzip
from ivimkit.io.nifti_header import HEADER_SIZE, ImageHeader, parse_header
from ivimkit.io.remote_copies import at_hand
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.whole_scan import check_whole

__all__ = ["DAMAGE", "NiftiFile", "ScaledArray", "damaged", "open_nifti", "warn_of_geometry"]

# Half of nibabel has no types.
nib: Any = nibabel

_PIECE = 1 << 17
# Maximum expansion of one compressed byte, rounded up.
_GZIP_AT_MOST = 1040
_LOST_SLASH = re.compile(r"[a-z][a-z0-9+.-]+:/[^/]", re.IGNORECASE)
_COMPRESSED = (".gz", ".bz2", ".zst")
DAMAGE: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, TripWireError),
    *GZIP_ERRORS,
)
"""What reading damaged content raises."""


@dataclass(frozen=True)
class NiftiFile:
    """A NIfTI file whose header has been read and found usable.

    Parameters
    ----------
    path : Path
        The file.
    header : ImageHeader
        Its header.
    data : Path
        The file with the numbers: the same one, or the ``.img`` of a pair.
    """

    path: Path
    header: ImageHeader
    data: Path

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.header.shape

    @property
    def scaled(self) -> bool:
        """Whether the stored numbers have to be scaled (scl_slope, scl_inter)."""
        return (self.header.slope, self.header.inter) != (1.0, 0.0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array that `read` returns: as stored, or float where it is scaled."""
        stored = self.header.dtype
        if not self.scaled or stored == np.float64:
            return stored
        return np.dtype(np.float32)

    @property
    def geometry(self) -> Geometry:
        """Affine, units, codes and header."""
        return self.header.geometry

    @property
    def volume(self) -> tuple[int, ...]:
        """Shape with at least three axes, and without further ones of length 1."""
        space = (*self.shape, 1, 1, 1)[:3]
        return (*space, *(n for n in self.shape[3:] if n != 1))

    def read(self) -> NDArray[Any]:
        """Read the array.

        Returns
        -------
        ndarray
            In Fortran order, of type `dtype`; memory-mapped if the file is neither compressed
            nor scaled. At no time is there a second copy in memory.

        Raises
        ------
        FileFormatError
            If the file is truncated or damaged.
        InputError
            If the array does not fit into the memory that is free.
        """
        try:
            if not self.scaled and not self.compressed:
                return self._stored()
            # What a compressed file claims to become is known only when it is decompressed.
            check_whole(math.prod(self.shape) * self.dtype.itemsize, str(self.path))
            out = np.empty(self.shape, dtype=self.dtype, order="F")
            if self.compressed:
                # Volume by volume, as all volumes are behind each other in the file.
                self.decompress(out.reshape((-1, out.shape[-1]), order="F").T)
            else:
                _scale(self._stored(), out, self.header)
        except InputError:
            raise
        except DAMAGE as error:
            raise damaged(self, error) from None
        return out

    def scaled_when_read(self) -> ScaledArray | None:
        """Return the array of a file that is scaled and not compressed, to be read in parts.

        None for any other file, which is mapped into memory, or has to be decompressed.
        """
        if not self.scaled or self.compressed:
            return None
        return ScaledArray(self._stored(), self.dtype, self.header)

    @property
    def compressed(self) -> bool:
        """Whether the numbers are in a compressed file."""
        return self.data.suffix.lower() in _COMPRESSED

    def _stored(self) -> NDArray[Any]:
        header = self.header
        mapped = np.memmap(
            self.data,
            dtype=header.dtype,
            mode="r",
            offset=header.offset,
            shape=header.shape,
            order="F",
        )
        return np.asarray(mapped)

    def decompress(self, parts: Iterable[NDArray[Any]], *, most_behind: int | None = None) -> None:
        """Decompress the numbers into arrays one after the other, and check the checksum.

        nibabel would decompress the whole array before converting it, and would not check the
        checksum.

        Parameters
        ----------
        parts : iterable of ndarray, shape (n,)
            Of type `dtype`; together they have as many numbers as the file. Each is filled before
            the next is asked for.
        most_behind : int, optional
            Bytes that may follow the numbers; any by default.

        Raises
        ------
        ValueError, EOFError, OSError
            If the file is damaged, or its content is longer or shorter than its header says.
        """
        header = self.header
        with _opened(self.data) as stream:
            _skip(stream, header.offset)
            for part in parts:
                buffer = np.empty(part.shape, header.dtype) if self.scaled else part
                _read_exactly(stream, buffer.view(np.uint8))
                if self.scaled:
                    _scale(buffer, part, header)
            behind = 0
            while piece := stream.read(_PIECE):
                behind += len(piece)
                if most_behind is not None and behind > most_behind:
                    raise ValueError("it goes on after its image data")


class ScaledArray:
    """Numbers of a file that are scaled where they are read.

    Parameters
    ----------
    stored : ndarray
        The numbers as stored, mapped into memory.
    dtype : dtype
        Type of the scaled numbers.
    header : ImageHeader
        How to scale them.
    """

    def __init__(self, stored: NDArray[Any], dtype: np.dtype[Any], header: ImageHeader) -> None:
        self._stored, self._header = stored, header
        self.shape, self.dtype = stored.shape, dtype

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        part = self._stored[key]
        out = np.empty(part.shape, dtype=self.dtype, order="F")
        _scale(part, out, self._header)
        return out


def open_nifti(path: Path) -> NiftiFile:
    """Open a NIfTI-1 or NIfTI-2 file.

    Parameters
    ----------
    path : Path
        ``.nii``, ``.nii.gz`` or a ``.hdr``/``.img`` pair.

    Returns
    -------
    NiftiFile

    Raises
    ------
    FileFormatError
        If there is no such file, or it is not NIfTI, is damaged, or does not contain real numbers.
    """
    at_hand(path)
    _check_there(path)
    head, data = _pair(path)
    if head is None:
        raise FileFormatError(_not_nifti(path, "its name is that of another kind of file"))
    for part in {head, data} - {path}:
        if not part.exists():
            raise FileFormatError(
                f"{path} is one of two files and {part.name} is not next to it; expected both. "
                "Copy it there"
            )
    try:
        header = parse_header(_start(head), single=head == data)
    except DAMAGE as error:
        raise FileFormatError(_not_nifti(path, _reason(error))) from None
    file = NiftiFile(path, header, data)
    _check_numbers(file)
    _check_size(file)
    return file


def warn_of_geometry(file: NiftiFile, *, stacklevel: int = 2) -> None:
    """Warn, once, of everything odd about the voxel positions in a file.

    Parameters
    ----------
    file : NiftiFile
        The file.
    stacklevel : int
        As for `warnings.warn`, counted from the caller.

    Warns
    -----
    GeometryWarning
        If its forms differ or cannot be used, or its units or voxel sizes cannot be right.
    """
    if file.header.remarks:
        warnings.warn(
            f"{file.path}: {'; '.join(file.header.remarks)}. Volumes, distances and the places "
            "of masks and labels depend on it; correct the header if that is wrong",
            GeometryWarning,
            stacklevel=stacklevel + 1,
        )


def _pair(path: Path) -> tuple[Path | None, Path]:
    """Return the header and data files; no header if the name is that of neither."""
    name = path.name.lower()
    ending = next((end for end in _COMPRESSED if name.endswith(end)), "")
    stem = name.removesuffix(ending)
    if stem.endswith(".nii"):
        return path, path
    if not stem.endswith((".hdr", ".img")):
        return None, path
    files = nib.Nifti1Pair.filespec_to_file_map(path)
    return Path(files["header"].filename), Path(files["image"].filename)


def _opened(path: Path) -> Any:
    # gzip, not nibabel's opener, which may skip the checksum.
    return open_gzip(path) if path.suffix.lower() == ".gz" else nib.openers.Opener(path)


def _start(path: Path) -> bytes:
    ending = path.suffix.lower()
    opened: Any = _opened if ending in _COMPRESSED else partial(open, mode="rb")
    # isal would read on, and find damage that is not in the header.
    with (gzip.open if ending == ".gz" else opened)(path) as stream:
        start: bytes = stream.read(HEADER_SIZE)
    return start


def _check_size(file: NiftiFile) -> None:
    """Refuse a file that claims more data than it can contain, before memory is allocated."""
    claimed = file.header.offset + file.header.n_bytes
    there = file.data.stat().st_size
    ending = file.data.suffix.lower()
    most = there
    if ending == ".gz":
        most = there * _GZIP_AT_MOST + _PIECE
    elif ending in _COMPRESSED:
        # The expansion of these formats is unbounded, so the bytes are counted.
        most = _length(file.data, claimed)
    if claimed > most:
        raise damaged(file, f"the file has {there} bytes")


def _length(path: Path, enough: int) -> int:
    """Count the decompressed bytes of a file, and stop when there are enough."""
    done = 0
    try:
        with _opened(path) as stream:
            while done < enough and (piece := stream.read(_PIECE)):
                done += len(piece)
    except DAMAGE:
        return done
    return done


def damaged(file: NiftiFile, why: str | BaseException) -> FileFormatError:
    """Return the error for a file whose content is not what its header says."""
    reason = why if isinstance(why, str) else _reason(why)
    return FileFormatError(
        f"{file.path} is truncated or damaged ({reason}); expected "
        f"{file.header.n_bytes / 1e6:.3g} MB of image data. Copy or convert it again"
    )


def _check_there(path: Path) -> None:
    try:
        problem = _problem_with(path)
    except (OSError, ValueError) as error:
        # A folder in the path that may not be read, or an invalid name.
        problem = (
            f"cannot be read ({getattr(error, 'strerror', None) or error}); expected a NIfTI "
            "file. Check path and rights"
        )
    if problem:
        raise FileFormatError(problem if str(path) in problem else f"{path} {problem}")


def _problem_with(path: Path) -> str:
    """Say why there is nothing to read; empty if there is something."""
    if path.is_dir():
        return (
            "is a folder; expected a NIfTI file (.nii or .nii.gz). "
            "Name the file in it; of DICOM only scans are read"
        )
    if path.is_symlink() and not path.exists():
        target = str(path.readlink())
        advice = (
            "It is of git-annex: get the content (datalad get, git annex get)"
            if "annex" in target
            else "Repair the link, or copy the file"
        )
        return f"is a link to {target}, which does not exist; expected a NIfTI file. {advice}"
    if not path.exists():
        if _LOST_SLASH.match(str(path)):
            return (
                f"{path} is an address that was made a path, which took a slash from it; expected "
                "a text. Give it as a text"
            )
        return f"there is no file {path}; expected a NIfTI file. Check the path"
    if not os.access(path, os.R_OK):
        return "cannot be read; expected a readable file. Change its rights"
    if not path.is_file():
        return "is a device, a pipe or a socket; expected a NIfTI file. Write it to a file first"
    if path.stat().st_size == 0:
        return "is empty; expected a NIfTI file. Copy it again"
    return ""


def _check_numbers(file: NiftiFile) -> None:
    stored = file.header.dtype
    if stored.kind == "c":
        raise FileFormatError(
            f"{file.path} contains complex data ({stored}); expected magnitudes. "
            "Save the absolute value"
        )
    if stored.kind not in "biuf":
        raise FileFormatError(
            f"{file.path} contains data of type {stored}, such as colours; expected real numbers. "
            "Give the scan itself"
        )
    if 0 in file.shape:
        raise FileFormatError(
            f"{file.path} has shape {file.shape}; expected at least one voxel. Convert it again"
        )


def _not_nifti(path: Path, reason: str) -> str:
    return (
        f"{path} is not a NIfTI file, or damaged ({reason}); expected .nii or .nii.gz. "
        f"{advice_on(path)}"
    )


def _skip(stream: Any, n_bytes: int) -> None:
    left = n_bytes
    while left > 0:
        piece = stream.read(min(_PIECE, left))
        if not piece:
            raise EOFError("the data end too early")
        left -= len(piece)


def _read_exactly(stream: Any, out: NDArray[np.uint8]) -> None:
    view = memoryview(out)  # type: ignore[arg-type]
    done = 0
    while done < len(view):
        piece = stream.read(min(_PIECE, len(view) - done))
        if not piece:
            raise EOFError("the data end too early")
        view[done : done + len(piece)] = piece
        done += len(piece)


def _scale(stored: NDArray[Any], out: NDArray[Any], header: ImageHeader) -> None:
    """Write slope * stored + inter to `out`, volume by volume to need little memory."""
    slope, inter = header.slope, header.inter
    last = stored.shape[-1] if stored.ndim > 1 else 1
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(last):
            part = (..., k) if stored.ndim > 1 else ...
            out[part] = stored[part].astype(np.float64) * slope + inter


def _reason(error: BaseException) -> str:
    """Return the first line of an error, which may be empty."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
