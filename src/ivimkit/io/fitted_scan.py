"""load_fitted_scan: find and load the scan that a saved result was made from, or its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ivimkit.addresses import is_address
from ivimkit.errors import FileFormatError, InputError
from ivimkit.fitting.result import FitResult
from ivimkit.fitting.settings import ScanReading
from ivimkit.io.array_scan import is_array_scan
from ivimkit.io.checksum import sha256
from ivimkit.io.dicom.context import DicomContext
from ivimkit.io.dicom.files import is_dicom_input
from ivimkit.io.remote_copies import at_hand, local_path
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.scan_loading import load
from ivimkit.io.stored_array import split_inside
from ivimkit.io.untrusted_files import reason_of
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI
from ivimkit.scan.history import NO_HISTORY

__all__ = ["load_acquired_scan", "load_fitted_scan"]

_READING = ("b_unit", "average", "tolerance", "echo_time")
_OF_DICOM = ("series", "images", "drop_incomplete")


def load_fitted_scan(
    result: FitResult, scan: AnyPath | None = None, bvals: AnyPath | None = None
) -> DWI:
    """Load the volumes that a result was made from, averaged and masked as they were.

    Parameters
    ----------
    result : FitResult
        The fit.
    scan : path, optional
        The scan; by default the file that the result names as its source.
    bvals : path, optional
        Its b-values; by default the file next to the scan, or the source.

    Returns
    -------
    DWI

    Raises
    ------
    FileFormatError
        If the source is unknown, missing or changed, or the scan is not the one that was fitted.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "dwi.nii.gz"
    >>> ik.io.save_scan(ik.simulate.phantom(shape=(12, 10, 1)).dwi, path)
    >>> result = ik.fit(ik.load(path))
    >>> ik.io.load_fitted_scan(result).shape
    (12, 10, 1)
    """
    recorded = result.settings.reading
    reading = _known(recorded, _READING)
    if scan is None:
        dwi = _load_source(result, bvals, reading)
    else:
        dwi = load(scan, bvals, **reading, **_choice_of(result, scan))
    dwi = _selected(dwi, recorded)
    used = result.acquisition
    if dwi.acquisition.n_volumes != used.n_volumes:
        dwi = dwi.select(bvals=used.shell_bvals.tolist())
    if dwi.acquisition.n_volumes != used.n_volumes:
        raise FileFormatError(
            f"the scan has {dwi.acquisition.n_volumes} volumes of the b-values that were fitted; "
            f"expected {used.n_volumes}. Name the scan of this result (--scan)"
        )
    if dwi.shape != result.shape:
        raise FileFormatError(
            f"the scan has shape {dwi.shape}; expected {result.shape}, that of the maps. Name "
            "the scan of this result (--scan)"
        )
    _check_history(dwi, result)
    dwi = _with_variables_of(dwi, used)
    settings = result.settings
    averaged = dwi.with_average(settings.average)
    masked = averaged.with_mask(result.mask, origin=settings.mask_origin)
    weighted = masked.with_averages(settings.averages).with_weights(settings.weights)
    if result.value_weights is None:
        return weighted
    return weighted.with_value_weights(result.value_weights).without_unused()


def load_acquired_scan(result: FitResult) -> DWI:
    """Load the scan before the steps that were applied to it before the fit.

    Parameters
    ----------
    result : FitResult
        The fit, of a scan with a history.

    Returns
    -------
    DWI
        The volumes that the steps were given.

    Raises
    ------
    FileFormatError
        If the scan is unknown, missing or changed, or is not on the voxels of the result.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "dwi.nii.gz"
    >>> ik.io.save_scan(ik.simulate.phantom(shape=(48, 36, 2)).dwi, path)
    >>> made = ik.preprocess(ik.load(path), "mask:kind=body")
    >>> ik.io.load_acquired_scan(ik.fit(made.dwi, model="monoexp")).history.names
    ()
    """
    history = result.provenance.history
    sources = [source.to_dict() for source in history.sources]
    before = replace(result.provenance, sources=sources, history=NO_HISTORY)
    recorded = result.settings.reading
    dwi = _load_source(replace(result, provenance=before), None, _known(recorded, _READING))
    dwi = _selected(dwi, recorded)
    if dwi.shape != result.shape:
        raise FileFormatError(
            f"the scan before the steps has shape {dwi.shape}; expected {result.shape}, that of "
            "the maps. Preprocess and fit the scan again"
        )
    return dwi


def _check_history(dwi: DWI, result: FitResult) -> None:
    """Raise if other steps were applied to a scan before the fit."""
    fitted, found = (one.history.names for one in (result.provenance, dwi))
    if fitted != found:
        expected, got = (
            f"steps {', '.join(names)}" if names else "no steps" for names in (fitted, found)
        )
        raise FileFormatError(
            f"the scan has had {got} before the fit; expected {expected}, as when it was fitted. "
            "Name the scan that was fitted (--scan)",
            python="Save a scan that was preprocessed in Python with ivimkit.io.save_scan first.",
        )


def _with_variables_of(dwi: DWI, used: Acquisition) -> DWI:
    """Return a scan with the variables that were fitted, where its files contain others.

    A scan that was named instead of the source, or was read in Python, may come without its table.
    """
    own = dwi.acquisition.variables
    if own.keys() == used.variables.keys() and all(
        np.array_equal(own[name], used.variables[name]) for name in own
    ):
        return dwi
    return dwi.with_variables(used.variables)


def _load_source(result: FitResult, bvals: AnyPath | None, reading: Mapping[str, Any]) -> DWI:
    """Load the scan that a result names, which must still be what it was."""
    files = _sources(result, "scan")
    roles = {"scan", "bvecs", "variables", "sidecar"}
    if bvals is None:
        roles.add("bvals")
        bvals = next(iter(_sources(result, "bvals", needed=False)), None)
    recorded = result.settings.reading
    written = None if recorded is None else recorded.bval
    bvecs = next(iter(_sources(result, "bvecs", needed=False)), None)
    variables = next(iter(_sources(result, "variables", needed=False)), None)
    stacked = len(files) > 1 or (recorded is not None and recorded.stack)
    try:
        dwi = load(
            files if stacked else files[0],
            list(written) if bvals is None and written is not None else bvals,
            bvecs,
            variables=variables,
            **reading,
            **_choice_of(result, files[0]),
        )
    except InputError:
        # A file that was replaced by something else need not be readable.
        _check_unchanged(result, roles, {})
        raise
    # Loading has computed the checksums: a scan of a gigabyte is not read twice.
    _check_unchanged(result, roles, {source.path: source.sha256 for source in dwi.sources})
    return dwi


def _choice_of(result: FitResult, scan: AnyPath) -> dict[str, Any]:
    """Return the choice of images of DICOM, or axes; a scan that was converted needs none."""
    recorded = result.settings.reading
    if is_array_scan(scan):
        return _known(recorded, ("axes",))
    if not is_dicom_input(scan):
        return {}
    if recorded is not None:
        return _known(recorded, _OF_DICOM)
    # Read in Python: the series are those of the images that were fitted.
    context = result.source_context
    if not isinstance(context, DicomContext):
        return {}
    return {"series": sorted({one.series for one in context.instances})}


def _selected(dwi: DWI, recorded: ScanReading | None) -> DWI:
    """Return the volumes of a scan that a reading kept."""
    chosen = {} if recorded is None else recorded.selection
    return dwi.select(**chosen) if chosen else dwi


def _known(recorded: ScanReading | None, names: Sequence[str]) -> dict[str, Any]:
    """Return the options of a reading that are set."""
    found = {} if recorded is None else {name: getattr(recorded, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _sources(result: FitResult, role: str, *, needed: bool = True) -> list[Path]:
    """Return the files of one role, which must still be there."""
    named = [known["path"] for known in result.provenance.sources if known["role"] == role]
    found = [local_path(one) for one in named]
    if needed and not found:
        raise FileFormatError(
            "the result does not name the file it was made from; expected the scan. Name it "
            "(--scan)"
        )
    for path, address in zip(found, map(is_address, named), strict=True):
        try:
            home, _ = split_inside(path)
            # What is at an address is looked for when it is read.
            there = address or home.is_file() or (role == "scan" and home.is_dir())
        except (OSError, ValueError) as error:
            raise _gone(path, f"cannot be accessed ({reason_of(error)})") from None
        if not there:
            raise _gone(path, "no longer exists")
    return found


def _check_unchanged(result: FitResult, roles: Set[str], known: Mapping[str, str]) -> None:
    """Raise if the checksum of a file has changed since the fit; some are known already."""
    for source in result.provenance.sources:
        path = local_path(source["path"])
        if source["role"] not in roles:
            continue
        found = known.get(source["path"])
        if found is None and (is_dicom_input(path) or is_array_scan(path)):
            # The checksum of a folder is that of the images in it that were used.
            continue
        if source["sha256"] != (found or sha256(at_hand(path))):
            raise _gone(source["path"], "has changed since")


def _gone(path: Path | str, what: str) -> FileFormatError:
    return FileFormatError(
        f"{path}, from which the result was made, {what}; expected the same file. Name the scan "
        "(--scan)"
    )
