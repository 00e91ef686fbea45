"""load_labels: regions from masks or a label image, on the grid of the scan."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import GeometryWarning, OptionError, RegionWarning, ShapeError
from ivimkit.fitting.result import FitResult
from ivimkit.io.dicom.extra import require_dicom
from ivimkit.io.dicom.files import is_dicom_input
from ivimkit.io.label_names import load_label_names
from ivimkit.io.names_of_labels import names_of_labels
from ivimkit.io.nifti import NiftiFile
from ivimkit.io.placing import Grid, Placement, no_overlap
from ivimkit.io.remote_copies import at_hand, local_path
from ivimkit.io.scan_files import AnyPath, open_volume
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.labels import Labels, numbers_in

__all__ = ["LabelImage", "load_labels", "open_labels", "placed_labels"]


def load_labels(
    files: AnyPath | Sequence[AnyPath],
    like: FitResult | DWI,
    names: AnyPath | Mapping[int, str] | None = None,
) -> Labels:
    """Load regions from NIfTI files or a DICOM Segmentation, on the grid of a result or a scan.

    A file with one number other than 0 is a mask, and the region is named after the file; a file
    with several is a label image. Several files are masks, numbered from 1 in their order; where
    they overlap, the voxel belongs to the file named first, so a lesion comes before its organ.
    The regions of a Segmentation have the names of its segments.

    Files are placed by position: turned, cut or padded where their voxels are those of the scan
    in another order, otherwise resampled, nearest neighbour. A file without a position (both NIfTI
    codes 0) is used voxel by voxel if it has the shape of the scan, and so is one at the position
    of the other form (sform, qform) of the scan's header.

    Parameters
    ----------
    files : path or sequence of paths
        A label image or a Segmentation, or masks.
    like : FitResult or DWI
        Whose grid to use.
    names : path or mapping of int to str, optional
        Names of the numbers of a label image; for files, see `ivimkit.io.load_label_names`. By
        default those in its header (TotalSegmentator) or in a table next to it: the same name with
        ``.tsv``, ``dseg.tsv``, ``dataset.json`` or ``FreeSurferColorLUT.txt``; else the numbers.

    Returns
    -------
    Labels
        Array with the spatial shape of `like`.

    Raises
    ------
    FileFormatError
        If a file is missing, damaged or of the wrong kind.
    ShapeError
        If a region has no voxel in its file or on the scan, or is covered by those before it.
    OptionError
        If a file contains other than whole numbers, several files are not masks or have the same
        name, or the names are those of other regions.

    Warns
    -----
    GeometryWarning
        If a file is not on the voxels of the scan, or has no position.
    RegionWarning
        If masks overlap, or a region of a label image lies outside the scan or is too small for
        its voxels.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> path = Path(tempfile.mkdtemp()) / "lesion.nii.gz"
    >>> ik.io.save_map(made.region("lesion").astype("uint8"), path, made.dwi.geometry)
    >>> list(ik.load_labels(path, made.dwi))
    ['lesion']
    """
    given = [files] if isinstance(files, str | PathLike) else list(files)
    paths = [at_hand(local_path(file)) for file in given]
    if not paths:
        raise OptionError("the list of labels is empty; expected at least one file. Name one")
    known = names if names is None or isinstance(names, Mapping) else load_label_names(names)
    grid = Grid.of(like)
    if len(paths) > 1:
        if known is not None:
            raise OptionError(
                f"names were given with {len(paths)} masks, which are named after their files; "
                "expected names for a label image only. Leave them out, or rename the files"
            )
        return _from_masks(paths, grid)
    image = open_labels(paths[0])
    array, present = placed_labels(image, grid), numbers_in(image.array)
    if known is not None and not set(known).intersection(present):
        raise OptionError(
            f"the names are of regions {_listed(known)}; expected some of {_listed(present)}, "
            f"which are in {paths[0]}. Give the names of its regions"
        )
    if known is None:
        known = image.names or _found_names(paths[0], present)
    if known is None and len(present) == 1:
        known = {present[0]: _stem(paths[0])}
    return _labels(array, grid, known)


def _labels(array: NDArray[np.int32], grid: Grid, names: Mapping[int, str] | None) -> Labels:
    # Nobody else has the array, so that the labels need no copy of it.
    array.setflags(write=False)
    return Labels(array.reshape(grid.shape), names)


@dataclass(frozen=True)
class LabelImage:
    """The whole numbers of a file, shape (x, y, z), where they are, and names if it has any."""

    path: Path
    array: NDArray[np.int32]
    geometry: Geometry
    names: Mapping[int, str] | None = None


def _from_masks(paths: Sequence[Path], grid: Grid) -> Labels:
    stems = [_stem(path) for path in paths]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise OptionError(
            f"several masks are called {twice[0]}; expected files of different names, as these "
            "name the regions. Rename one"
        )
    merged = np.zeros(grid.volume, dtype=np.int32)
    names = dict(enumerate(stems, start=1))
    shared = []
    for number, path in enumerate(paths, start=1):
        image = open_labels(path)
        numbers = numbers_in(image.array)
        if len(numbers) > 1:
            raise OptionError(
                f"{path} has the numbers {_listed(numbers)}; expected masks with one "
                "number other than 0 where several files are given. Give a label image on its own"
            )
        if image.names is not None:
            names[number] = image.names[numbers[0]]
        inside = placed_labels(image, grid) != 0
        free = inside & (merged == 0)
        if not free.any():
            raise ShapeError(
                f"all voxels of {path} belong to masks named before it; expected some that "
                "are not. Name it first: a voxel belongs to the file named first"
            )
        taken = np.count_nonzero(inside) - np.count_nonzero(free)
        if taken:
            shared.append(f"{taken} voxels of {names[number]}")
        merged[free] = number
    if shared:
        warnings.warn(
            f"the masks overlap: {', '.join(shared)} lie in masks named before; expected no "
            "overlap. Each belongs to the file named first",
            RegionWarning,
            stacklevel=3,
        )
    return _labels(merged, grid, names)


def open_labels(path: Path) -> LabelImage:
    """Open a label image or a DICOM Segmentation.

    Raises
    ------
    FileFormatError, OptionError
        If it cannot be read, or contains other than whole numbers.
    ShapeError
        If it is empty.
    """
    image = _of_segmentation(path) if _is_dicom_file(path) else _of_nifti(path)
    if not image.array.any():
        raise ShapeError(
            f"{path} is empty; expected at least one voxel other than 0. Draw it again"
        )
    return image


def _of_nifti(path: Path) -> LabelImage:
    file = open_volume(path, "labels")
    return LabelImage(path, _whole(file).reshape(file.volume, order="F"), file.geometry)


def _is_dicom_file(path: Path) -> bool:
    return path.is_file() and is_dicom_input(path)


def _of_segmentation(path: Path) -> LabelImage:
    require_dicom(str(path), "highdicom")
    from ivimkit.io.dicom.segmentation_files import read_segmentation

    read = read_segmentation(path)
    return LabelImage(path, read.array, read.geometry, read.names)


def _whole(file: NiftiFile) -> NDArray[np.int32]:
    """Return the numbers of a file; scaled ones may differ by rounding."""
    array = file.read()
    if array.dtype.kind == "f":
        n_nan = int(np.count_nonzero(np.isnan(array)))
        if n_nan:
            raise OptionError(
                f"{file.path} contains NaN (not a number) in {n_nan} voxels; expected the number "
                "of a region in each voxel, 0 for none. Set them to 0"
            )
        found = np.unique(array[array != 0])
        alone = found.size == 1 and bool(np.isfinite(found).all()) and not bool(array.all())
        if alone and abs(found[0] - np.rint(found[0])) > 1e-3:
            # Scaled masks are common; with one value there is only one way to read them.
            warnings.warn(
                f"{file.path} contains 0 and {found[0]:g}, which is not the number of a region; "
                "expected whole numbers. It is treated as a mask: one region where it is not 0",
                RegionWarning,
                stacklevel=4,
            )
            inside: NDArray[np.int32] = (array != 0).astype(np.int32)
            return inside
        rounded = np.rint(array)
        if not np.isfinite(array).all() or bool((np.abs(array - rounded) > 1e-3).any()):
            raise OptionError(
                f"{file.path} contains other than whole numbers; expected the number of a region "
                "in each voxel, 0 for none. Threshold it"
            )
        array = rounded
    if array.size and (array.min() < 0 or array.max() > np.iinfo(np.int32).max):
        raise OptionError(
            f"{file.path} contains numbers from {array.min():g} to {array.max():g}; expected 0 to "
            f"{np.iinfo(np.int32).max}. Renumber the regions"
        )
    return array.astype(np.int32, copy=False)


def placed_labels(image: LabelImage, grid: Grid) -> NDArray[np.int32]:
    """Return the numbers of an image on the voxel grid of the scan."""
    name, shape = str(image.path), image.array.shape
    placed = Placement.of(name, shape, image.geometry, grid)
    array: NDArray[np.int32] = placed.numbers(image.array)
    if not array.any():
        raise ShapeError(no_overlap(name, shape, grid.volume))
    message = placed.message(name, shape, image.geometry, "nearest neighbour")
    # A Segmentation usually has only slices with regions, in any order.
    is_usual = image.names is not None and placed.how == "reordered"
    if message and not is_usual:
        if placed.by_position:
            message += _volumes(image, array, grid)
        warnings.warn(message, GeometryWarning, stacklevel=3)
    lost = np.setdiff1d(image.array[image.array != 0], array).tolist()
    if lost:
        warnings.warn(
            f"regions {_listed(lost)} of {image.path} have no voxel on the scan; expected at "
            "least one. They lie outside, or are too small for its voxels, and are left out",
            RegionWarning,
            stacklevel=3,
        )
    return array


def _volumes(image: LabelImage, array: NDArray[np.int32], grid: Grid) -> str:
    """Say which region changes most in volume, if any changes by a tenth."""
    numbers, before = np.unique(image.array[image.array != 0], return_counts=True)
    # Not bincount, which allocates memory for all numbers up to the highest.
    left, counts = np.unique(array[array != 0], return_counts=True)
    after = np.zeros(numbers.size)
    after[np.searchsorted(numbers, left)] = counts
    own, other = (
        abs(float(np.linalg.det(geometry.affine[:3, :3])))
        for geometry in (image.geometry, grid.geometry)
    )
    change = after * other / (before * own)
    worst = int(np.argmax(np.abs(np.log(np.maximum(change, 1e-6)))))
    if abs(change[worst] - 1.0) < 0.1:
        return ""
    return (
        f"; region {numbers[worst]} changes from {before[worst] * own / 1000:.3g} to "
        f"{after[worst] * other / 1000:.3g} ml"
    )


def _found_names(path: Path, present: Sequence[int]) -> Mapping[int, str] | None:
    """Return the names that come with a label image of several regions, if each has another."""
    if len(present) < 2:
        return None
    names = {number: name for number, name in names_of_labels(path).items() if number in present}
    return names if names and len(set(names.values())) == len(names) else None


def _stem(path: Path) -> str:
    name = path.name
    for ending in (".gz", ".nii", ".hdr", ".img"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name or path.name


def _listed(numbers: Any) -> str:
    shown = sorted(int(number) for number in numbers)
    return ", ".join(map(str, shown[:8])) + (", ..." if len(shown) > 8 else "")
