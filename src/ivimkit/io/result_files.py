"""save and load_result: a fit as a folder of maps."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import models
from ivimkit.errors import FileFormatError, OptionError
from ivimkit.extend.derived_maps import DERIVED, describe
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.result import FitResult
from ivimkit.fitting.scratch_maps import ScratchMaps
from ivimkit.fitting.settings import FitSettings
from ivimkit.fitting.spectra import require_spectra
from ivimkit.io.dicom.context import CONTEXT, DicomContext, load_context
from ivimkit.io.fitted_scan import load_fitted_scan
from ivimkit.io.map_folder import (
    MapFolder,
    SavedMap,
    check_mask_free,
    files_of,
    found_mask,
    image_name,
)
from ivimkit.io.nifti import NiftiFile, open_nifti
from ivimkit.io.preprocessed_files import PREPROCESSED, SCAN_FILES
from ivimkit.io.prior_files import load_prior, write_prior
from ivimkit.io.record import (
    acquisition_of,
    geometry_of,
    incomplete,
    learned_of,
    provenance_of,
    read_result_record,
    result_record,
    screening_of,
    settings_of,
)
from ivimkit.io.record_form import ModelRecord, ResultRecord
from ivimkit.io.result_folder import absolute, check_free
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.sidecars import sidecar, spectrum_sidecar, status_sidecar
from ivimkit.io.untrusted_files import untrusted
from ivimkit.parameter import Parameter
from ivimkit.scan.dwi import DWI
from ivimkit.status import status_type
from ivimkit.writing import ScratchArray, check_scratch, finish, located, scratch_folder

__all__ = [
    "FIGURES",
    "RECORD",
    "REPORT",
    "USUAL_MAPS",
    "also_folder",
    "check_output",
    "fitted_model",
    "load_result",
    "result_folder",
    "save",
    "with_scan",
]

FIGURES = "figures"
"""Name of the folder of figures in the folder of a result."""

REPORT = "report.html"
"""Name of the report in the folder of a result."""

RECORD = "fit.json"
_ALSO = "also_"
"""Start of the name of the folder, in that of a result, of the fit by another method."""

_ALL = "all"
# For compression, the slow part of reading.
_THREADS = min(4, os.cpu_count() or 1)
# The figures that ivimkit fit and plot draw into the folder of a result.
_PICTURE = re.compile(
    r"(maps|status|histograms|uncertainty|residuals|lesion|methods|spectra|screening|prior(_-?[\d.e+]+)?|voxel_\d+_\d+_\d+)"
    r"\.png"
)
_BYTES_PER_NUMBER = 8
_MAX_BYTES_IN_MEMORY = 1 << 30
"""Maps that need more are read from disk."""

_STATUS = Parameter("status", "status", "", 0.0, math.inf, 0.0)
_SPECTRUM = Parameter("spectrum", "spectrum", "a.u.", 0.0, math.inf, 0.0)
_WEIGHTS = Parameter("value_weights", "weights of the values", "", 0.0, math.inf, 1.0)
USUAL_MAPS = ("status", *(parameter.name for parameter in DERIVED))
"""Names of the maps of every result, whatever the model."""


def check_output(
    folder: AnyPath,
    *,
    model: str | SignalModel = "biexp",
    overwrite: bool = False,
    with_mask: bool = False,
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

    Raises
    ------
    OutputExistsError
        If a result exists, the folder is a file, or the mask would replace another one.
    """
    _refuse_zarr(folder)
    if with_mask:
        check_mask_free(absolute(folder), RECORD)
    own = (parameter.name for parameter in models.get(model).quantities)
    maps = dict.fromkeys((*own, *USUAL_MAPS))
    names = [RECORD, *(image_name(name) for name in maps), _prior_name(_ALL)]
    check_free(absolute(folder), names, overwrite=overwrite)


def save(result: FitResult, folder: AnyPath, *, overwrite: bool = False) -> None:
    """Save a result: one NIfTI file and one sidecar per map, and ``fit.json``.

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

    Raises
    ------
    OutputExistsError
        If a result exists and overwriting was not asked for.
    InputError
        If the files cannot be written.

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
    result_folder(result).save(folder, overwrite=overwrite)


def _refuse_zarr(folder: AnyPath) -> None:
    """Refuse the name of a Zarr store for a folder of NIfTI files."""
    if str(folder).lower().rstrip("/").endswith(".zarr"):
        raise OptionError(
            f"{folder} has the name of a Zarr store, and a result is a folder of NIfTI files; "
            "expected another name. Choose one without .zarr",
            python="For Zarr: result.to_xarray().to_zarr(path)",
        )


def result_folder(result: FitResult) -> MapFolder:
    """Return everything that is saved for a result."""
    model, maps = result.model, result.maps
    parameters = model.quantities
    saved = [
        SavedMap(name, partial(maps.__getitem__, name), describe(name, parameters), about)
        for name in maps
        for about in [sidecar(result, name)]
    ]
    status = SavedMap("status", lambda: result.status, _STATUS, status_sidecar(result))
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
        maps=[*saved, status, *fixed, *spectra, *weights],
        geometry=result.geometry,
        make_record=partial(result_record, result),
        mask=found_mask(result),
        others={
            **{
                _prior_name(region): partial(_write_prior, table)
                for region, table in result.priors.items()
            },
            **_context_file(result),
        },
        outdated=_drawn_of,
        # The inputs of this result may be among the files of an earlier one.
        kept=[source["path"] for source in result.provenance.sources],
        inner={}
        if result.also is None
        else {also_folder(Path(), result.also).name: result_folder(result.also)},
    )


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


def load_result(
    folder: AnyPath,
    *,
    scan: bool | AnyPath = False,
    model: str | SignalModel | None = None,
) -> FitResult:
    """Load a result that `save` has written.

    Parameters
    ----------
    folder : path
        The folder.
    scan : bool or path
        Whether to load the scan that was fitted as well, as ``result.dwi``; from the file that the
        result names, or from the one given.
    model : str or SignalModel, optional
        The model, if it is not registered: a file does not contain its equation. Without it, maps,
        status and its texts are available; what needs the equation, such as `FitResult.predict`,
        raises an error. Bounds and fixed values are those of the fit.

    Returns
    -------
    FitResult
        As saved; maps have the precision of float32. Maps that need more than 1 GB are unpacked to
        the folder for temporary files (TMPDIR, or ``/var/tmp``), and read from there.

    Raises
    ------
    FileFormatError
        If there is no result, one of its files is missing or damaged, or the scan is asked for and
        is missing or has changed.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> result = ik.fit(ik.simulate.phantom(shape=(12, 10, 1)).dwi)
    >>> out = Path(tempfile.mkdtemp()) / "out"
    >>> ik.save(result, out)
    >>> ik.load_result(out).provenance == result.provenance
    True
    """
    home = absolute(folder)
    finish(home)
    given = None if model is None else models.get(model)
    record = read_result_record(located(home, RECORD))
    _check_model(record.settings.model, given)
    scratch = _scratch_for(home, record)
    with untrusted(lambda why: incomplete(home / RECORD, why)):
        result = _restore(home, record, given, scratch)
    also = [load_result(inner, model=model) for inner in _also_in(home)[:1]]
    result = dataclasses.replace(result, also=also[0] if also else None)
    if scan is False:
        return result
    dwi = load_fitted_scan(result, None if scan is True else scan)
    return with_scan(result, dwi)


def with_scan(result: FitResult, dwi: DWI) -> FitResult:
    """Return a result, and the fit by another method that belongs to it, with their scan."""
    also = None if result.also is None else dataclasses.replace(result.also, dwi=dwi)
    return dataclasses.replace(result, dwi=dwi, also=also)


def also_folder(home: Path, also: FitResult | str) -> Path:
    """Return the folder, in that of a result, of the fit by another method, or by its name."""
    return home / f"{_ALSO}{also if isinstance(also, str) else also.method.name}"


def _also_in(home: Path) -> list[Path]:
    """Return the folders of fits by another method in that of a result, without links."""
    folders = sorted(home.glob(f"{_ALSO}*/"))
    return [one for one in folders if not one.is_symlink() and (one / RECORD).is_file()]


def fitted_model(folder: AnyPath) -> str:
    """Return the name of the model that a saved result was fitted with, without its maps.

    Raises
    ------
    FileFormatError
        If there is no result, or its record is damaged.
    """
    home = absolute(folder)
    finish(home)
    return read_result_record(located(home, RECORD)).settings.model.name


def _check_model(record: ModelRecord, given: SignalModel | None) -> None:
    """Refuse a model whose parameters have other names than those of the result."""
    names = tuple(parameter.name for parameter in record.parameters)
    if given is not None and given.names != names:
        raise OptionError(
            f"the model that was given, {given.name}, has the parameters "
            f"{', '.join(given.names)}; expected those of the result, {', '.join(names)}, which "
            f"was fitted with model {record.name}"
        )


def _scratch_for(home: Path, record: ResultRecord) -> Path | None:
    """Return the folder for the maps of a result that is large; None if they fit into memory."""
    n_voxels = math.prod(map(int, record.shape))
    if len(record.maps) * n_voxels * _BYTES_PER_NUMBER <= _MAX_BYTES_IN_MEMORY:
        return None
    # Before room is looked for: a record may claim any size.
    _opened(located(home, image_name("status")), tuple(record.shape))
    folder = scratch_folder()
    check_scratch(folder, (len(record.maps) + 2) * n_voxels * np.dtype(np.float32).itemsize)
    return folder


def _restore(
    home: Path, record: ResultRecord, model: SignalModel | None, scratch: Path | None
) -> FitResult:
    shape = tuple(record.shape)
    read = partial(_read, home, shape)
    status_file = open_nifti(located(home, image_name("status")))
    fixed = {name: read(f"fixed_{name}") for name in record.settings.model.fixed_maps}
    tables = {region: load_prior(located(home, _prior_name(region))) for region in record.learned}
    learned = learned_of(record.learned, tables)
    settings = settings_of(record.settings, fixed, learned, model)
    _check_maps(record.maps, settings.model)
    flags = status_type(len(settings.model.parameters))
    maps: Mapping[str, NDArray[np.float64]]
    if scratch is not None:
        maps, status = _on_disk(read, record.maps, shape, flags, scratch)
    else:
        with ThreadPoolExecutor(_THREADS) as pool:
            maps = dict(zip(record.maps, pool.map(read, record.maps), strict=True))
        status = read("status", flags)
    acquisition = acquisition_of(record.acquisition)
    return FitResult(
        maps=maps,
        status=status,
        settings=settings,
        acquisition=acquisition,
        geometry=geometry_of(record.geometry, status_file.geometry.header),
        provenance=provenance_of(record.provenance),
        learned=learned,
        source_context=_context_of(home, shape),
        spectra=_spectra_of(home, record, settings),
        screening=screening_of(record.screening, acquisition),
        value_weights=_weights_of(home, record),
    )


def _on_disk(
    read: Callable[..., NDArray[Any]],
    names: Sequence[str],
    shape: tuple[int, ...],
    flags: type[np.signedinteger[Any]],
    folder: Path,
) -> tuple[ScratchMaps, NDArray[Any]]:
    """Return maps and status that do not fit into memory: unpacked to disk, one by one."""

    def unpacked(name: str, dtype: type[Any]) -> NDArray[Any]:
        scratch = ScratchArray(shape, dtype, "F", folder)
        scratch.append(read(name, dtype).ravel(order="F"))
        return scratch.finished()

    maps = ScratchMaps({name: unpacked(name, np.float32) for name in names})
    return maps, unpacked("status", flags)


def _context_of(home: Path, shape: tuple[int, ...]) -> DicomContext | None:
    """Return the DICOM context of a result, if there is one that the user may read.

    It may be deleted, and a result that several users share has one that only its owner may read.
    """
    path = located(home, CONTEXT)
    if not path.is_file() or not os.access(path, os.R_OK):
        return None
    return load_context(path, shape[2] if len(shape) == 3 else 1)


def _spectra_of(
    home: Path, record: ResultRecord, settings: FitSettings
) -> NDArray[np.float32] | None:
    """Return the spectra of all voxels, if the result has them."""
    name = image_name(_SPECTRUM.name)
    if name not in record.files:
        return None
    b, counts = np.array(record.provenance.bvals), np.array(record.provenance.counts)
    bins = require_spectra(settings.method).bins_of(settings.model, b[counts > 0.0])
    path, shape = located(home, name), (*record.shape, bins.rates.size)
    return _of_shape(path, shape, volumes=True).reshape(shape).astype(np.float32)


def _weights_of(home: Path, record: ResultRecord) -> NDArray[Any] | None:
    """Return the weights of single values, if there were any."""
    name = image_name(_WEIGHTS.name)
    if name not in record.files:
        return None
    path, shape = located(home, name), (*record.shape, len(record.acquisition.bvals))
    array = _of_shape(path, shape, volumes=True)
    if not (np.isfinite(array).all() and (array >= 0).all() and array.any()):
        raise FileFormatError(
            f"{path} contains numbers that are not weights; expected some >= 0. Fit again"
        )
    return array.reshape(shape)


def _check_maps(names: Sequence[str], model: SignalModel) -> None:
    """Refuse a result that lacks maps of its model, or has unknown ones."""
    missing = [name for name in model.names if name not in names]
    if missing:
        raise ValueError(f"there is no map of {missing[0]}, a parameter of model {model.name}")
    for name in names:
        describe(name, model.quantities)


def _read(
    home: Path, shape: tuple[int, ...], name: str, dtype: type[Any] = np.float64
) -> NDArray[Any]:
    path = located(home, image_name(name))
    array = _of_shape(path, shape)
    if np.issubdtype(dtype, np.integer) and not _are_flags(array, dtype):
        raise FileFormatError(
            f"{path} contains numbers that are not sums of flags; expected whole numbers >= 0. "
            "Fit again"
        )
    return array.reshape(shape).astype(dtype, copy=False)


def _of_shape(path: Path, shape: tuple[int, ...], *, volumes: bool = False) -> NDArray[Any]:
    """Return the array of a file of a result, which has the shape that its record says.

    Volumes, bins of spectra for instance, are on its last axis.
    """
    return _opened(path, shape, volumes=volumes).read()


def _opened(path: Path, shape: tuple[int, ...], *, volumes: bool = False) -> NiftiFile:
    """Open such a file. Its shape is compared before it is read: a header may claim any size."""
    file = open_nifti(path)
    if math.prod(file.shape) != math.prod(shape) or (volumes and file.shape[-1] != shape[-1]):
        raise FileFormatError(
            f"{path} has shape {file.shape}; expected {shape}, as {RECORD} says. Fit again"
        )
    return file


def _are_flags(array: NDArray[Any], dtype: type[Any]) -> bool:
    whole = array.dtype.kind in "biu" or bool(np.all(array == np.rint(array)))
    return whole and bool(np.all((array >= 0) & (array <= np.iinfo(dtype).max)))


def _prior_name(region: str) -> str:
    return "prior.npz" if region == _ALL else f"prior_{region}.npz"


def _drawn_of(folder: Path) -> list[str]:
    """Return what belongs to the result in a folder without being in its record, if any.

    Figures, report, the fit by another method, and the scan after the steps before the fit.
    """
    if not (folder / RECORD).is_file():
        return []
    there = folder / FIGURES
    names = sorted(path.name for path in there.iterdir()) if there.is_dir() else []
    pictures = ["maps.png", *filter(_PICTURE.fullmatch, names)]
    inner = [
        f"{one.name}/{name}"
        for one in _also_in(folder)
        for name in (*files_of(one, RECORD), *_drawn_of(one))
    ]
    scan = [f"{PREPROCESSED}/{name}" for name in SCAN_FILES]
    return [REPORT, *(f"{FIGURES}/{name}" for name in dict.fromkeys(pictures)), *inner, *scan]
