"""Manufacturers, one per file: the constant VENDOR of a file in this folder."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from ivimkit.io.dicom.element import PrivateTag
from ivimkit.io.dicom.vendor import Vendor

__all__ = ["all_vendors", "private_tags", "vendor_of"]


@cache
def all_vendors() -> tuple[Vendor, ...]:
    """Return all manufacturers; the one that reads standard elements only is last."""
    names = sorted(module.name for module in iter_modules(__path__))
    found: list[Vendor] = [import_module(f"{__name__}.{name}").VENDOR for name in names]
    return tuple(sorted(found, key=lambda vendor: not vendor.makers))


@cache
def vendor_of(manufacturer: str) -> Vendor:
    """Return the manufacturer by the text of its element.

    Parameters
    ----------
    manufacturer : str
        Manufacturer (0008,0070).

    Examples
    --------
    >>> from ivimkit.io.dicom.vendors import vendor_of
    >>> vendor_of("SIEMENS Healthineers").name, vendor_of("Anybody").name
    ('Siemens', 'other manufacturers')
    """
    name = f" {manufacturer.upper()} "
    for vendor in all_vendors():
        if not vendor.makers or any(f" {maker}" in name for maker in vendor.makers):
            return vendor
    raise AssertionError("the last vendor has no names, and so fits all")


def private_tags() -> tuple[PrivateTag, ...]:
    """Return the private elements that some manufacturer reads."""
    return tuple(dict.fromkeys(tag for vendor in all_vendors() for tag in vendor.private))
