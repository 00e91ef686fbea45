"""stem_of_name: the name of an image without its ending."""

from __future__ import annotations

import re

__all__ = ["stem_of_name"]

_ENDING = re.compile(
    r"(\.(nii|hdr|img)(\.(gz|bz2|zst))?|(\.ome)?\.zarr|\.h5|\.hdf5)$", re.IGNORECASE
)


def stem_of_name(name: str) -> str:
    """Return the name of an image without its ending.

    Examples
    --------
    >>> from ivimkit.io.image_stem import stem_of_name
    >>> stem_of_name("dwi.nii.gz"), stem_of_name("dwi.ome.zarr"), stem_of_name("data")
    ('dwi', 'dwi', 'data')
    """
    return _ENDING.sub("", name)
