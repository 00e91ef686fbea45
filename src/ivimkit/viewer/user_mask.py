"""User mask: a mask loaded by the user, placed on the grid of the study."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivimkit import io
from ivimkit.errors import InputError, OptionError
from ivimkit.io.placing import Grid, Placement
from ivimkit.viewer.study import Study
from ivimkit.viewer.study_images import smallest

__all__ = ["aligned_mask", "placed_mask"]

_GZIP = b"\x1f\x8b"


def aligned_mask(study: Study, image: bytes) -> tuple[bytes, str]:
    """Return a mask or label image on the grid of the study, placed by position.

    Parameters
    ----------
    study : Study
        The study.
    image : bytes
        A ``.nii`` or ``.nii.gz`` file on any grid.

    Returns
    -------
    tuple of bytes and str
        A ``.nii`` file, and a note on how it was placed; empty if it is on the grid.

    Raises
    ------
    InputError
        If it is not an image of integers, or does not overlap with the scan.
    """
    labels, note = placed_mask(study, image)
    return io.image_bytes(smallest(labels), study.geometry), note


def placed_mask(study: Study, image: bytes) -> tuple[NDArray[np.int32], str]:
    """Return the labels of a mask or label image on the grid of the study, and the note.

    Parameters, errors
        As of `aligned_mask`.
    """
    array, geometry = io.image_of_bytes(image)
    with tempfile.TemporaryDirectory(prefix="ivimkit-mask-") as folder:
        name = "mask.nii.gz" if image[:2] == _GZIP else "mask.nii"
        path = Path(folder) / name
        path.write_bytes(image)
        try:
            labels = io.load_labels(path, study.results[0])
        except InputError as error:
            # The name of the temporary folder is meaningless to the user.
            raise OptionError(str(error).replace(str(path), "the mask")) from None
    own = (*array.shape, 1, 1, 1)[:3]
    placed = Placement.of("the mask", own, geometry, Grid(study.grid, study.geometry))
    return labels.array, _note(placed, own)


def _note(placed: Placement, own: tuple[int, ...]) -> str:
    """Describe what was done to a mask; empty if nothing was."""
    grid = placed.grid.volume
    shapes = f"{' x '.join(map(str, own))} voxels against {' x '.join(map(str, grid))}"
    match placed.how:
        case "resampled":
            return (
                f"The mask has another grid ({shapes}): resampled to the scan, nearest neighbour."
            )
        case "reordered":
            return f"The mask is stored in another order or size ({shapes}): placed by position."
        case "other form":
            return "The mask matches the other form of the scan's header: used voxel by voxel."
        case "by voxel":
            return "The mask or the scan does not say where it is: used voxel by voxel."
        case _:
            return ""
