"""Region: the part of the body, as the standard writes and codes it (PS3.16, annex L)."""

from __future__ import annotations

import re
from typing import NamedTuple

from pydicom.sr.coding import Code

__all__ = ["Region", "code_in", "region_of"]


class Region(NamedTuple):
    """A part of the body.

    Parameters
    ----------
    body_part : str
        The word for Body Part Examined; empty if it is not known.
    code : Code
        The anatomic region.
    """

    body_part: str
    code: Code


_REGIONS = {
    word: Region(word, Code(value, "SCT", meaning))
    for word, value, meaning in (
        ("ABDOMEN", "818981001", "Abdomen"),
        ("ABDOMENPELVIS", "818982008", "Abdomen and Pelvis"),
        ("BRAIN", "12738006", "Brain"),
        ("BREAST", "76752008", "Breast"),
        ("CHEST", "51185008", "Chest"),
        ("HEAD", "69536005", "Head"),
        ("KIDNEY", "64033007", "Kidney"),
        ("LIVER", "10200004", "Liver"),
        ("MUSCLE", "71616004", "Muscle"),
        ("NECK", "45048000", "Neck"),
        ("PANCREAS", "15776009", "Pancreas"),
        ("PELVIS", "816092008", "Pelvis"),
        ("PROSTATE", "41216001", "Prostate"),
        ("UTERUS", "35039007", "Uterus"),
    )
}
# True of anything: the standard requires a region, and none must be invented.
_ANY = Code("91723000", "SCT", "Anatomical Structure")


def region_of(organ: str | None, body_part: str) -> Region:
    """Return the part of the body that was fitted.

    Parameters
    ----------
    organ : str, optional
        The organ of the fit; it is more precise than what the scanner was told.
    body_part : str
        Body Part Examined of the images.

    Examples
    --------
    >>> from ivimkit.io.dicom.body_parts import region_of
    >>> region_of("liver", "ABDOMEN").code.meaning, region_of(None, "knee").body_part
    ('Liver', 'KNEE')
    """
    for word in ((organ or "").upper(), body_part.strip().upper()):
        if word in _REGIONS:
            return _REGIONS[word]
    return Region(body_part.strip().upper()[:16], _ANY)


def code_in(name: str) -> Code | None:
    """Return the code of the organ that a name contains as a word, if there is one.

    Examples
    --------
    >>> from ivimkit.io.dicom.body_parts import code_in
    >>> code_in("left kidney").meaning, code_in("ROI 3")
    ('Kidney', None)
    """
    words = re.split(r"[^a-z]+", name.lower())
    return next((region.code for word, region in _REGIONS.items() if word.lower() in words), None)
