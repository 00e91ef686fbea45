"""save and load_result: a fit as a folder of maps, and back."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import models
from ivimkit.errors import FileFormatError, OutputExistsError
from ivimkit.extend.derived_maps import DERIVED, describe
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.result import FitResult, Provenance
from ivimkit.io.fitted_scan import load_fitted_scan
from ivimkit.io.map_files import save_map, write_image
from ivimkit.io.nifti import open_nifti
from ivimkit.io.prior_files import load_prior, write_prior
from ivimkit.io.record import (
    VERSION,
    acquisition_of,
    check_options,
    geometry_of,
    incomplete,
    method_of,
    model_of,
    read_json,
    read_result_record,
    sidecar,
    status_sidecar,
    to_record,
    write_json,
)
from ivimkit.io.result_folder import absolute, check_free
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.untrusted_files import untrusted
from ivimkit.parameter import Parameter
from ivimkit.status import status_type
from ivimkit.writing import Files, finish, located, told_as_input, write_files

__all__ = [
    "FIGURES",
    "MASK",
    "REPORT",
    "check_mask_free",
    "check_output",
    "load_result",
    "save",
    "save_with",
]

MASK = "mask.nii.gz"
"""Name of the mask that is saved with a result, if ivimkit has found it in the scan."""
FIGURES = "figures"
"""Name of the folder of figures in the folder of a result."""

REPORT = "report.html"
"""Name of the report in the folder of a result."""

_RECORD = "fit.json"
_ALL = "all"
# For compression, the slow part of reading and writing.
_THREADS = min(4, os.cpu_count() or 1)
# What ivimkit fit and plot draw into the folder of a result.
_PICTURE = re.compile(
    r"(maps|status|histograms|uncertainty|residuals|lesion|prior(_-?[\d.e+]+)?|voxel_\d+_\d+_\d+)"
    r"\.png"
)
_STATUS = Parameter("status", "status", "", 0.0, math.inf, 0.0)
_USUAL_MAPS = ("status", *(parameter.name for parameter in DERIVED))


def check_output(
    folder: AnyPath,
    *,
    model: str | SignalModel = "biexp",
    overwrite: bool = False,
    with_mask: bool = False,
) -> None:
    """Refuse a folder that holds a result, before the work of a fit.

    Parameters
    ----------
    folder : path
        Where the result is to be saved.
    model : str or SignalModel
        The model that is to be fitted: it decides which maps there will be.
    overwrite : bool
        Whether an earlier result may be replaced.
    with_mask : bool
        Whether the result has a mask of its own, `ivimkit.masks.masked`, that is saved with it.

    Raises
    ------
    OutputExistsError
        If a result is there, or the folder is a file, or the mask would replace another one.
    """
    if with_mask:
        check_mask_free(absolute(folder), _RECORD)
    own = (parameter.name for parameter in models.get(model).quantities)
    maps = dict.fromkeys((*own, *_USUAL_MAPS))
    names = [_RECORD, *(_image_name(name) for name in maps), _prior_name(_ALL)]
    check_free(absolute(folder), names, overwrite=overwrite)


def check_mask_free(folder: Path, record: str) -> None:
    """Refuse to replace a mask that ivimkit has not written, whatever may be overwritten.

    Parameters
    ----------
    folder : Path
        Where the mask is to be saved.
    record : str
        Name of the file in it that lists what ivimkit has written.

    Raises
    ------
    OutputExistsError
        If there is such a mask.
    """
    if (folder / MASK).exists() and MASK not in files_of(folder, record):
        raise OutputExistsError(
            f"{folder / MASK} is there already, and is not of an earlier result; expected no "
            "such file, as the mask that is found would replace it. Choose another folder, or "
            "give that file as the mask"
        )


def save(result: FitResult, folder: AnyPath, *, overwrite: bool = False) -> None:
    """Save a result: one NIfTI file and one sidecar per map, and ``fit.json``.

    A mask that ivimkit has found in the scan becomes ``mask.nii.gz``. The prior of method bayes
    becomes ``prior.npz``, or ``prior_LABEL.npz`` for each region that has its own; `load_prior`
    reads them. All files appear at once, complete, or not at all.
    Figures and report of an earlier result go with it; other files in the folder stay.

    Parameters
    ----------
    result : FitResult
        What `ivimkit.fit` returned.
    folder : path
        Where to; made if it is not there.
    overwrite : bool
        Whether an earlier result may be replaced.

    Raises
    ------
    OutputExistsError
        If a result is there and overwriting was not asked for.
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
    save_with(result, folder, overwrite=overwrite)


def save_with(
    result: FitResult, folder: AnyPath, *further: Files, overwrite: bool = False
) -> None:
    """Save a result like `save`, together with files that are made from it.

    Parameters
    ----------
    result : FitResult
        The fit.
    folder : path
        Where to.
    *further : Files
        E.g. its figures. Those of an earlier result go in any case, as does its report: they
        would be taken for those of this one.
    overwrite : bool
        Whether an earlier result may be replaced.
    """
    target = absolute(folder)
    names = _file_names(result)
    check_free(target, names, overwrite=overwrite)
    if MASK in names:
        check_mask_free(target, _RECORD)
    # What this result was made from may lie among the files of an earlier one.
    used = {source["path"] for source in result.provenance.sources}
    with told_as_input(target):
        outdated = [*files_of(target, _RECORD), *_drawn_of(target)]
    outdated = [name for name in outdated if str(target / name) not in used]
    write_files(target, *further, Files(names, partial(_write, result), outdated))


def load_result(folder: AnyPath, *, scan: bool | AnyPath = False) -> FitResult:
    """Load a result that `save` has written.

    Parameters
    ----------
    folder : path
        The folder.
    scan : bool or path
        Whether to load the scan that was fitted as well, as ``result.dwi``; from the file that
        the result names, or from another one that is given.

    Returns
    -------
    FitResult
        As it was saved; maps have the precision of float32.

    Raises
    ------
    FileFormatError
        If there is no result, or a file of it is missing or damaged, or the scan is asked for
        and is gone or changed.

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
    content = read_result_record(located(home, _RECORD))
    with untrusted(lambda why: incomplete(home / _RECORD, why)):
        result = _restore(home, content)
    if scan is False:
        return result
    dwi = load_fitted_scan(result, None if scan is True else scan)
    return dataclasses.replace(result, dwi=dwi)


def _restore(home: Path, content: dict[str, Any]) -> FitResult:
    record = content["result"]
    shape = tuple(record["shape"])
    read = partial(_read, home, shape)
    check_options(content["options"])
    status_file = open_nifti(located(home, _image_name("status")))
    fixed = {name: read(f"fixed_{name}") for name in record["fixed_maps"]}
    priors = {
        region: load_prior(located(home, _prior_name(region)))
        for region in record.get("priors", ())
    }
    model = dataclasses.replace(model_of(record), fixed_maps=fixed)
    names = list(record["maps"])
    _check_maps(names, model)
    with ThreadPoolExecutor(_THREADS) as pool:
        maps = dict(zip(names, pool.map(read, names), strict=True))
    return FitResult(
        maps=maps,
        status=read("status", status_type(len(model.parameters))),
        model=model,
        method=method_of(record, priors),
        acquisition=acquisition_of(record),
        geometry=geometry_of(record, status_file.geometry.header),
        provenance=Provenance.from_dict(content),
        priors=priors,
    )


def _check_maps(names: Sequence[str], model: SignalModel) -> None:
    """Refuse a result that lacks maps of its model, or has some that nobody can describe."""
    missing = [name for name in model.names if name not in names]
    if missing:
        raise ValueError(f"there is no map of {missing[0]}, a parameter of model {model.name}")
    for name in names:
        describe(name, model.parameters)


def _write(result: FitResult, folder: Path) -> None:
    """Write all files of a result; compression, the slow part, runs in threads."""
    jobs: list[Callable[[], None]] = []
    for name in result.maps:
        jobs.append(partial(_write_map, result, folder, name))
        write_json(folder / f"{name}.json", sidecar(result, name))
    for name, values in result.model.fixed_maps.items():
        path = folder / _image_name(f"fixed_{name}")
        fixed = dataclasses.replace(result.model[name], name=f"fixed_{name}")
        jobs.append(partial(write_image, path, values, result.geometry, fixed))
    status = folder / _image_name("status")
    jobs.append(partial(write_image, status, result.status, result.geometry, _STATUS))
    write_json(folder / "status.json", status_sidecar(result))
    if _has_own_mask(result):
        inside = result.mask.astype(np.uint8)
        jobs.append(partial(save_map, inside, folder / MASK, result.geometry))
    for region, table in result.priors.items():
        write_prior(folder / _prior_name(region), table)
    with ThreadPoolExecutor(_THREADS) as pool:
        for job in [pool.submit(job) for job in jobs]:
            job.result()
    about = {"format": "ivimkit result", "format_version": VERSION}
    files = _file_names(result)
    content = {**about, **result.provenance.to_dict(), "result": to_record(result), "files": files}
    write_json(folder / _RECORD, content)


def _write_map(result: FitResult, folder: Path, name: str) -> None:
    # The map is asked for here, so that few of them are in memory at a time.
    about = describe(name, result.model.quantities)
    write_image(folder / _image_name(name), result.maps[name], result.geometry, about)


def _read(
    home: Path, shape: tuple[int, ...], name: str, dtype: type[Any] = np.float64
) -> NDArray[Any]:
    path = located(home, _image_name(name))
    array = open_nifti(path).read()
    if array.size != math.prod(shape):
        raise FileFormatError(
            f"{path} has shape {array.shape}; expected {shape}, as {_RECORD} says. Fit again"
        )
    if np.issubdtype(dtype, np.integer) and not _are_flags(array, dtype):
        raise FileFormatError(
            f"{path} holds numbers that are not sums of flags; expected whole numbers >= 0. Fit "
            "again"
        )
    return array.reshape(shape).astype(dtype)


def _are_flags(array: NDArray[Any], dtype: type[Any]) -> bool:
    whole = array.dtype.kind in "biu" or bool(np.all(array == np.rint(array)))
    return whole and bool(np.all((array >= 0) & (array <= np.iinfo(dtype).max)))


def _image_name(name: str) -> str:
    return f"{name}.nii.gz"


def _prior_name(region: str) -> str:
    return "prior.npz" if region == _ALL else f"prior_{region}.npz"


def _file_names(result: FitResult) -> list[str]:
    """Return the files of a result, the one that makes it valid last."""
    names = [*result.maps, "status"]
    images = [*names, *(f"fixed_{name}" for name in result.model.fixed_maps)]
    sidecars = [f"{name}.json" for name in names]
    masks = [MASK] if _has_own_mask(result) else []
    priors = map(_prior_name, result.priors)
    return [*map(_image_name, images), *sidecars, *masks, *priors, _RECORD]


def _has_own_mask(result: FitResult) -> bool:
    """Return whether ivimkit has made the mask, so that nobody else has it."""
    return bool(result.provenance.options.get("mask_origin"))


def files_of(folder: Path, record: str) -> list[str]:
    """Return the files that the record in a folder lists, if there is a readable one."""
    if not (folder / record).is_file():
        return []
    try:
        names = read_json(folder / record).get("files", [])
    except FileFormatError:
        return []
    if not isinstance(names, list):
        return []
    # Only names of plain files: a record from elsewhere must not reach out of the folder.
    return [name for name in names if isinstance(name, str) and Path(name).name == name]


def _drawn_of(folder: Path) -> list[str]:
    """Return the figures and the report of the result in a folder, if there is one."""
    if not (folder / _RECORD).is_file():
        return []
    there = folder / FIGURES
    names = sorted(path.name for path in there.iterdir()) if there.is_dir() else []
    pictures = ["maps.png", *filter(_PICTURE.fullmatch, names)]
    return [REPORT, *(f"{FIGURES}/{name}" for name in dict.fromkeys(pictures))]
