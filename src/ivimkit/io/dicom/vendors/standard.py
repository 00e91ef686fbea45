"""Manufacturers without elements known here: the standard ones."""

from __future__ import annotations

from ivimkit.io.dicom.vendor import Vendor

__all__ = ["VENDOR"]

VENDOR = Vendor("other manufacturers", makers=())
