"""The scan that a saved result was made from, found again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ivimkit.cli.scan_input import ScanInput
from ivimkit.dwi import DWI
from ivimkit.errors import FileFormatError
from ivimkit.io.checksum import sha256
from ivimkit.result import FitResult

__all__ = ["load_fitted_scan"]


def load_fitted_scan(result: FitResult, scan: Path | None, bval: Path | None) -> DWI:
    """Load the volumes that were fitted, averaged and masked as they were.

    Parameters
    ----------
    result : FitResult
        The fit.
    scan : Path, optional
        The scan; by default the file that the result names as its source.
    bval : Path, optional
        Its b-values; by default the file beside the scan, or the source.

    Returns
    -------
    DWI

    Raises
    ------
    FileFormatError
        If the source is unknown, gone or changed, or the scan is not the one that was fitted.
    """
    given: Path | Sequence[Path] | None = scan
    bvec = None
    if given is None:
        files = _sources(result, "scan")
        given = files if _stacked(result) else files[0]
        bval = bval or next(iter(_sources(result, "bvals", needed=False)), None)
        bvec = next(iter(_sources(result, "bvecs", needed=False)), None)
    recorded = result.provenance.options.get("scan", {})
    dwi = ScanInput.from_dict(recorded, bval=bval, bvec=bvec).load(given)
    used = result.acquisition
    if dwi.acquisition.n_volumes != used.n_volumes:
        dwi = dwi.select(bvals=used.shell_bvals.tolist())
    if dwi.acquisition.n_volumes != used.n_volumes:
        raise FileFormatError(
            f"the scan has {dwi.acquisition.n_volumes} volumes of the b-values that were fitted; "
            f"expected {used.n_volumes}. Name the scan of this result (--scan)"
        )
    average = str(result.provenance.options.get("average", dwi.average))
    return dwi.with_average(average).with_mask(result.mask)


def _sources(result: FitResult, role: str, *, needed: bool = True) -> list[Path]:
    """Return the files of one role, which must still be what they were."""
    found = [source for source in result.provenance.sources if source["role"] == role]
    if needed and not found:
        raise FileFormatError(
            "the result does not say which file it was made from; expected the scan. Name it "
            "(--scan)"
        )
    for source in found:
        path = Path(source["path"])
        if not path.is_file() or sha256(path) != source["sha256"]:
            what = "has changed since" if path.is_file() else "is not there any more"
            raise FileFormatError(
                f"{path}, from which the result was made, {what}; expected the same file. Name "
                "the scan (--scan)"
            )
    return [Path(source["path"]) for source in found]


def _stacked(result: FitResult) -> bool:
    return bool(result.provenance.options.get("scan", {}).get("stack", False))
