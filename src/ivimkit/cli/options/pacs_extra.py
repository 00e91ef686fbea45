"""The extra that a node needs."""

from __future__ import annotations

from importlib.util import find_spec

from ivimkit.errors import InputError

__all__ = ["require_pacs"]


def require_pacs() -> None:
    """Raise InputError if the libraries of the node are not installed."""
    if any(find_spec(name) is None for name in ("pynetdicom", "pydicom")):
        raise InputError(
            "pynetdicom is needed for a DICOM node; expected it to be installed. Install it "
            "(pip install 'ivimkit[pacs]')"
        )
