"""require_dicom: the extra that DICOM needs, asked for in one sentence."""

from __future__ import annotations

from importlib.util import find_spec

from ivimkit.errors import InputError

__all__ = ["require_dicom"]


def require_dicom(what: str = "DICOM files") -> None:
    """Check that pydicom is installed.

    Parameters
    ----------
    what : str
        What needs it, at the beginning of the message.

    Raises
    ------
    InputError
        If it is not.
    """
    if find_spec("pydicom") is None:
        raise InputError(
            f"{what}: pydicom is not installed; expected the extra dicom. Install it with "
            "pip install 'ivimkit[dicom]'"
        )
