"""Maps and scans as NIfTI files, with the geometry fields of their scan."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError
from ivimkit.io.gradient_files import stem_of, write_bvals, write_bvecs
from ivimkit.io.image_saving import save_image
from ivimkit.io.json_text import write_json
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.scan_sidecar import WEIGHTS_ENDING, sidecar_of, weights_name
from ivimkit.io.variable_files import TABLE_ENDINGS, write_variables
from ivimkit.parameter import Parameter
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.nifti_image import as_float32, nifti_image
from ivimkit.writing import Files, check_file, write_file, write_folder

__all__ = [
    "SCAN_ENDINGS",
    "image_bytes",
    "save_map",
    "save_scan",
    "scan_output",
    "write_image",
]

SCAN_ENDINGS = {
    "bvals": ".bval",
    "bvecs": ".bvec",
    "variables": TABLE_ENDINGS[0],
    "weights": WEIGHTS_ENDING,
    "sidecar": ".json",
}
"""What the names of the files next to a scan end with, by their use."""

_STORABLE = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64")


def save_map(
    array: NDArray[Any],
    path: AnyPath,
    geometry: Geometry,
    *,
    about: Parameter | None = None,
    overwrite: bool = False,
) -> None:
    """Save an array as NIfTI: a map as float32, labels unchanged.

    Parameters
    ----------
    array : ndarray, shape (x, y, z)
        Numbers; fewer axes are padded with axes of length 1.
    path : path
        ``.nii`` or ``.nii.gz``.
    geometry : Geometry
        Where the voxels are, e.g. ``dwi.geometry``.
    about : Parameter, optional
        What the map shows; see `write_image`.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputExistsError
        If there is such a file and overwriting was not asked for.
    InputError
        If the file cannot be written, or is not named ``.nii`` or ``.nii.gz``.
    ShapeError
        If the array has more axes than NIfTI can have.

    Examples
    --------
    >>> import tempfile, numpy as np, ivimkit as ik
    >>> from pathlib import Path
    >>> from ivimkit.io import load_map, save_map
    >>> path = Path(tempfile.mkdtemp()) / "labels.nii.gz"
    >>> save_map(np.ones((3, 3, 2), dtype=np.uint8), path, ik.Geometry())
    >>> load_map(path).shape
    (3, 3, 2)
    """
    target = _free(path, overwrite)
    kept = array.dtype.name in _STORABLE and array.dtype.kind in "iu"
    image = nifti_image(array if kept else as_float32(array), geometry, about)
    write_file(target, lambda path: save_image(image, path))


def save_scan(dwi: DWI, path: AnyPath, *, overwrite: bool = False) -> None:
    """Save a scan as NIfTI, with all that is known of its volumes and values next to it.

    Parameters
    ----------
    dwi : DWI
        The scan; for a selection, only the selected volumes.
    path : path
        ``.nii`` or ``.nii.gz``; the b-values go to the file of the same name with ``.bval``,
        directions to ``.bvec``, other variables and numbers of averages to ``_volumes.tsv``,
        weights of single values to ``_weights.nii.gz``, and the sidecar with the history of the
        signal to ``.json``. `ivimkit.load` reads all of them.
    overwrite : bool
        Whether existing files may be replaced.

    Raises
    ------
    OutputExistsError
        If there is such a file and overwriting was not asked for.
    InputError
        If a file cannot be written, or is not named ``.nii`` or ``.nii.gz``.

    Examples
    --------
    >>> import tempfile, numpy as np, ivimkit as ik
    >>> from pathlib import Path
    >>> from ivimkit.io import save_scan
    >>> path = Path(tempfile.mkdtemp()) / "dwi.nii.gz"
    >>> save_scan(ik.DWI(np.ones((3, 3, 2, 2)), [0, 900]), path)
    >>> ik.load(path).fit_bvals.tolist()
    [0.0, 900.0]
    """
    target = _free(path, overwrite)
    files = scan_output(dwi, target.name)
    for name in (*files.names, *files.outdated):
        check_file(target.with_name(name), overwrite=overwrite)
    write_folder(target.parent, files.names, files.write, outdated=files.outdated)


def scan_output(dwi: DWI, name: str, within: str = "") -> Files:
    """Return the files of a scan, to be written with others.

    Parameters
    ----------
    dwi : DWI
        The scan.
    name : str
        Name of the image, like ``dwi.nii.gz``; those of the other files begin like it.
    within : str
        The folder in the output folder, like ``preprocessed/``.

    Returns
    -------
    Files
        Those that are written, and the names that others of an earlier scan may have.
    """
    stem = stem_of(Path(name))
    names = {kind: f"{within}{stem}{ending}" for kind, ending in SCAN_ENDINGS.items()}
    acquisition, sidecar = dwi.acquisition, sidecar_of(dwi)
    writers: dict[str, Callable[[Path], None]] = {
        f"{within}{name}": partial(save_image, _scan_image(dwi.signal, dwi.geometry)),
        names["bvals"]: lambda path: write_bvals(path, acquisition.bvals),
    }
    if (directions := acquisition.bvecs) is not None:
        writers[names["bvecs"]] = lambda path: write_bvecs(path, directions)
    if acquisition.variables or dwi.averages is not None:
        writers[names["variables"]] = lambda path: write_variables(
            path, acquisition, averages=dwi.averages
        )
    if (weights := dwi.value_weights) is not None:
        image = _scan_image(np.asarray(weights, dtype=np.float32), dwi.geometry)
        writers[names["weights"]] = partial(save_image, image)
        sidecar |= weights_name(Path(names["weights"]).name)
    if sidecar:
        writers[names["sidecar"]] = lambda path: write_json(path, sidecar)

    def write(stage: Path) -> None:
        for name, write_one in writers.items():
            write_one(stage / name)

    return Files(list(writers), write, [one for one in names.values() if one not in writers])


def _scan_image(signal: NDArray[Any], geometry: Geometry) -> Any:
    while signal.ndim < 4:
        signal = signal[..., np.newaxis, :]
    kept = signal.dtype.name in _STORABLE
    return nifti_image(signal if kept else signal.astype(np.float64), geometry)


def write_image(
    path: Path, array: NDArray[Any], geometry: Geometry, about: Parameter | None = None
) -> None:
    """Write a map as float32 (integers of 32 bits as they are), in place.

    The header describes the map for programs that do not know ivimkit: name and unit
    in ``descrip``, the name in ``intent_name``, and the display range, which viewers use as their
    window, in ``cal_min`` and ``cal_max``.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz``; replaced if it exists.
    array : ndarray
        Up to seven axes; fewer than three are padded.
    geometry : Geometry
        Where the voxels are.
    about : Parameter, optional
        What the map shows.

    Raises
    ------
    ShapeError
        If the array has more axes than NIfTI can have.
    """
    data = array if array.dtype.kind in "iu" else as_float32(array)
    save_image(nifti_image(data, geometry, about), path)


def image_bytes(array: NDArray[Any], geometry: Geometry) -> bytes:
    """Return the bytes of a ``.nii`` file of an array: a map as float32, labels unchanged.

    Parameters
    ----------
    array : ndarray
        Numbers; up to seven axes, fewer than three are padded.
    geometry : Geometry
        Where the voxels are.

    Returns
    -------
    bytes

    Raises
    ------
    ShapeError
        If the array has more axes than NIfTI can have.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> from ivimkit.io import image_bytes, image_of_bytes
    >>> data = image_bytes(np.ones((3, 3, 2)), ik.Geometry())
    >>> image_of_bytes(data)[0].shape
    (3, 3, 2)
    """
    kept = array.dtype.name in _STORABLE and array.dtype.kind in "iu"
    content: bytes = nifti_image(array if kept else as_float32(array), geometry).to_bytes()
    return content


def _free(path: AnyPath, overwrite: bool) -> Path:
    if not Path(path).name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(f"{path} is to be written; expected a name that ends in .nii or .nii.gz")
    return check_file(path, overwrite=overwrite)
