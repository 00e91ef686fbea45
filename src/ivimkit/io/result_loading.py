"""load_result: a fit from the folder that `save` has written."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import methods, models, priors, uncertainty
from ivimkit.errors import FileFormatError, OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.result import FitResult, Learned
from ivimkit.fitting.settings import FitSettings
from ivimkit.fitting.spectra import require_spectra
from ivimkit.io.dicom.context import CONTEXT, DicomContext, load_context
from ivimkit.io.fitted_scan import load_fitted_scan
from ivimkit.io.map_folder import MAP_STORE, image_name
from ivimkit.io.nifti_maps import image_of_shape, read_image, read_images
from ivimkit.io.prior_files import load_prior
from ivimkit.io.record import (
    acquisition_of,
    geometry_of,
    incomplete,
    learned_of,
    provenance_of,
    read_result_record,
    screening_of,
    settings_of,
)
from ivimkit.io.record_form import ModelRecord, ResultRecord, SettingsRecord
from ivimkit.io.result_folder import absolute
from ivimkit.io.result_names import RECORD, SPECTRUM, WEIGHTS, also_in, prior_name
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.stored_result import StoredResult, scratch_of
from ivimkit.io.untrusted_files import untrusted
from ivimkit.io.zarr_maps import MapStore
from ivimkit.scan.dwi import DWI
from ivimkit.status import status_type
from ivimkit.writing import finish, located

__all__ = ["fitted_model", "load_result", "with_scan"]


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
        the folder for temporary files (TMPDIR, or ``/var/tmp``), and read from there. Maps in a
        Zarr store are read when they are used.

    Raises
    ------
    FileFormatError
        If there is no result, one of its files is missing or damaged, its method, prior or
        estimator is that of a package which is not installed, or the scan is asked for and is
        missing or has changed.

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
    _check_installed(home / RECORD, record.settings)
    with untrusted(lambda why: incomplete(home / RECORD, why)):
        settings, learned = _fit_of(home, record, given)
    # A disk that is full is not a fault of the record.
    stored = _stored(home, record, status_type(len(settings.model.parameters)))
    with untrusted(lambda why: incomplete(home / RECORD, why)):
        result = _restore(home, record, stored, settings, learned)
    also = [load_result(inner, model=model) for inner in also_in(home)[:1]]
    result = dataclasses.replace(result, also=also[0] if also else None)
    if scan is False:
        return result
    dwi = load_fitted_scan(result, None if scan is True else scan)
    return with_scan(result, dwi)


def with_scan(result: FitResult, dwi: DWI) -> FitResult:
    """Return a result, and the fit by another method that belongs to it, with their scan."""
    also = None if result.also is None else dataclasses.replace(result.also, dwi=dwi)
    return dataclasses.replace(result, dwi=dwi, also=also)


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


def _check_installed(path: Path, record: SettingsRecord) -> None:
    """Refuse a result of a plug-in that is not there: its package is missing, not its record."""
    estimator = None if record.estimator is None else record.estimator.name
    for noun, name, known in (
        ("method", record.method.name, methods.names()),
        ("prior", record.method.options.get("prior"), priors.names()),
        ("estimator", estimator, uncertainty.names()),
    ):
        if isinstance(name, str) and name not in known:
            raise FileFormatError(
                f"{path} needs {noun} {name[:50]!r}, which is not installed here; there are "
                f"{', '.join(known)}. Install the package that contains it, or fit again; the "
                "maps beside the record can be read without it"
            )


def _fit_of(
    home: Path, record: ResultRecord, model: SignalModel | None
) -> tuple[FitSettings, Mapping[str, Learned]]:
    """Return the settings of a result and what its method learned."""
    fixed = {
        name: read_image(home, f"fixed_{name}", tuple(record.shape))
        for name in record.settings.model.fixed_maps
    }
    tables = {region: load_prior(located(home, prior_name(region))) for region in record.learned}
    learned = learned_of(record.learned, tables)
    settings = settings_of(record.settings, fixed, learned, model)
    _check_maps(record.maps, settings.model)
    return settings, learned


def _restore(
    home: Path,
    record: ResultRecord,
    stored: StoredResult,
    settings: FitSettings,
    learned: Mapping[str, Learned],
) -> FitResult:
    acquisition = acquisition_of(record.acquisition)
    return FitResult(
        maps=stored.maps,
        status=stored.status,
        settings=settings,
        acquisition=acquisition,
        geometry=geometry_of(record.geometry, stored.header),
        provenance=provenance_of(record.provenance),
        learned=learned,
        source_context=_context_of(home, tuple(record.shape)),
        spectra=_spectra_of(home, record, settings),
        screening=screening_of(record.screening, acquisition),
        value_weights=_weights_of(home, record),
    )


def _stored(home: Path, record: ResultRecord, flags: type[np.signedinteger[Any]]) -> StoredResult:
    """Return maps and status, in whichever form they were saved."""
    shape = tuple(record.shape)
    if MAP_STORE not in record.files:
        return read_images(home, record.maps, shape, flags)
    store = MapStore(located(home, MAP_STORE), record.maps, shape)
    scratch = scratch_of(len(record.maps), shape)
    return StoredResult(store.maps(scratch), store.status(flags, scratch), store.header)


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
    name = image_name(SPECTRUM)
    if name not in record.files:
        return None
    b, counts = np.array(record.provenance.bvals), np.array(record.provenance.counts)
    bins = require_spectra(settings.method).bins_of(settings.model, b[counts > 0.0])
    path, shape = located(home, name), (*record.shape, bins.rates.size)
    return image_of_shape(path, shape, volumes=True).reshape(shape).astype(np.float32)


def _weights_of(home: Path, record: ResultRecord) -> NDArray[Any] | None:
    """Return the weights of single values, if there were any."""
    name = image_name(WEIGHTS)
    if name not in record.files:
        return None
    path, shape = located(home, name), (*record.shape, len(record.acquisition.bvals))
    array = image_of_shape(path, shape, volumes=True)
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
