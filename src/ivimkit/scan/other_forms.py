"""Other forms of a scan than a DWI or an array, known without loading the libraries they need."""

from __future__ import annotations

import sys
from os import PathLike

__all__ = ["is_data_array", "is_image", "is_other_form"]


def is_other_form(data: object) -> bool:
    """Return whether a scan is given by something else than a DWI or an array of numbers."""
    if isinstance(data, (str, PathLike)):
        return True
    if isinstance(data, (list, tuple)) and data and isinstance(data[0], (str, PathLike)):
        return True
    return is_image(data) or is_data_array(data)


def is_image(data: object) -> bool:
    """Return whether something is an image of nibabel."""
    # There is none if nibabel is not loaded.
    module = sys.modules.get("nibabel.spatialimages")
    return module is not None and isinstance(data, module.SpatialImage)


def is_data_array(data: object) -> bool:
    """Return whether something is an array of xarray."""
    module = sys.modules.get("xarray")
    return module is not None and isinstance(data, module.DataArray)
