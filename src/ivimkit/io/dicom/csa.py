"""The CSA header of Siemens: slice normal and b-value."""

from __future__ import annotations

import warnings
from typing import Any

from pydicom import Dataset

from ivimkit.io.dicom.element import PrivateTag

__all__ = ["IMAGE_HEADER", "csa_numbers"]

IMAGE_HEADER = PrivateTag(0x0029, 0x1010, "OB", "SIEMENS CSA HEADER")
_MAX_BYTES = 1 << 24


def csa_numbers(header: Dataset, name: str) -> tuple[float, ...]:
    """Return the numbers of a field of the CSA image header; none if it cannot be read.

    Parameters
    ----------
    header : Dataset
        The header of an image.
    name : str
        Field, like ``B_value`` or ``SliceNormalVector``.
    """
    place = IMAGE_HEADER.place(header)
    value = header[place].value if place in header else None
    if not isinstance(value, bytes) or len(value) > _MAX_BYTES:
        return ()
    try:
        items = _reader().read(value)["tags"][name]["items"]
        return tuple(float(item) for item in items)
    except Exception:  # noqa: BLE001
        # nibabel's parser raises whatever damaged bytes lead to; then other tags are looked at.
        return ()


def _reader() -> Any:
    with warnings.catch_warnings():
        # nibabel calls its readers of DICOM highly experimental; the CSA reader is from 2009.
        warnings.simplefilter("ignore")
        from nibabel.nicom import csareader
    return csareader
