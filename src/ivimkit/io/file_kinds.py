"""advice_on: what a file that is not a NIfTI image is, by its first bytes, and what to do."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from pathlib import Path

__all__ = ["advice_on"]

_NAMES = (".nii", ".nii.gz")
_COPY = "Copy or convert it again, e.g. with dcm2niix"
_MRTRIX = "It is an MRtrix image: convert it with mrconvert"
_SLICER = "convert it with 3D Slicer, ITK-SNAP or SimpleITK"
_STARTS = {
    b"version https://git-lfs": (
        "It is a Git LFS pointer, not the file itself: get the content with git lfs pull"
    ),
    b"/annex/objects": (
        "It is a git-annex pointer, not the file itself: get the content (datalad get)"
    ),
    b"NRRD": f"It is an NRRD image: {_SLICER}",
    b"mrtrix image": _MRTRIX,
    b"ObjectType": f"It is a MetaImage: {_SLICER}",
    b"NDims": f"It is a MetaImage: {_SLICER}",
    b"PK\x03\x04": "It is a ZIP archive: unpack it, and give the image in it",
    b"\x89HDF": (
        "It is an HDF5 file: if it contains the scan as an array, name it .h5; convert others "
        "(MINC, Matlab) to NIfTI"
    ),
    b"CDF": "It is a MINC image: convert it with mnc2nii",
    b"\x93NUMPY": "It is a NumPy array: give it to ivimkit.DWI in Python, or save it as NIfTI",
    b"\xfd7zXZ": "It is compressed with xz: unpack it, and give the .nii in it",
    b"7z\xbc\xaf": "It is a 7-Zip archive: unpack it, and give the image in it",
    b"\x00\x00\x00\x01\x00\x00": "It is a FreeSurfer image: convert it with mri_convert",
    b"# === DATA DESCRIPTION FILE": "It is a Philips PAR file: convert it with dcm2niix",
}
_GZIP = b"\x1f\x8b"


def advice_on(path: Path) -> str:
    """Say what a file is, and how to get NIfTI from it.

    Parameters
    ----------
    path : Path
        A readable file.

    Returns
    -------
    str
        A sentence or two, without the full stop of the last one.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "dwi.nii.gz"
    >>> _ = path.write_text("version https://git-lfs.github.com/spec/v1")
    >>> advice_on(path)
    'It is a Git LFS pointer, not the file itself: get the content with git lfs pull'
    """
    with path.open("rb") as file:
        start = file.read(600)
    gzipped, name = start[:2] == _GZIP, path.name.lower()
    inside = _unzipped(path) if gzipped else start
    if _is_nifti(inside):
        return _named_wrong(path, gzipped)
    kind = _kind(inside)
    if kind:
        return kind
    if gzipped and not name.endswith(".gz"):
        return "It is compressed: name it .nii.gz"
    if name.endswith(".gz") and not gzipped:
        return "It is not compressed: name it .nii"
    return _COPY


def _kind(start: bytes) -> str:
    """Return advice on a file that begins like this; empty if its kind is unknown."""
    if start[128:132] == b"DICM":
        return (
            "It is a DICOM file, and of DICOM only scans are read: convert it (ivimkit dicom "
            "convert for a scan, dcm2niix for others)"
        )
    for mark, advice in _STARTS.items():
        if start.startswith(mark):
            return advice
    if b"<html" in start.lower() or start.lower().lstrip().startswith(b"<!doctype"):
        return "It is a web page: the download failed, or asked for a login. Download it again"
    if start.lstrip()[:1] in (b"{", b"<"):
        return "It is a text file, not an image. Give the scan itself"
    if {int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")} & {348, 540}:
        return (
            "It looks like an Analyze 7.5 image, which does not define left and right. "
            "Convert it to NIfTI with the program that made it"
        )
    return ""


def _is_nifti(start: bytes) -> bool:
    return start[344:347] in (b"n+1", b"ni1") or start[4:7] in (b"n+2", b"ni2")


def _named_wrong(path: Path, gzipped: bool) -> str:
    """Say what to name a NIfTI file with a wrong name; otherwise it is damaged."""
    name = path.name.lower()
    right = _NAMES[gzipped]
    if name.endswith((".hdr", ".img", ".hdr.gz", ".img.gz")) or name.endswith(right):
        return _COPY
    if gzipped and not name.endswith(".gz"):
        return "It is compressed: name it .nii.gz"
    if name.endswith(".gz") and not gzipped:
        return "It is not compressed: name it .nii"
    return f"It is a NIfTI file by its content: give it a name that ends in {right}"


def _unzipped(path: Path) -> bytes:
    with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(path) as stream:
        return stream.read(600)
    return b""
