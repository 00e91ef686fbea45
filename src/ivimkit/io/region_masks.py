"""Masks from regions of a label image, by their names or numbers."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError, RegionWarning, ShapeError
from ivimkit.io.label_files import open_labels, placed_labels
from ivimkit.io.names_of_labels import names_of_labels
from ivimkit.io.placing import Grid
from ivimkit.io.remote_copies import local_path

__all__ = ["RegionChoice", "read_regions"]

# With the endings of other images, too: opening one says what to convert it with.
_CHOICE = re.compile(
    r"(.+\.(?:nii|nii\.gz|hdr|img|dcm|nrrd|nhdr|mgz|mgh|mha|mhd)):(.+)", re.IGNORECASE
)
_MAX_LISTED = 20


@dataclass(frozen=True)
class RegionChoice:
    """Some regions of a label image.

    Parameters
    ----------
    file : str
        The label image: NIfTI, or a DICOM Segmentation.
    regions : tuple of str
        Names or numbers.
    """

    file: str
    regions: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> RegionChoice | None:
        """Read ``"seg.nii.gz:liver,spleen"``; None for the name of a file alone.

        Raises
        ------
        OptionError
            If a region has no name.

        Examples
        --------
        >>> from ivimkit.io.region_masks import RegionChoice
        >>> RegionChoice.of("seg.nii.gz:liver,5").regions
        ('liver', '5')
        """
        found = _CHOICE.fullmatch(text)
        if found is None or os.path.exists(text):  # noqa: PTH110, Path.exists may raise
            return None
        regions = tuple(name.strip() for name in found[2].split(","))
        if not all(regions):
            raise OptionError(
                f"the mask is {text!r}; expected names or numbers of regions after the colon, "
                f"like {found[1]}:liver,spleen"
            )
        return cls(found[1], regions)

    def in_file(self, file: Path) -> str:
        """Return the choice of the same regions in another file."""
        return f"{file}:{','.join(self.regions)}"

    @property
    def origin(self) -> str:
        """How the mask was made, in words; the name of the file may be that of a patient."""
        return f"regions of a label image: {','.join(self.regions)}"


def read_regions(choice: RegionChoice, grid: Grid) -> NDArray[np.bool_]:
    """Return the voxels of a grid that are in one of some regions.

    Parameters
    ----------
    choice : RegionChoice
        The regions.
    grid : Grid
        Where; the image is placed as a mask.

    Returns
    -------
    ndarray of bool, shape of the grid

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, or of the wrong kind.
    OptionError
        If there is no such region; the message lists those of the image.
    ShapeError
        If none of the regions has a voxel on the grid.

    Warns
    -----
    RegionWarning
        If one of them has none.
    """
    path = local_path(choice.file)
    image = open_labels(path)
    names = names_of_labels(path) if image.names is None else image.names
    numbers = _numbers(choice, np.unique(image.array[image.array != 0]).tolist(), names)
    array = placed_labels(image, grid)
    empty = [name for name, number in numbers.items() if not (array == number).any()]
    if len(empty) == len(numbers):
        raise ShapeError(
            f"regions {', '.join(empty)} of {path} have no voxel on the scan; expected at least "
            "one. Check that they belong together"
        )
    if empty:
        warnings.warn(
            f"regions {', '.join(empty)} of {path} have no voxel on the scan; the mask is made of "
            "the others",
            RegionWarning,
            stacklevel=3,
        )
    return np.isin(array, list(numbers.values()))


def _numbers(
    choice: RegionChoice, present: Sequence[int], names: Mapping[int, str]
) -> dict[str, int]:
    """Return the number of each region that was asked for."""
    known = {names[number].casefold(): number for number in present if number in names}
    known |= {str(number): number for number in present}
    found = {}
    for name in choice.regions:
        number = known.get(name.casefold())
        if number is None:
            raise OptionError(_unknown(choice, name, present, names))
        found[name] = number
    return found


def _unknown(
    choice: RegionChoice, name: str, present: Sequence[int], names: Mapping[int, str]
) -> str:
    there = [names.get(number, str(number)) for number in present]
    listed = ", ".join(there[:_MAX_LISTED])
    more = len(there) - _MAX_LISTED
    hint = (
        "Give one of them"
        if any(number in names for number in present)
        else "Give a number, or put a table of the names next to the image (the same name with "
        ".tsv, or dseg.tsv, dataset.json, FreeSurferColorLUT.txt)"
    )
    return (
        f"{choice.file} has no region {name!r}; expected some of {listed}"
        f"{f' and {more} more' if more > 0 else ''}. {hint}"
    )
