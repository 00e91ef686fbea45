"""NIfTI files read and written by nibabel, not by the package under test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

__all__ = ["read_image", "write_image"]


def read_image(path: Path) -> NDArray[Any]:
    """Return the values of an image, as stored if it is not scaled."""
    return np.asarray(nibabel.Nifti1Image.from_filename(path).dataobj)


def write_image(path: Path, values: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write an image with the data type of its values."""
    nibabel.save(nibabel.Nifti1Image(values, affine), path)  # type: ignore[no-untyped-call]
