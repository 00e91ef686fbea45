"""A mask of the user, on the grid of the study."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ivimkit import io
from ivimkit.errors import InputError, OptionError
from ivimkit.viewer.study import Study
from ivimkit.viewer.volumes import smallest

__all__ = ["aligned_mask"]

_GZIP = b"\x1f\x8b"


def aligned_mask(study: Study, image: bytes) -> tuple[bytes, str]:
    """Return a mask or label image on the grid of the study, nearest neighbour.

    Parameters
    ----------
    study : Study
        What is looked at.
    image : bytes
        A ``.nii`` or ``.nii.gz`` file of any grid.

    Returns
    -------
    tuple of bytes and str
        A ``.nii`` file, and a note if it was resampled; empty if not.

    Raises
    ------
    InputError
        If it is no image of whole numbers, or lies beside the scan.
    """
    array, geometry = io.image_of_bytes(image)
    with tempfile.TemporaryDirectory(prefix="ivimkit-mask-") as folder:
        name = "mask.nii.gz" if image[:2] == _GZIP else "mask.nii"
        path = Path(folder) / name
        path.write_bytes(image)
        try:
            labels = io.load_labels(path, study.results[0])
        except InputError as error:
            # Nobody knows the folder.
            raise OptionError(str(error).replace(str(path), "the mask")) from None
    own = (*array.shape, 1, 1, 1)[:3]
    if own == study.grid and geometry.is_at(study.geometry, own):
        return io.image_bytes(smallest(labels.array), study.geometry), ""
    shapes = f"{' x '.join(map(str, own))} voxels against {' x '.join(map(str, study.grid))}"
    note = f"The mask has another grid ({shapes}): resampled to the scan, nearest neighbour."
    return io.image_bytes(smallest(labels.array), study.geometry), note
