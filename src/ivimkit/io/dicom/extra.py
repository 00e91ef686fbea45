"""require_dicom: the extra that DICOM needs, asked for in one sentence."""

from __future__ import annotations

from importlib.util import find_spec

from ivimkit.errors import InputError

__all__ = ["require_dicom"]


def require_dicom(what: str = "DICOM files", library: str = "pydicom") -> None:
    """Check that a library of the extra is installed.

    Parameters
    ----------
    what : str
        What needs it, at the beginning of the message.
    library : str
        Its name: pydicom for reading, highdicom for writing.

    Raises
    ------
    InputError
        If it is not.
    """
    if find_spec(library) is None:
        raise InputError(
            f"{what}: {library} is not installed; expected the extra dicom. Install it with "
            "pip install 'ivimkit[dicom]'"
        )
