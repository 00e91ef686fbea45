"""NIfTI images: opened with checks, read without a second copy of the array."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError
from ivimkit.geometry import Geometry

__all__ = ["NiftiFile", "geometry_of", "open_nifti"]

# Half of nibabel has no types.
nib: Any = nibabel

_PIECE = 1 << 17
_MIXED_CASE = re.compile(r"\.(?!nii|NII)[nN][iI][iI](\.[gG][zZ])?$")
_DAMAGE = (OSError, EOFError, zlib.error, ValueError)


@dataclass(frozen=True)
class NiftiFile:
    """A NIfTI file whose header has been read and found usable.

    Parameters
    ----------
    path : Path
        The file.
    image : nibabel image
        Its header; the data are read on demand.
    """

    path: Path
    image: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(int(n) for n in self.image.shape)

    @property
    def scaled(self) -> bool:
        """Whether the stored numbers are to be scaled (scl_slope, scl_inter)."""
        proxy = self.image.dataobj
        return (float(proxy.slope), float(proxy.inter)) != (1.0, 0.0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array that `read` returns: as stored, or float where it is scaled."""
        stored: np.dtype[Any] = np.dtype(self.image.get_data_dtype())
        if not self.scaled or stored == np.float64:
            return stored
        return np.dtype(np.float32)

    @property
    def geometry(self) -> Geometry:
        """Affine, units, codes and header."""
        return geometry_of(self.image)

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
        """
        try:
            if not self.scaled and not self._gzipped:
                return self._stored()
            out = np.empty(self.shape, dtype=self.dtype, order="F")
            if self._gzipped:
                self._gunzip(out)
            else:
                _scale(self._stored(), out, self.image.dataobj)
        except _DAMAGE as error:
            raise FileFormatError(
                f"{self.path} is truncated or damaged ({_reason(error)}); expected "
                f"{_megabytes(self.shape, self.image.get_data_dtype())} of image data. "
                "Copy or convert it again"
            ) from None
        return out

    @property
    def _gzipped(self) -> bool:
        return str(self.image.file_map["image"].filename).lower().endswith(".gz")

    def _stored(self) -> NDArray[Any]:
        return np.asarray(self.image.dataobj.get_unscaled())

    def _gunzip(self, out: NDArray[Any]) -> None:
        """Decompress into `out` volume by volume, and to the end, where the checksum is.

        nibabel would decompress a whole array first and convert it then, and would not see
        the checksum.
        """
        proxy = self.image.dataobj
        stored = np.dtype(self.image.get_data_dtype())
        slabs = out.reshape((-1, out.shape[-1]), order="F").T
        with gzip.open(self.image.file_map["image"].filename) as stream:
            _read_exactly(stream, bytearray(proxy.offset))
            for slab in slabs:
                buffer = np.empty(slab.shape, stored) if self.scaled else slab
                _read_exactly(stream, buffer.view(np.uint8))
                if self.scaled:
                    _scale(buffer, slab, proxy)
            while stream.read(_PIECE):
                pass


def geometry_of(image: Any) -> Geometry:
    """Return affine, units, codes and header of a nibabel image."""
    header = image.header
    return Geometry(
        image.affine,
        voxel_units=str(header.get_xyzt_units()[0]),
        sform_code=int(header["sform_code"]),
        qform_code=int(header["qform_code"]),
        header=bytes(header.binaryblock),
    )


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
        If there is no such file, or it is not NIfTI, or damaged, or does not hold real numbers.
    """
    _check_there(path)
    try:
        image = _load(path)
    except (ImageFileError, HeaderDataError, WrapStructError, *_DAMAGE) as error:
        raise FileFormatError(_not_nifti(path, _reason(error))) from None
    if not isinstance(image, nib.Nifti1Pair):
        raise FileFormatError(_not_nifti(path, f"it is {type(image).__name__}"))
    file = NiftiFile(path, image)
    _check_numbers(file)
    return file


def _load(path: Path) -> Any:
    """Open with nibabel, which by name finds .nii and .NII but not .Nii."""
    if not _MIXED_CASE.search(path.name):
        return nib.load(path, mmap="r")
    holder = nib.FileHolder(str(path))
    files = {"header": holder, "image": holder}
    try:
        return nib.Nifti1Image.from_file_map(files, mmap="r")
    except HeaderDataError:
        return nib.Nifti2Image.from_file_map(files, mmap="r")


def _check_there(path: Path) -> None:
    if path.is_dir():
        raise FileFormatError(
            f"{path} is a folder; expected a NIfTI file (.nii or .nii.gz). "
            "Name the file in it; DICOM folders are converted by dcm2niix"
        )
    if not path.exists():
        raise FileFormatError(f"there is no file {path}; expected a NIfTI file. Check the path")
    if not os.access(path, os.R_OK):
        raise FileFormatError(
            f"{path} cannot be read; expected a readable file. Change its rights"
        )
    if path.stat().st_size == 0:
        raise FileFormatError(f"{path} is empty; expected a NIfTI file. Copy it again")


def _check_numbers(file: NiftiFile) -> None:
    stored = np.dtype(file.image.get_data_dtype())
    if stored.kind == "c":
        raise FileFormatError(
            f"{file.path} holds complex data ({stored}); expected magnitudes. "
            "Save the absolute value"
        )
    if stored.kind not in "biuf":
        raise FileFormatError(
            f"{file.path} holds data of type {stored}, such as colours; expected real numbers. "
            "Give the scan itself"
        )
    if 0 in file.shape or not file.shape:
        raise FileFormatError(
            f"{file.path} has shape {file.shape}; expected at least one voxel. Convert it again"
        )
    if not np.isfinite(file.image.affine).all():
        raise FileFormatError(
            f"{file.path} has an affine that is not finite; expected numbers. Convert it again"
        )


def _not_nifti(path: Path, reason: str) -> str:
    """Say what a file is, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(132)
    gzipped = start[:2] == b"\x1f\x8b"
    if start[128:132] == b"DICM":
        advice = "It is a DICOM file: convert it with dcm2niix"
    elif gzipped and not path.name.lower().endswith(".gz"):
        advice = "It is compressed: call it .nii.gz"
    elif path.name.lower().endswith(".gz") and not gzipped:
        advice = "It is not compressed: call it .nii"
    else:
        advice = "Copy or convert it again, e.g. with dcm2niix"
    return f"{path} is not a NIfTI file, or damaged ({reason}); expected .nii or .nii.gz. {advice}"


def _read_exactly(stream: gzip.GzipFile, out: bytearray | NDArray[np.uint8]) -> None:
    view = memoryview(out)  # type: ignore[arg-type]
    done = 0
    while done < len(view):
        piece = stream.read(min(_PIECE, len(view) - done))
        if not piece:
            raise EOFError("the data end too early")
        view[done : done + len(piece)] = piece
        done += len(piece)


def _scale(stored: NDArray[Any], out: NDArray[Any], proxy: Any) -> None:
    """Write slope * stored + inter to `out`, volume by volume to need little memory."""
    slope, inter = float(proxy.slope), float(proxy.inter)
    last = stored.shape[-1] if stored.ndim > 1 else 1
    for k in range(last):
        part = (..., k) if stored.ndim > 1 else ...
        out[part] = stored[part].astype(np.float64) * slope + inter


def _reason(error: BaseException) -> str:
    """Return the first line of an error, which may be empty."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _megabytes(shape: tuple[int, ...], stored: np.dtype[Any]) -> str:
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(stored).itemsize
    return f"{size / 1e6:.3g} MB"
