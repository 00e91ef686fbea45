"""load: a scan with its b-values, directions and mask, from files to a DWI."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import (
    AcquisitionWarning,
    GeometryWarning,
    OptionError,
    ShapeError,
)
from ivimkit.io.array_scan import ArrayScan, is_array_scan, open_array_scan
from ivimkit.io.checksum import sha256
from ivimkit.io.dicom.extra import require_dicom
from ivimkit.io.dicom.files import is_dicom_input
from ivimkit.io.dicom.series_choice import DicomChoice, SeriesChoice
from ivimkit.io.gradient_files import beside, is_table, read_bvecs, sidecars_of
from ivimkit.io.nifti import NiftiFile, open_nifti
from ivimkit.io.placing import Grid, Placement
from ivimkit.io.region_masks import RegionChoice, read_regions
from ivimkit.io.remote_copies import local_path, origin
from ivimkit.io.scan_bvals import bvals_of, expect_bvals, numbers_of
from ivimkit.io.scan_files import AnyPath, ScanFiles, open_mask, open_scan, open_volume
from ivimkit.io.scan_sidecar import read_scan_sidecar
from ivimkit.io.volume_variables import read_volume_variables
from ivimkit.io.weight_files import load_weights
from ivimkit.scan import masks
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.gradient_checks import odd_lengths
from ivimkit.scan.source import Source

if TYPE_CHECKING:
    from ivimkit.io.dicom.loading import DicomFiles

    Opened = ScanFiles | DicomFiles | ArrayScan

__all__ = ["check_map", "load", "load_map"]


def load(
    scan: AnyPath | Sequence[AnyPath] | Any,
    bvals: AnyPath | ArrayLike | None = None,
    bvecs: AnyPath | ArrayLike | None = None,
    mask: AnyPath | ArrayLike | None = None,
    *,
    variables: AnyPath | Mapping[str, Any] | None = None,
    echo_time: float | Sequence[float] | None = None,
    b_unit: str = "s/mm2",
    average: str = "auto",
    averages: str | ArrayLike | None = None,
    tolerance: float | None = None,
    series: SeriesChoice | None = None,
    images: str = "auto",
    drop_incomplete: bool = False,
    axes: str | None = None,
) -> DWI:
    """Load a diffusion-weighted scan.

    Everything is checked before the image data are read. An uncompressed file that needs no
    scaling is memory-mapped, and a large ``.nii.gz`` is unpacked to a temporary file first;
    integers stay integers; scaled data become float32. A scan that `ivimkit.preprocess` made comes
    with its history and with its weights of single values.

    Files may be at an address (``https://``, ``s3://``, ``gs://``; extra ``remote``): NIfTI and
    HDF5 files are copied to a temporary folder, together with what lies next to a scan, and Zarr
    is read where it is.

    Parameters
    ----------
    scan : path or sequence of paths
        A 4-D NIfTI file, or one 3-D file per b-value; DICOM: a folder with all folders in it, a
        ZIP archive, or a list of files; a Zarr or OME-Zarr store, or an HDF5 file, with the path
        of the array in it after ``::`` where there are several (``"scan.h5::/raw/dwi"``); or an
        array, data set or group of zarr or h5py.
    bvals : path or array_like, optional
        b-values, as numbers or as an FSL file; by default the ``.bval`` file next to the scan, or
        the one that it inherits in a BIDS data set. A gradient table (x y z b, as MRtrix writes
        it) also contains directions.
    bvecs : path or array_like, optional
        Directions, shape (n, 3) or an FSL file; by default the ``.bvec`` file next to the scan, if
        there is one. Their length does not matter.
    mask : path or array_like, optional
        Voxels to fit, where > 0. A file is placed by position: turned, cut or padded where its
        voxels are those of the scan in another order, resampled (nearest neighbour) where they are
        not, refused where it does not overlap with the scan, and used voxel by voxel where it or
        the scan has no position. An array has the shape of the scan. ``"auto"``, ``"auto:body"``
        or ``"auto:brain"``: found in the scan, see `ivimkit.masks`; a file with that name is
        ``"./auto"``. ``"seg.nii.gz:liver,spleen"``: regions of a label image or of a DICOM
        Segmentation, by name or number, see `ivimkit.load_labels`.
    variables : path or mapping, optional
        What else differs from volume to volume, such as ``echo_time``, ``diffusion_time`` (ms) or
        texts: a TSV or CSV file with a header and one row per volume, or values by name. By
        default the file ``dwi_volumes.tsv`` (or ``.csv``) next to ``dwi.nii.gz``, if there is one,
        and the lists with one value per volume in its JSON sidecar (``EchoTime`` in s, as in
        BIDS). The table may contain ``b`` and ``gx``, ``gy``, ``gz``; then no other file is needed
        for them.
    echo_time : float or sequence of float, optional
        Short for ``variables={"echo_time": ...}``, ms: one per volume, or one for all.
    b_unit : {"s/mm2", "ms/um2", "s/cm2"}
        Unit of the b-values in the file or in `bvals`; they are converted to s/mm^2.
    average : {"auto", "geometric", "arithmetic", "none"}
        How the volumes of a shell are averaged, see `DWI`.
    averages : str, float or array_like, optional
        Number of magnitude images whose mean each volume of the file is, see `DWI.with_averages`:
        one for all, one per volume, or the name of a column of `variables`. By default the column
        ``averages``, if there is one, else 1.
    tolerance : float, optional
        Largest gap between b-values of a shell, in s/mm^2, see `Acquisition`.
    series : int, str or sequence of these, optional
        DICOM only: the series of the scan, by number or UID. Needed where there are several scans;
        several series on one grid become one scan.
    images : {"auto", "directions", "trace"}
        DICOM only: single directions or their means, of a scan that has both. ``"auto"`` takes the
        directions.
    drop_incomplete : bool
        DICOM only: leave out volumes with missing or doubled slices, which are an error otherwise.
    axes : str, optional
        Zarr and HDF5 only: which axis of the array is which, a letter for each: x, y, z, ``b`` for
        that of the volumes, and ``_`` for one of length 1, like ``"bzyx"``. By default as the axes
        are named, in OME-Zarr for example; without names (x, y, z, volumes).

    Returns
    -------
    DWI

    Raises
    ------
    FileFormatError
        If a file is missing, damaged, or of the wrong kind.
    AcquisitionError
        If there are no b-values, or they or other variables are implausible or contradict each
        other.
    ShapeError
        If scan, b-values, directions, variables and mask do not match, or the mask is empty.
    OptionError
        If `b_unit`, `average` or `images` is unknown, or there is no such series.

    Warns
    -----
    GeometryWarning
        If the mask, or a file of the list, has another affine than the scan, or the header of
        the scan had to be interpreted.
    AcquisitionWarning
        If directions of weighted volumes do not have length 1: the b-values may be nominal; or if
        a list in the JSON sidecar cannot be used.

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
    kind = masks.kind_of(mask) if isinstance(mask, str) else None
    regions = RegionChoice.of(mask) if isinstance(mask, str) else None
    bvals = numbers_of(bvals)
    choice = DicomChoice(series, images, drop_incomplete)
    if bvals is None and variables is None:
        expect_bvals(scan)
    files: Opened
    if is_array_scan(scan):
        choice.refuse(scan)
        files = open_array_scan(scan, axes)
    elif axes is not None:
        raise OptionError(
            f"axes is {axes!r} (--axes), and the scan is neither Zarr nor HDF5; expected the axes "
            "of one of these. Leave it out"
        )
    elif is_dicom_input(scan):
        files = _open_dicom(scan, choice, with_b=bvals is None and variables is None)
    else:
        choice.refuse(scan)
        files = open_scan(scan)
    sidecars = () if files.alone is None else sidecars_of(files.alone)
    known = read_volume_variables(variables, files, sidecars=sidecars, echo_time=echo_time)
    known, images = known.counted(averages)
    about = read_scan_sidecar(sidecars)
    paths = {
        "bvals": _path_of(bvals, files, "bval"),
        "bvecs": _path_of(bvecs, files, "bvec"),
        "variables": known.table,
        "sidecar": sidecars[0] if about.is_needed else known.sidecar,
        "mask": _mask_path(mask, kind, regions),
    }
    b = bvals_of(bvals, paths["bvals"], files, known, b_unit)
    dicom = None if isinstance(files, ScanFiles | ArrayScan) else files
    if dicom is not None and bvecs is None:
        bvecs = dicom.bvecs
    table = paths["bvals"]
    if paths["bvecs"] is None and bvecs is None and table is not None and is_table(table):
        paths["bvecs"] = table
    directions = _read_bvecs(bvecs, paths["bvecs"], files.shape[-1])
    acquisition = Acquisition(
        b, known.directions(directions), variables=known.further, tolerance=tolerance
    )
    odd = odd_lengths(acquisition.bvals, acquisition.bvecs, differ=paths["bvecs"] is None)
    if odd is not None:
        warnings.warn(f"{paths['bvecs'] or 'bvecs'}: {odd}", AcquisitionWarning, stacklevel=2)
    inside = None if kind is not None else mask
    if regions is not None:
        inside = read_regions(regions, Grid(files.shape[:3], files.geometry))
    elif paths["mask"] is not None:
        inside = _read_mask(paths["mask"], files)
    # The constructor makes all other checks, so it is first called with a zero-stride placeholder.
    checked = DWI(
        np.broadcast_to(np.float32(0), files.shape),
        acquisition,
        mask=inside,  # type: ignore[arg-type]
        geometry=files.geometry,
        average=average,
        averages=images,
    )
    signal, sources = _read_and_hash(files, paths)
    dwi = DWI(
        signal,
        acquisition,
        mask=checked.mask,
        geometry=checked.geometry,
        average=average,
        averages=checked.averages,
        mask_origin="" if regions is None else regions.origin,
        sources=sources,
        source_context=None if dicom is None else dicom.context,
        history=about.history,
        sidecar=about.facts if dicom is None else dicom.facts,
    )
    if about.weights is not None:
        dwi = load_weights(about.weights, dwi)
    return dwi if kind is None else masks.masked(dwi, kind)


def load_map(path: AnyPath, like: DWI | None = None) -> NDArray[Any]:
    """Load the array of a NIfTI file, such as a label image or a map of a fixed parameter.

    Parameters
    ----------
    path : path
        NIfTI file.
    like : DWI, optional
        A scan; the map is put on its voxels by position: turned, cut or padded where the voxels
        are the same in another order, otherwise by linear interpolation. NaN where the map has no
        value. A map without a position (both NIfTI codes 0) is used voxel by voxel if it has the
        shape of the scan.

    Returns
    -------
    ndarray
        With the type of the file, or float if the file scales its numbers; float64 on the voxels
        of a scan.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, or of the wrong kind.
    ShapeError
        If it does not overlap with the scan, has several volumes, or has another shape while one
        of them has no position.

    Warns
    -----
    GeometryWarning
        If the map is not on the voxels of the scan, or has no position.

    Examples
    --------
    >>> import tempfile, numpy as np, ivimkit as ik
    >>> from pathlib import Path
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1)).dwi
    >>> path = Path(tempfile.mkdtemp()) / "sigma.nii.gz"
    >>> ik.io.save_map(np.full(dwi.shape, 12.5), path, dwi.geometry)
    >>> ik.io.load_map(path, dwi).shape
    (16, 12, 1)
    """
    if like is None:
        return open_nifti(local_path(path)).read()
    file, placed = _on(path, like)
    array = file.read().reshape(file.volume, order="F")
    found = placed.values(array).reshape(like.shape)
    message = placed.message(f"the map {path}", file.volume, file.geometry, "linear")
    if message:
        lost = int(np.count_nonzero(np.isnan(found) & like.mask))
        none = int(np.count_nonzero(np.isnan(array)))
        if lost and not none:
            message += f". {lost} of the {like.n_voxels} voxels of the mask lie outside it"
        warnings.warn(message, GeometryWarning, stacklevel=2)
    return found


def check_map(path: AnyPath, dwi: DWI) -> None:
    """Check that a map can be put on the voxels of a scan, before it is used.

    Only the header of the file is read, see `load_map`.

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
        If it does not overlap with the scan, has several volumes, or has another shape while one
        of them has no position.

    Examples
    --------
    >>> import tempfile, numpy as np, ivimkit as ik
    >>> from pathlib import Path
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1)).dwi
    >>> path = Path(tempfile.mkdtemp()) / "sigma.nii.gz"
    >>> ik.io.save_map(np.full(dwi.shape, 12.5), path, dwi.geometry)
    >>> ik.io.check_map(path, dwi)
    """
    _on(path, dwi)


def _on(path: AnyPath, dwi: DWI) -> tuple[NiftiFile, Placement]:
    file = open_volume(local_path(path), "a map")
    name = f"the map {path}"
    return file, Placement.of(name, file.volume, file.geometry, Grid.of(dwi))


def _path_of(given: AnyPath | ArrayLike | None, files: Opened, kind: str) -> Path | None:
    """Return the file of b-values or directions: the named one, or the one next to the scan."""
    if isinstance(given, str | PathLike):
        return local_path(given)
    if given is None and files.alone is not None:
        return beside(files.alone, kind)
    return None


def _open_dicom(
    scan: AnyPath | Sequence[AnyPath], choice: DicomChoice, *, with_b: bool
) -> DicomFiles:
    """Open a scan of DICOM files, whose headers contain b-values unless others are given."""
    require_dicom(str(scan) if isinstance(scan, str | PathLike) else "a list of DICOM files")
    from ivimkit.io.dicom.loading import open_dicom

    files = open_dicom(scan, choice, with_b=with_b)
    for warning in files.warnings:
        warnings.warn(f"{files.name}: {warning}", AcquisitionWarning, stacklevel=3)
    return files


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


def _mask_path(
    mask: AnyPath | ArrayLike | None, kind: str | None, regions: RegionChoice | None
) -> Path | None:
    """Return the file of the mask, if it comes from one."""
    if regions is not None:
        return local_path(regions.file)
    return local_path(mask) if kind is None and isinstance(mask, str | PathLike) else None


def _read_mask(path: Path, files: Opened) -> NDArray[np.bool_]:
    """Return the voxels of the scan inside a mask."""
    file, placed = open_mask(path, files)
    with np.errstate(invalid="ignore"):
        inside = file.read().reshape(file.volume, order="F") > 0
    found = placed.numbers(inside.view(np.uint8)).astype(bool)
    name = f"the mask {path}"
    if inside.any() and not found.any():
        raise ShapeError(
            f"{name} has no voxel on {files.name}; expected at least one. "
            "Check that they belong together"
        )
    message = placed.message(name, file.volume, file.geometry, "nearest neighbour")
    if message:
        if placed.by_position:
            message += _share_kept(inside, found, file.geometry, files.geometry)
        warnings.warn(message, GeometryWarning, stacklevel=3)
    return found


def _share_kept(
    before: NDArray[np.bool_], after: NDArray[np.bool_], own: Geometry, scan: Geometry
) -> str:
    """Say how large a mask is before and after, if it changes by a tenth."""
    sizes = [
        int(np.count_nonzero(inside)) * math.prod(geometry.voxel_size) / 1000.0
        for inside, geometry in ((before, own), (after, scan))
    ]
    if abs(sizes[1] - sizes[0]) < 0.1 * sizes[0]:
        return ""
    return f"; it changes from {sizes[0]:.3g} to {sizes[1]:.3g} ml"


def _read_and_hash(files: Opened, paths: dict[str, Path | None]) -> tuple[Any, list[Source]]:
    """Read the scan while another thread computes the checksums: both release the GIL."""
    scans = [file.path for file in files.files] if isinstance(files, ScanFiles) else []
    named = [("scan", path) for path in scans]
    named += [(role, path) for role, path in paths.items() if path is not None]
    with ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(_source, role, path) for role, path in named]
        if isinstance(files, ScanFiles):
            return files.read(), [future.result() for future in futures]
        if isinstance(files, ArrayScan):
            return files.read(), [*files.sources(), *(future.result() for future in futures)]
        signal, sources = files.read()
        return signal, [*sources, *(future.result() for future in futures)]


def _source(role: str, path: Path) -> Source:
    return Source(role, origin(path), sha256(path))
