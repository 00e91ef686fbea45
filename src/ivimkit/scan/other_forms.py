"""Other forms of a scan than a DWI or an array, known without loading the libraries they need."""

from __future__ import annotations

import sys
from os import PathLike

__all__ = ["is_data_array", "is_hdf5_node", "is_image", "is_other_form", "is_zarr_node"]


def is_other_form(data: object) -> bool:
    """Return whether a scan is given by something else than a DWI or an array of numbers."""
    if isinstance(data, (str, PathLike)):
        return True
    if isinstance(data, (list, tuple)) and data and isinstance(data[0], (str, PathLike)):
        return True
    return is_image(data) or is_data_array(data) or is_zarr_node(data) or is_hdf5_node(data)


def is_image(data: object) -> bool:
    """Return whether something is an image of nibabel."""
    # There is none if nibabel is not loaded.
    module = sys.modules.get("nibabel.spatialimages")
    return module is not None and isinstance(data, module.SpatialImage)


def is_data_array(data: object) -> bool:
    """Return whether something is an array of xarray."""
    module = sys.modules.get("xarray")
    return module is not None and isinstance(data, module.DataArray)


def is_zarr_node(data: object) -> bool:
    """Return whether something is an array or a group of zarr."""
    module = sys.modules.get("zarr")
    return module is not None and isinstance(data, (module.Array, module.Group))


def is_hdf5_node(data: object) -> bool:
    """Return whether something is a data set, a group or a file of h5py."""
    module = sys.modules.get("h5py")
    return module is not None and isinstance(data, (module.Dataset, module.Group))
