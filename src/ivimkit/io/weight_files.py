"""Weights of single values from a 4-D image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import ShapeError
from ivimkit.io.checksum import sha256
from ivimkit.io.nifti import open_nifti
from ivimkit.io.placing import Grid, Placement
from ivimkit.io.remote_copies import local_path, origin
from ivimkit.io.scan_files import AnyPath
from ivimkit.scan.dwi import DWI
from ivimkit.scan.source import Source

__all__ = ["load_weights"]


def load_weights(path: AnyPath, dwi: DWI) -> DWI:
    """Load the weights of single values, and return the scan with them.

    Parameters
    ----------
    path : path
        NIfTI file with a volume per volume of the scan: of all in its file, or of those that are
        used. It is put on the voxels of the scan by position, and turned, cut or padded where its
        voxels are the same in another order; where it has no weight, the weight is 0.
    dwi : DWI
        The scan.

    Returns
    -------
    DWI
        See `DWI.with_weights`; the file is among its sources.

    Raises
    ------
    FileFormatError
        If the file is missing or damaged.
    ShapeError
        If it has another number of volumes, or its voxels are not those of the scan.
    OptionError
        If a weight is negative or not finite, or all are 0.

    Examples
    --------
    >>> import tempfile, numpy as np, ivimkit as ik
    >>> from pathlib import Path
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1)).dwi
    >>> weights = ik.DWI(np.ones(dwi.signal.shape), dwi.acquisition, geometry=dwi.geometry)
    >>> path = Path(tempfile.mkdtemp()) / "weights.nii.gz"
    >>> ik.io.save_scan(weights, path)
    >>> ik.io.load_weights(path, dwi).value_weights.shape
    (16, 12, 1, 13)
    """
    file = open_nifti(local_path(path))
    volumes = file.shape[3] if len(file.shape) == 4 else 1
    n_used, n_stored = dwi.acquisition.n_volumes, dwi.stored.shape[-1]
    if len(file.shape) > 4 or volumes not in (n_used, n_stored):
        other = f" or {n_stored}, of the whole scan" if n_stored != n_used else ""
        raise ShapeError(
            f"the weights {path} have {volumes} volumes; expected {n_used}, one per volume that "
            f"is used{other}. Give a 4-D image with a weight for every value"
        )
    where = (*file.shape[:3], 1, 1)[:3]
    placed = Placement.of(f"the weights {path}", where, file.geometry, Grid.of(dwi))
    if placed.how == "resampled":
        raise ShapeError(
            f"the weights {path} are on other voxels than the scan; expected a weight for each "
            "of its values. Make them on the grid of the scan"
        )
    array = file.read().reshape(*where, volumes, order="F")
    chosen = dwi.volumes if volumes == n_stored else range(n_used)
    found = [placed.values(array[..., k]).reshape(dwi.shape) for k in chosen]
    weights = np.stack([_filled(one, array) for one in found], axis=-1)
    source = Source("weights", origin(file.path), sha256(file.path))
    return dwi.with_weights(weights).with_sources((*dwi.sources, source))


def _filled(values: NDArray[Any], array: NDArray[Any]) -> NDArray[Any]:
    """Return the weights of a volume, 0 where the image does not reach.

    NaN of the image itself are left, and refused.
    """
    if np.isnan(array).any():
        return values
    return np.where(np.isnan(values), 0.0, values).astype(np.float32)
