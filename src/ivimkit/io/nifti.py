"""NIfTI images: opened with checks, read without a second copy of the array."""

from __future__ import annotations

import gzip
import math
import os
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.tripwire import TripWireError
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError, GeometryWarning, InputError
from ivimkit.io.file_kinds import advice_on
from ivimkit.io.nifti_header import HEADER_SIZE, ImageHeader, parse_header
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.whole_scan import check_whole

__all__ = ["NiftiFile", "ScaledArray", "open_nifti", "warn_of_geometry"]

# Half of nibabel has no types.
nib: Any = nibabel

_PIECE = 1 << 17
# Maximum expansion of one compressed byte, rounded up.
_GZIP_AT_MOST = 1040
_COMPRESSED = (".gz", ".bz2", ".zst")
_DAMAGE = (OSError, EOFError, zlib.error, ValueError, TripWireError)


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
            if not self.scaled and not self._compressed:
                return self._stored()
            # What a compressed file claims to become is known only when it is decompressed.
            check_whole(math.prod(self.shape) * self.dtype.itemsize, str(self.path))
            out = np.empty(self.shape, dtype=self.dtype, order="F")
            if self._compressed:
                self._gunzip(out)
            else:
                _scale(self._stored(), out, self.header)
        except InputError:
            raise
        except _DAMAGE as error:
            raise _damaged(self.path, _reason(error), self.header) from None
        return out

    def scaled_when_read(self) -> ScaledArray | None:
        """Return the array of a file that is scaled and not compressed, to be read in parts.

        None for any other file, which is mapped into memory, or has to be decompressed.
        """
        if not self.scaled or self._compressed:
            return None
        return ScaledArray(self._stored(), self.dtype, self.header)

    @property
    def _compressed(self) -> bool:
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

    def _gunzip(self, out: NDArray[Any]) -> None:
        """Decompress into `out` volume by volume, up to the checksum at the end.

        nibabel would decompress the whole array before converting it, and would not check the
        checksum.
        """
        header = self.header
        slabs = out.reshape((-1, out.shape[-1]), order="F").T
        with _opened(self.data) as stream:
            _skip(stream, header.offset)
            for slab in slabs:
                buffer = np.empty(slab.shape, header.dtype) if self.scaled else slab
                _read_exactly(stream, buffer.view(np.uint8))
                if self.scaled:
                    _scale(buffer, slab, header)
            while stream.read(_PIECE):
                pass


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
    except _DAMAGE as error:
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
    return gzip.open(path) if path.suffix.lower() == ".gz" else nib.openers.Opener(path)


def _start(path: Path) -> bytes:
    compressed = path.suffix.lower() in _COMPRESSED
    with _opened(path) if compressed else path.open("rb") as stream:
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
        raise _damaged(file.path, f"the file has {there} bytes", file.header)


def _length(path: Path, enough: int) -> int:
    """Count the decompressed bytes of a file, and stop when there are enough."""
    done = 0
    try:
        with _opened(path) as stream:
            while done < enough and (piece := stream.read(_PIECE)):
                done += len(piece)
    except _DAMAGE:
        return done
    return done


def _damaged(path: Path, reason: str, header: ImageHeader) -> FileFormatError:
    return FileFormatError(
        f"{path} is truncated or damaged ({reason}); expected {header.n_bytes / 1e6:.3g} MB of "
        "image data. Copy or convert it again"
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
