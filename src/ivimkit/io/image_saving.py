"""save_image: an image of nibabel as a file, compressed as fast as the machine can."""

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
    with path.open("wb") as raw, _compressed(raw) as stream:
        image.to_stream(stream)


def _compressed(raw: Any) -> Any:
    """Return a stream that compresses: by isal, which is several times as fast, if it is there."""
    try:
        from isal import igzip
    except ImportError:
        return gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0)
    fast: Any = igzip
    return fast.IGzipFile("", "wb", _LEVEL, raw, mtime=0)
