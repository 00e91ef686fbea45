"""Canon and Toshiba: the standard elements, and for directions a comment in text.

V5.0 leaves out the b-value of images without weighting; V6.0 writes the direction only into Image
Comments, like ``b=1500(0.445,0.000,0.895)``.
"""

from __future__ import annotations

import re

from pydicom import Dataset

from ivimkit.io.dicom.element import text
from ivimkit.io.dicom.vendor import (
    BValue,
    Vector,
    Vendor,
    in_patient,
    standard_b,
    standard_direction,
)

__all__ = ["VENDOR"]

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_COMMENT = re.compile(rf"\bb=({_NUMBER})(?:\(({_NUMBER}),({_NUMBER}),({_NUMBER})\))?")


def _b_value(header: Dataset) -> BValue | None:
    found = standard_b(header)
    if found is not None:
        return found
    comment = _COMMENT.search(text(header, "ImageComments"))
    return None if comment is None else BValue(float(comment[1]), "ImageComments")


def _direction(header: Dataset) -> Vector | None:
    found = standard_direction(header)
    if found is not None:
        return found
    comment = _COMMENT.search(text(header, "ImageComments"))
    if comment is None or comment[2] is None:
        return None
    # Against phase encoding, against frequency encoding, and along the normal: found by comparison
    # with the enhanced images of the same protocol by V6.1.
    phase, frequency, across = float(comment[2]), float(comment[3]), float(comment[4])
    if text(header, "InPlanePhaseEncodingDirection").upper() == "ROW":
        return in_patient(header, (-phase, -frequency, across))
    return in_patient(header, (-frequency, -phase, across))


VENDOR = Vendor(
    "Canon/Toshiba",
    makers=("CANON", "TOSHIBA"),
    sought="0018,9087 and Image Comments (b=...)",
    b_value=_b_value,
    direction=_direction,
)
