"""save_image: an image of nibabel as a file, written part by part."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel

__all__ = ["save_image"]

# Half of nibabel has no types.
nib: Any = nibabel

# Higher levels take many times as long and save a few per cent.
_LEVEL = 1


def save_image(image: Any, path: Path) -> None:
    """Write an image, part by part: a map that is on disk is never in memory as a whole.

    Parameters
    ----------
    image : nibabel.Nifti1Image or nibabel.Nifti2Image
        The image.
    path : Path
        ``.nii`` or ``.nii.gz``; replaced if it exists. The same image gives the same bytes: no
        date and no name are in them.
    """
    if path.suffix.lower() != ".gz":
        nib.save(image, path)
        return
    # Not by isal, which is faster: bytes would depend on what is installed.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as stream:
        image.to_stream(stream)
