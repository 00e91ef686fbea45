"""User mask: a mask loaded by the user, placed on the grid of the study."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivimkit import io
from ivimkit.errors import InputError, OptionError
from ivimkit.io.names_of_labels import own_names
from ivimkit.io.placing import Grid, Placement
from ivimkit.viewer.study import Study
from ivimkit.viewer.study_images import smallest

__all__ = ["PlacedMask", "placed_mask", "placing_note"]

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class PlacedMask:
    """A mask or label image on the grid of a study.

    Parameters
    ----------
    labels : ndarray of int
        Shape of the maps.
    note : str
        How it was placed; empty if it is on the grid.
    names : mapping of int to str
        Names of the regions that are in its header, if any.
    """

    labels: NDArray[np.int32] = field(repr=False)
    note: str = ""
    names: Mapping[int, str] = field(default_factory=dict)

    def image(self, study: Study) -> bytes:
        """Return it as a ``.nii`` file."""
        return io.image_bytes(smallest(self.labels), study.geometry)


def placed_mask(study: Study, image: bytes) -> PlacedMask:
    """Return a mask or label image on the grid of the study, placed by position.

    Parameters
    ----------
    study : Study
        The study.
    image : bytes
        A ``.nii`` or ``.nii.gz`` file on any grid.

    Returns
    -------
    PlacedMask

    Raises
    ------
    InputError
        If it is not an image of integers, or does not overlap with the scan.
    """
    array, geometry = io.image_of_bytes(image)
    with tempfile.TemporaryDirectory(prefix="ivimkit-mask-") as folder:
        name = "mask.nii.gz" if image[:2] == _GZIP else "mask.nii"
        path = Path(folder) / name
        path.write_bytes(image)
        try:
            labels = io.load_labels(path, study.results[0])
            names = own_names(path)
        except InputError as error:
            # The name of the temporary folder is meaningless to the user.
            raise OptionError(str(error).replace(str(path), "the mask")) from None
    own = (*array.shape, 1, 1, 1)[:3]
    placed = Placement.of("the mask", own, geometry, Grid(study.grid, study.geometry))
    return PlacedMask(labels.array, placing_note(placed, own, "mask", "nearest neighbour"), names)


def placing_note(placed: Placement, own: tuple[int, ...], what: str, how: str) -> str:
    """Describe what was done to a mask or an image; empty if nothing was.

    Parameters
    ----------
    placed : Placement
        Where it is.
    own : tuple of int
        Its shape.
    what : str
        What it is called.
    how : str
        How its values were found between voxels.
    """
    grid = placed.grid.volume
    shapes = f"{' x '.join(map(str, own))} voxels against {' x '.join(map(str, grid))}"
    match placed.how:
        case "resampled":
            return f"The {what} has another grid ({shapes}): resampled to the scan, {how}."
        case "reordered":
            return f"The {what} is stored in another order or size ({shapes}): placed by position."
        case "other form":
            return f"The {what} matches the other form of the scan's header: used voxel by voxel."
        case "by voxel":
            return f"The {what} or the scan does not say where it is: used voxel by voxel."
        case _:
            return ""
