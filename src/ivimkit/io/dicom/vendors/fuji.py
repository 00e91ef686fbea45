"""Hitachi and Fujifilm: the standard elements."""

from __future__ import annotations

from ivimkit.io.dicom.vendor import Vendor

__all__ = ["VENDOR"]

VENDOR = Vendor("Hitachi/Fujifilm", makers=("HITACHI", "FUJI"))
