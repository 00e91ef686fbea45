"""save: a fit as a folder of maps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import DERIVED, describe
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.result import FitResult
from ivimkit.fitting.result_forms import STATUS
from ivimkit.io.dicom.context import CONTEXT, DicomContext
from ivimkit.io.map_folder import (
    MAP_STORE,
    MapFolder,
    SavedMap,
    check_folders_free,
    check_mask_free,
    found_mask,
    image_name,
)
from ivimkit.io.prior_files import write_prior
from ivimkit.io.record import result_record
from ivimkit.io.result_folder import absolute, check_free
from ivimkit.io.result_names import (
    ALL,
    RECORD,
    SPECTRUM,
    WEIGHTS,
    also_folder,
    drawn_in,
    prior_name,
)
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.sidecars import sidecar, spectrum_sidecar, status_sidecar
from ivimkit.io.zarr_writing import require_zarr, write_map_store
from ivimkit.parameter import Parameter

__all__ = [
    "FORMATS",
    "USUAL_MAPS",
    "check_format",
    "check_output",
    "result_folder",
    "save",
]

NIFTI, ZARR = "nifti", "zarr"
FORMATS = (NIFTI, ZARR)
"""How the maps of a result are stored."""

_STATUS = Parameter(STATUS, "status", "", 0.0, math.inf, 0.0)
_SPECTRUM = Parameter(SPECTRUM, "spectrum", "a.u.", 0.0, math.inf, 0.0)
_WEIGHTS = Parameter(WEIGHTS, "weights of the values", "", 0.0, math.inf, 1.0)
USUAL_MAPS = (STATUS, *(parameter.name for parameter in DERIVED))
"""Names of the maps of every result, whatever the model."""


def check_output(
    folder: AnyPath,
    *,
    model: str | SignalModel = "biexp",
    overwrite: bool = False,
    with_mask: bool = False,
    format: str = "nifti",
) -> None:
    """Refuse a folder that contains a result, before the work of a fit.

    Parameters
    ----------
    folder : path
        Where the result will be saved.
    model : str or SignalModel
        The model to be fitted: it determines the maps.
    overwrite : bool
        Whether an earlier result may be replaced.
    with_mask : bool
        Whether the result has a mask made by `ivimkit.masks.masked`, which is saved with it.
    format : {"nifti", "zarr"}
        How maps will be stored, see `save`.

    Raises
    ------
    OutputExistsError
        If a result exists, the folder is a file, or the mask or the store would replace another
        one.
    OptionError
        If the format is unknown, or zarr is not installed.
    """
    _refuse_zarr(folder)
    home = absolute(folder)
    check_format(format)
    if with_mask:
        check_mask_free(home, RECORD)
    own = (parameter.name for parameter in models.get(model).quantities)
    images = [image_name(name) for name in dict.fromkeys((*own, *USUAL_MAPS))]
    if format == ZARR:
        check_folders_free(home, RECORD, [MAP_STORE])
        images = [MAP_STORE]
    check_free(home, [RECORD, *images, prior_name(ALL)], overwrite=overwrite)


def check_format(format: str) -> None:
    """Refuse a format of maps that is unknown, or needs what is not installed.

    Raises
    ------
    OptionError
    """
    if format not in FORMATS:
        raise OptionError(
            f"the format is {format!r}; expected one of {', '.join(FORMATS)} (--format)"
        )
    if format == ZARR:
        require_zarr()


def save(
    result: FitResult, folder: AnyPath, *, overwrite: bool = False, format: str = "nifti"
) -> None:
    """Save a result: one NIfTI file and one sidecar per map, or a Zarr store, and ``fit.json``.

    A mask that ivimkit found in the scan becomes ``mask.nii.gz``. The prior of method bayes
    becomes ``prior.npz``, or ``prior_LABEL.npz`` for each region with a separate one; `load_prior`
    reads them. Spectra that method nnls was told to keep become ``spectrum.nii.gz``, a volume per
    bin, and the rates of the bins are in its sidecar. Weights of single values become
    ``value_weights.nii.gz``. What the images of a scan from DICOM say of patient and study
    becomes ``dicom.json``, which only the user may read. A fit by another method
    (`FitResult.also`) becomes a folder in it, like ``also_varpro``, which is a result in itself.
    All files appear at once, complete, or not at all. Figures and report of an earlier result are
    removed; other files in the folder are kept.

    Parameters
    ----------
    result : FitResult
        What `ivimkit.fit` returned.
    folder : path
        Output folder; created if needed.
    overwrite : bool
        Whether an earlier result may be replaced.
    format : {"nifti", "zarr"}
        With ``"zarr"`` all maps and the status are in one store, ``maps.zarr``, with the content
        of `FitResult.to_xarray`, so that xarray opens it; numbers are the same as in NIfTI files,
        and there are no sidecars. Masks, spectra, weights and maps that fixed parameters are
        NIfTI files in any case.

    Raises
    ------
    OutputExistsError
        If a result exists and overwriting was not asked for, or there is a folder ``maps.zarr``
        that does not belong to a result.
    InputError
        If the files cannot be written.
    OptionError
        If the format is unknown, or zarr is not installed.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> result = ik.fit(ik.simulate.phantom(shape=(12, 10, 1)).dwi)
    >>> out = Path(tempfile.mkdtemp()) / "out"
    >>> ik.save(result, out)
    >>> (out / "D_star.nii.gz").exists()
    True
    """
    _refuse_zarr(folder)
    result_folder(result, format).save(folder, overwrite=overwrite)


def _refuse_zarr(folder: AnyPath) -> None:
    """Refuse the name of a Zarr store for a folder of NIfTI files."""
    if str(folder).lower().rstrip("/").endswith(".zarr"):
        raise OptionError(
            f"{folder} has the name of a Zarr store, and a result is a folder, with a store in it "
            "if that is asked for; expected another name. Choose one without .zarr (and --format "
            "zarr)",
            python='Pass format="zarr" for maps as Zarr',
        )


def result_folder(result: FitResult, format: str = "nifti") -> MapFolder:
    """Return everything that is saved for a result, in one of `FORMATS`."""
    check_format(format)
    model = result.model
    in_store = format == ZARR
    stores = {MAP_STORE: partial(write_map_store, result)} if in_store else {}
    spectra = []
    if result.spectra is not None:
        about = spectrum_sidecar(result)
        spectra = [SavedMap(_SPECTRUM.name, partial(_volumes, result.spectra), _SPECTRUM, about)]
    weights = []
    if result.value_weights is not None:
        kept = result.value_weights
        weights = [SavedMap(_WEIGHTS.name, partial(_weight_volumes, kept), _WEIGHTS)]
    fixed = [
        SavedMap(
            f"fixed_{name}",
            partial(model.fixed_maps.__getitem__, name),
            dataclasses.replace(model[name], name=f"fixed_{name}"),
        )
        for name in model.fixed_maps
    ]
    return MapFolder(
        record=RECORD,
        maps=[*([] if in_store else _map_images(result)), *fixed, *spectra, *weights],
        geometry=result.geometry,
        make_record=partial(result_record, result),
        mask=found_mask(result),
        others={
            **{
                prior_name(region): partial(_write_prior, table)
                for region, table in result.priors.items()
            },
            **_context_file(result),
            **stores,
        },
        folders=list(stores),
        outdated=drawn_in,
        # The inputs of this result may be among the files of an earlier one.
        kept=[source["path"] for source in result.provenance.sources],
        inner={}
        if result.also is None
        else {also_folder(Path(), result.also).name: result_folder(result.also, format)},
    )


def _map_images(result: FitResult) -> list[SavedMap]:
    """Return maps and status as NIfTI files with sidecars."""
    maps, parameters = result.maps, result.model.quantities
    saved = [
        SavedMap(name, partial(maps.__getitem__, name), describe(name, parameters), about)
        for name in maps
        for about in [sidecar(result, name)]
    ]
    return [*saved, SavedMap("status", lambda: result.status, _STATUS, status_sidecar(result))]


def _volumes(values: NDArray[Any]) -> NDArray[Any]:
    """Return values with three axes of space, so that bins or volumes are those of an image."""
    shape = values.shape[:-1]
    return values.reshape(*shape, *(1,) * (3 - len(shape)), values.shape[-1])


def _weight_volumes(weights: NDArray[Any]) -> NDArray[Any]:
    """Return weights as an image, in as few bytes as they need."""
    whole = weights.dtype.kind == "b" or bool(np.isin(weights, (0, 1)).all())
    return _volumes(weights.astype(np.uint8 if whole else np.float32))


def _write_prior(table: PriorTable | ModelPrior, path: Path) -> None:
    write_prior(path, table)


def _context_file(result: FitResult) -> dict[str, Callable[[Path], None]]:
    """Return the file with patient, study and images of a scan from DICOM, by its name."""
    context = result.source_context
    return {CONTEXT: context.save} if isinstance(context, DicomContext) else {}
