"""Opened image: another image of the patient, such as T2, placed on the grid of the study."""

from __future__ import annotations

import numpy as np

from ivimkit import io
from ivimkit.errors import ShapeError
from ivimkit.io.placing import Grid, Placement
from ivimkit.viewer.study import Study
from ivimkit.viewer.study_images import as_image
from ivimkit.viewer.user_mask import placing_note

__all__ = ["opened_image"]


def opened_image(study: Study, image: bytes) -> tuple[bytes, str]:
    """Return an image on the voxels that the page shows, placed by position.

    Parameters
    ----------
    study : Study
        The study.
    image : bytes
        A ``.nii`` or ``.nii.gz`` file of one volume on any grid.

    Returns
    -------
    tuple of bytes and str
        A ``.nii`` file, float32, NaN outside of the image; and how it was placed, empty if it is
        on the grid.

    Raises
    ------
    InputError
        If it is not an image of real numbers, has several volumes, or does not overlap with the
        scan.
    """
    array, geometry = io.image_of_bytes(image)
    shape = (*array.shape, 1, 1, 1)
    own = shape[:3]
    if array.size != np.prod(own):
        raise ShapeError(
            f"the image has shape {array.shape}; expected one volume, three axes. Save one of its "
            "volumes as a file of its own"
        )
    placed = Placement.of("the image", own, geometry, Grid(study.grid, study.geometry))
    values = placed.values(array.reshape(own)).reshape(study.grid)
    shown = values[study.shown.box(3)].astype(np.float32)
    return as_image(study, shown), placing_note(placed, own, "image", "linearly")
