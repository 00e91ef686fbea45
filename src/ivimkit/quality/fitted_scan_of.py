"""The scan of a result, for what maps alone do not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ivimkit.errors import OptionError, ShapeError
from ivimkit.scan.dwi import DWI

if TYPE_CHECKING:
    from ivimkit.fitting.result import FitResult

__all__ = ["scan_of"]


def scan_of(result: FitResult, dwi: DWI | None = None) -> DWI:
    """Return the scan of a result: the one given, or that which the result knows.

    Parameters
    ----------
    result : FitResult
        The fit.
    dwi : DWI, optional
        The scan that was fitted.

    Returns
    -------
    DWI

    Raises
    ------
    OptionError
        If there is none.
    ShapeError
        If it does not belong to the result.
    """
    found = result.dwi if dwi is None else dwi
    if found is None:
        raise OptionError(
            "the result does not have its scan at hand; expected the measured signals. Name the "
            "scan that was fitted",
            python="Load it with load_result(folder, scan=True), or pass dwi=",
        )
    if found.shape != result.shape:
        raise ShapeError(
            f"the scan has shape {found.shape}; expected {result.shape}, that of the maps. Pass "
            "the scan that was fitted"
        )
    return found
