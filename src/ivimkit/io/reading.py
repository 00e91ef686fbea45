"""load: a scan with its b-values, directions and mask, from files to a DWI."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.acquisition import Acquisition
from ivimkit.dwi import DWI, Source
from ivimkit.errors import (
    AcquisitionError,
    AcquisitionWarning,
    GeometryWarning,
    OptionError,
    ShapeError,
)
from ivimkit.gradient_checks import odd_lengths
from ivimkit.io.checksum import sha256
from ivimkit.io.gradients import beside, is_table, near_misses, read_bvals, read_bvecs
from ivimkit.io.nifti import open_nifti
from ivimkit.io.scan import AnyPath, ScanFiles, how_far_apart, open_mask, open_scan

__all__ = ["B_UNITS", "check_map", "load", "load_map"]

B_UNITS = {"s/mm2": 1.0, "ms/um2": 1000.0, "s/cm2": 0.01}
"""Units of b-values, with their factor to s/mm^2."""

_HIGHEST_IN_UNIT = {"ms/um2": 100.0, "s/cm2": math.inf}


def load(
    scan: AnyPath | Sequence[AnyPath],
    bvals: AnyPath | ArrayLike | None = None,
    bvecs: AnyPath | ArrayLike | None = None,
    mask: AnyPath | ArrayLike | None = None,
    *,
    b_unit: str = "s/mm2",
    average: str = "auto",
    tolerance: float | None = None,
) -> DWI:
    """Load a diffusion-weighted scan.

    Everything is checked before the image data are read. An uncompressed file that needs no
    scaling is memory-mapped; integers stay integers; scaled data become float32.

    Parameters
    ----------
    scan : path or sequence of paths
        A 4-D NIfTI file, or one 3-D file per b-value.
    bvals : path or array_like, optional
        b-values, as numbers or as an FSL file; by default the ``.bval`` file beside the scan, or
        the one that it inherits in a BIDS data set. A gradient table (x y z b, as MRtrix writes
        it) holds directions, too.
    bvecs : path or array_like, optional
        Directions, shape (n, 3) or an FSL file; by default the ``.bvec`` file beside the scan,
        if there is one. Their length does not matter.
    mask : path or array_like, optional
        Voxels to fit, where > 0.
    b_unit : {"s/mm2", "ms/um2", "s/cm2"}
        Unit of the b-values in the file or in `bvals`; they are converted to s/mm^2.
    average : {"auto", "geometric", "arithmetic", "none"}
        How the volumes of a shell become one value, see `DWI`.
    tolerance : float, optional
        b-values this close are one shell, in s/mm^2, see `Acquisition`.

    Returns
    -------
    DWI

    Raises
    ------
    FileFormatError
        If a file is missing, damaged, or of the wrong kind.
    AcquisitionError
        If there are no b-values, or they cannot be right.
    ShapeError
        If scan, b-values, directions and mask do not fit each other, or the mask is empty.
    OptionError
        If `b_unit` or `average` is unknown.

    Warns
    -----
    GeometryWarning
        If the mask, or a file of the list, has another affine than the scan.
    AcquisitionWarning
        If directions of weighted volumes are not of length 1: the b-values may be nominal.

    Examples
    --------
    >>> import tempfile, numpy as np, nibabel as nib, ivimkit as ik
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> nib.save(nib.Nifti1Image(np.ones((4, 4, 2, 3), "int16"), np.eye(4)), folder / "dwi.nii")
    >>> _ = (folder / "dwi.bval").write_text("0 100 800")
    >>> ik.load(folder / "dwi.nii").fit_bvals.tolist()
    [0.0, 100.0, 800.0]
    """
    files = open_scan(scan)
    bvals = numbers_of(bvals)
    paths = {
        "bvals": _path_of(bvals, files, "bval"),
        "bvecs": _path_of(bvecs, files, "bvec"),
        "mask": Path(mask) if isinstance(mask, str | PathLike) else None,
    }
    b = _read_bvals(bvals, paths["bvals"], files, b_unit)
    table = paths["bvals"]
    if paths["bvecs"] is None and bvecs is None and table is not None and is_table(table):
        paths["bvecs"] = table
    acquisition = Acquisition(
        b, _read_bvecs(bvecs, paths["bvecs"], files.shape[-1]), tolerance=tolerance
    )
    odd = odd_lengths(acquisition.bvals, acquisition.bvecs, differ=paths["bvecs"] is None)
    if odd is not None:
        warnings.warn(f"{paths['bvecs'] or 'bvecs'}: {odd}", AcquisitionWarning, stacklevel=2)
    inside = mask if paths["mask"] is None else _read_mask(paths["mask"], files)
    # The constructor makes all other checks, so it first sees a stand-in that takes no memory.
    checked = DWI(
        np.broadcast_to(np.float32(0), files.shape),
        acquisition,
        mask=inside,  # type: ignore[arg-type]
        geometry=files.geometry,
        average=average,
    )
    signal, sources = _read_and_hash(files, paths)
    return DWI(
        signal,
        acquisition,
        mask=checked.mask,
        geometry=checked.geometry,
        average=average,
        sources=sources,
    )


def load_map(path: AnyPath) -> NDArray[Any]:
    """Load the array of a NIfTI file, such as a label map or a parameter to be fixed.

    Parameters
    ----------
    path : path
        NIfTI file.

    Returns
    -------
    ndarray
        Of the type of the file, or float where the file says that numbers are scaled.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, or of the wrong kind.
    """
    return open_nifti(Path(path)).read()


def check_map(path: AnyPath, dwi: DWI) -> None:
    """Check that the voxels of a map are those of a scan, before it is used beside it.

    Only the header of the file is read. A map without a position (both NIfTI codes 0) is taken
    voxel by voxel if it has the shape of the scan.

    Parameters
    ----------
    path : path
        NIfTI file.
    dwi : DWI
        The scan.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, or of the wrong kind.
    ShapeError
        If the map has another shape than the scan, or its voxels lie elsewhere.

    Warns
    -----
    GeometryWarning
        If the map has no position.

    Examples
    --------
    >>> import tempfile, numpy as np, ivimkit as ik
    >>> from pathlib import Path
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1)).dwi
    >>> path = Path(tempfile.mkdtemp()) / "sigma.nii.gz"
    >>> ik.io.save_map(np.full(dwi.shape, 12.5), path, dwi.geometry)
    >>> ik.io.check_map(path, dwi)
    """
    file = open_nifti(Path(path))
    if file.shape != dwi.shape:
        raise ShapeError(
            f"the map {path} has shape {file.shape}; expected the scan's {dwi.shape}. Resample "
            "it to the scan"
        )
    if not file.geometry.placed:
        if dwi.geometry.placed:
            warnings.warn(
                f"the map {path} does not say where it is (NIfTI codes 0); expected a position. "
                "It is used voxel by voxel, as it has the shape of the scan",
                GeometryWarning,
                stacklevel=2,
            )
        return
    if dwi.geometry.placed and not file.geometry.is_at(dwi.geometry, dwi.shape):
        raise ShapeError(
            f"the map {path} has another geometry than the scan: "
            f"{how_far_apart(file.geometry, dwi.geometry, dwi.shape)}; expected the same. "
            "Resample it to the scan"
        )


def numbers_of(bvals: Any) -> Any:
    """Return b-values that were written out, like ``"0,10,20"``, as numbers; others as they are.

    A file of that name goes first.
    """
    if not isinstance(bvals, str | PathLike) or Path(bvals).exists():
        return bvals
    words = os.fspath(bvals).replace(",", " ").split()
    try:
        return [float(word) for word in words] if len(words) > 1 else bvals
    except ValueError:
        return bvals


def _path_of(given: AnyPath | ArrayLike | None, files: ScanFiles, kind: str) -> Path | None:
    """Return the file of b-values or directions: the named one, or the one beside the scan."""
    if isinstance(given, str | PathLike):
        return Path(given)
    if given is None and not files.stacked:
        return beside(files.files[0].path, kind)
    return None


def _read_bvals(
    given: Any, path: Path | None, files: ScanFiles, b_unit: str
) -> NDArray[np.float64]:
    """Return the b-values in s/mm^2, checked on their own and against the number of volumes."""
    if b_unit not in B_UNITS:
        raise OptionError(f"b_unit is {b_unit!r}; expected one of {', '.join(B_UNITS)}")
    if given is None and path is None:
        raise AcquisitionError(_no_bvals(files))
    name = str(path or "bvals")
    b = read_bvals(path) if path else given
    try:
        b = _in_s_mm2(b, b_unit)
        found = Acquisition(b).bvals
    except AcquisitionError as error:
        raise AcquisitionError(f"{name}: {error}") from None
    if len(found) != files.shape[-1]:
        hint = (
            " Twice as many: are there decimal commas (0,0 10,0)?"
            if len(found) == 2 * files.shape[-1]
            else ""
        )
        raise ShapeError(
            f"{name} has {len(found)} b-values and {files.name} has {files.shape[-1]} volumes; "
            f"expected one b-value per volume. Check that they belong together.{hint}"
        )
    return found


def _read_bvecs(given: Any, path: Path | None, n_volumes: int) -> NDArray[np.float64] | None:
    if path is None:
        return given  # type: ignore[no-any-return]
    vectors = read_bvecs(path)
    if len(vectors) != n_volumes:
        raise ShapeError(
            f"{path} has {len(vectors)} directions and there are {n_volumes} volumes; expected "
            "one direction per volume. Check that they belong together"
        )
    return vectors


def _read_mask(path: Path, files: ScanFiles) -> NDArray[Any]:
    return open_mask(path, files).read().reshape(files.shape[:3], order="F")


def _read_and_hash(
    files: ScanFiles, paths: dict[str, Path | None]
) -> tuple[NDArray[Any], list[Source]]:
    """Read the scan while another thread computes the checksums: both release the GIL."""
    named = [("scan", file.path) for file in files.files]
    named += [(role, path) for role, path in paths.items() if path is not None]
    with ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(_source, role, path) for role, path in named]
        signal = files.read()
        return signal, [future.result() for future in futures]


def _source(role: str, path: Path) -> Source:
    return Source(role, str(path.resolve()), sha256(path))


def _in_s_mm2(b: ArrayLike, unit: str) -> ArrayLike:
    """Convert b-values to s/mm^2, unless the numbers cannot be in their unit."""
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


def _no_bvals(files: ScanFiles) -> str:
    if files.stacked:
        return (
            "a list of scans came without b-values; expected one b-value per file. "
            "Give them as a file or as numbers: --bval FILE or --bval 0,10,20 (bvals=)"
        )
    near = ", ".join(path.name for path in near_misses(files.files[0].path, "bval"))
    return (
        f"no b-values for {files.name}; expected a file of the same name that ends in .bval or "
        f".bvals beside it{f'; there is {near}' if near else ''}. Name the file, or give numbers: "
        "--bval FILE or --bval 0,10,20 (bvals=)"
    )
