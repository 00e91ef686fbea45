"""Addresses (URLs) of files: what is one, and what of it may be written down."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

__all__ = ["find_address", "is_address", "public"]

# Two letters at least: C:\ is a drive.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://\S", re.IGNORECASE)


def is_address(given: object) -> bool:
    """Return whether something is an address, like ``"https://host/dwi.nii.gz"``.

    Examples
    --------
    >>> from ivimkit.addresses import is_address
    >>> is_address("s3://bucket/dwi.nii.gz"), is_address("dwi.nii.gz"), is_address("C://dwi.nii")
    (True, False, False)
    """
    return isinstance(given, str) and _ADDRESS.match(given) is not None


def find_address(text: str) -> tuple[str, str]:
    """Return what is before an address in a text, and the address; empty if there is none.

    Examples
    --------
    >>> from ivimkit.addresses import find_address
    >>> find_address("--mask=https://host/mask.nii.gz")
    ('--mask=', 'https://host/mask.nii.gz')
    """
    found = _ADDRESS.search(text)
    return (text, "") if found is None else (text[: found.start()], text[found.start() :])


def public(text: str) -> str:
    """Return a text without the secrets of the address in it: user, password, query.

    Examples
    --------
    >>> from ivimkit.addresses import public
    >>> public("https://anna:secret@host:8080/dwi.nii.gz?token=1234")
    'https://host:8080/dwi.nii.gz'
    """
    before, address = find_address(text)
    if not address:
        return text
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return before + urlunsplit((parts.scheme, host, parts.path, "", ""))
