"""The b-values of a scan: from their file, the headers of the scan, or a table; in s/mm^2."""

from __future__ import annotations

import math
import os
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.addresses import is_address, public
from ivimkit.errors import AcquisitionError, OptionError, ShapeError
from ivimkit.io.array_scan import ArrayScan, is_array_scan
from ivimkit.io.gradient_files import beside, near_misses, read_bvals
from ivimkit.io.remote_copies import address_of, local_path, with_files_beside
from ivimkit.io.scan_files import AnyPath, ScanFiles
from ivimkit.io.variable_files import table_beside
from ivimkit.io.volume_variables import VolumeVariables
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.shell_clusters import ABSOLUTE, RELATIVE

if TYPE_CHECKING:
    from ivimkit.io.dicom.loading import DicomFiles

    Opened = ScanFiles | DicomFiles | ArrayScan

__all__ = ["B_UNITS", "bvals_of", "expect_bvals", "in_s_mm2", "numbers_of"]

B_UNITS = {"s/mm2": 1.0, "ms/um2": 1000.0, "s/cm2": 0.01}
"""Units of b-values, with their factor to s/mm^2."""

_HIGHEST_IN_UNIT = {"ms/um2": 100.0, "s/cm2": math.inf}


def bvals_of(
    given: Any, path: Path | None, files: Opened, known: VolumeVariables, b_unit: str
) -> NDArray[np.float64]:
    """Return the b-value of each volume of a scan, s/mm^2.

    Parameters
    ----------
    given : path, array_like or None
        Those of the call.
    path : Path, optional
        Their file: the named one, or the one next to the scan.
    files : ScanFiles, DicomFiles or ArrayScan
        The scan.
    known : VolumeVariables
        Its table of volumes.
    b_unit : str
        Unit of those in files, one of `B_UNITS`.

    Raises
    ------
    AcquisitionError
        If there are none, or they are implausible or contradict each other.
    ShapeError
        If there is not one per volume.
    OptionError
        If the unit is unknown, or contradicts the scan.
    FileFormatError
        If their file cannot be read.
    """
    if isinstance(files, ScanFiles):
        return _all_bvals(given, path, files, b_unit, known)
    if isinstance(files, ArrayScan):
        return _stored_bvals(given, path, files, b_unit, known)
    return _dicom_bvals(given, path, files, b_unit, known)


def numbers_of(bvals: Any) -> Any:
    """Return b-values written out, like ``"0,10,20"``, as numbers; others unchanged.

    A file with that name has priority.
    """
    if not isinstance(bvals, str | PathLike) or _is_there(bvals):
        return bvals
    words = os.fspath(bvals).replace(",", " ").split()
    try:
        return [float(word) for word in words] if len(words) > 1 else bvals
    except ValueError:
        return bvals


def _is_there(path: AnyPath) -> bool:
    try:
        return Path(path).exists()
    except OSError:
        return False


def _read_bvals(
    given: Any, path: Path | None, files: Opened, b_unit: str, name: str = ""
) -> NDArray[np.float64]:
    """Return the b-values in s/mm^2, checked by themselves and against the number of volumes."""
    if b_unit not in B_UNITS:
        raise OptionError(f"b_unit is {b_unit!r}; expected one of {', '.join(B_UNITS)}")
    if given is None and path is None:
        raise AcquisitionError(_no_bvals(files))
    name = name or str(path or "bvals")
    b = read_bvals(path) if path else given
    try:
        b = in_s_mm2(b, b_unit)
        found = Acquisition(b).bvals
    except AcquisitionError as error:
        raise AcquisitionError(f"{name}: {error}") from None
    if len(found) != files.shape[-1]:
        hint = (
            " Twice as many: are there decimal commas (0,0 10,0)?"
            if len(found) == 2 * files.shape[-1]
            else ""
        )
        if isinstance(files, ArrayScan):
            hint = " If its axes are in another order, say which is which (--axes)"
        raise ShapeError(
            f"{name} has {len(found)} b-values and {files.name} has {files.shape[-1]} volumes; "
            f"expected one b-value per volume. Check that they belong together.{hint}"
        )
    return found


def _all_bvals(
    given: Any, path: Path | None, files: Opened, b_unit: str, known: VolumeVariables
) -> NDArray[np.float64]:
    """Return the b-values of their file, or of the table of variables, which must agree."""
    if known.b is None:
        return _read_bvals(given, path, files, b_unit)
    unit = "s/mm2" if known.b_has_unit else b_unit
    tabled = _read_bvals(known.b, None, files, unit, name=f"column b of {known.name}")
    if given is None and path is None:
        return tabled
    b = _read_bvals(given, path, files, b_unit)
    apart = np.abs(b - tabled) > np.maximum(ABSOLUTE, RELATIVE * b)
    if apart.any():
        volume = int(np.flatnonzero(apart)[0])
        raise AcquisitionError(
            f"volume {volume} (from 0) has b = {tabled[volume]:g} in {known.name} and "
            f"{b[volume]:g} in {path or 'bvals'}; expected the same. Correct one of them, or "
            "leave out column b"
        )
    return b


def _dicom_bvals(
    given: Any, path: Path | None, files: DicomFiles, b_unit: str, known: VolumeVariables
) -> NDArray[np.float64]:
    """Return the b-values of the headers, unless others were given, which replace them."""
    if given is not None or path is not None or known.b is not None:
        return _all_bvals(given, path, files, b_unit, known)
    if b_unit != "s/mm2":
        raise OptionError(
            f"the unit of b-values is {b_unit} (--b-unit); those of DICOM headers are in s/mm2. "
            "Leave it out"
        )
    if not np.isfinite(files.bvals).all():
        raise AcquisitionError(
            f"{files.name} has no b-values in its headers; expected one per volume. Give them in "
            "the order of the volumes (--bval FILE or --bval 0,10,20)"
        )
    return files.bvals


def _stored_bvals(
    given: Any, path: Path | None, files: ArrayScan, b_unit: str, known: VolumeVariables
) -> NDArray[np.float64]:
    """Return the b-values of the attributes of an array, unless others were given or are found."""
    if files.bvals is None or given is not None or path is not None or known.b is not None:
        return _all_bvals(given, path, files, b_unit, known)
    return _read_bvals(files.bvals, None, files, b_unit, name=f"b-values in {files.name}")


def in_s_mm2(b: ArrayLike, unit: str) -> ArrayLike:
    """Convert b-values to s/mm^2, unless the numbers cannot be in their unit.

    Parameters
    ----------
    b : array_like
        b-values.
    unit : str
        One of `B_UNITS`.

    Raises
    ------
    AcquisitionError
        If the numbers cannot be in that unit.
    """
    if unit == "s/mm2":
        return b
    try:
        given = np.asarray(b, dtype=np.float64)
    except (TypeError, ValueError):
        return b
    if given.max(initial=0.0) > _HIGHEST_IN_UNIT[unit]:
        raise AcquisitionError(
            f"the highest b-value is {given.max():g}; expected ms/um^2, that is less than "
            "about 10. These look like s/mm^2: leave out --b-unit (b_unit)"
        )
    return given * B_UNITS[unit]


def expect_bvals(scan: Any) -> None:
    """Raise if nothing next to a scan at an address has its b-values, before it is copied."""
    if not is_address(scan) and not isinstance(scan, Path):
        return
    path = local_path(scan)
    if address_of(path) is None or is_array_scan(path):
        return
    with_files_beside(path)
    if beside(path, "bval") is None and table_beside(path) is None:
        raise AcquisitionError(
            f"no b-values for {public(address_of(path) or '')}; expected a .bval file with the "
            "same name next to it. Name the file, or give numbers (--bval FILE or --bval 0,10,20)"
        )


def _no_bvals(files: Opened) -> str:
    if files.alone is None:
        return (
            "a list of scans came without b-values; expected one b-value per file. "
            "Give them as a file or as numbers (--bval FILE or --bval 0,10,20)"
        )
    near = ", ".join(path.name for path in near_misses(files.alone, "bval"))
    return (
        f"no b-values for {files.name}; expected a .bval or .bvals file with the same name "
        f"next to it{f'; there is {near}' if near else ''}. Name the file, or give numbers "
        "(--bval FILE or --bval 0,10,20)"
    )
