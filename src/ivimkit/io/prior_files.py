"""save_prior and load_prior: a prior as one file."""

from __future__ import annotations

import math
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import models
from ivimkit.errors import FileFormatError, InputError
from ivimkit.extend.model_prior import Coordinate, ModelPrior, coordinates_of
from ivimkit.extend.prior_table import PriorTable, parameter_names
from ivimkit.io.json_text import from_json, to_json
from ivimkit.io.remote_copies import at_hand, local_path
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.untrusted_files import untrusted
from ivimkit.writing import check_file, write_file

__all__ = ["load_prior", "save_prior", "write_prior"]

_FORMAT = "ivimkit prior"
_VERSION = 1
# Maximum size of each array, in bytes: a file of a kilobyte can claim to contain a terabyte.
_MAX_BYTES = {"about": 1 << 22, "slow": 1 << 13, "fast": 1 << 13, "fraction": 1 << 13}
_MAX_DENSITY_BYTES = 1 << 25
_MAX_HEADER_BYTES = 1 << 12
_KNOTS = ("slow", "fast", "fraction")
_GAUSSIANS = ("weights", "means", "covariances")
# Kind of the prior of a model of any compartments.
_MODEL = "Gaussians of logits"
_UNITS = {"slow": "mm^2/s", "fast": "mm^2/s", "fraction": "1"}
_DENSITY = "with respect to slow, ln fast and fraction; empty if it is flat"


def save_prior(table: PriorTable | ModelPrior, path: AnyPath, *, overwrite: bool = False) -> None:
    """Save a prior for later scans, as one self-describing file.

    The file is a NumPy archive: the text ``about`` (JSON: format, model, names, origin of the
    prior), the knots ``slow``, ``fast`` and ``fraction``, and the ``density`` there; of a model
    that is not two decays, the ``weights``, ``means`` and ``covariances`` of its Gaussians.

    Parameters
    ----------
    table : PriorTable or ModelPrior
        E.g. ``result.priors["all"]``.
    path : path
        ``.npz``.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputExistsError
        If there is such a file and overwriting was not asked for.
    InputError
        If the file cannot be written, or is not named ``.npz``.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "liver.npz"
    >>> table = ik.priors.get("organ", organ="liver").tabulate(ik.models.get("biexp"))
    >>> ik.save_prior(table, path)
    >>> ik.load_prior(path).same_as(table)
    True
    """
    if Path(path).suffix.lower() != ".npz":
        raise InputError(f"{path} is to be written; expected a name that ends in .npz")
    target = check_file(path, overwrite=overwrite)
    write_file(target, lambda place: write_prior(place, table))


def load_prior(path: AnyPath) -> PriorTable | ModelPrior:
    """Load a prior written by `save_prior`, or by `save` next to its maps.

    Parameters
    ----------
    path : path
        The file: up to 1023 knots of each parameter, and 4 million of the density.

    Returns
    -------
    PriorTable or ModelPrior
        Bit-identical to the saved one; ``Bayes(prior=...)`` takes it.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is damaged, not a prior, larger than that, or has a newer
        version.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "prior.npz"
    >>> ik.save_prior(ik.priors.get("flat").tabulate(ik.models.get("sivim")), path)
    >>> table = ik.load_prior(path)
    >>> table.rule, table.model
    ('flat', 'sivim')
    """
    source = at_hand(local_path(path)).expanduser()
    with untrusted(lambda why: _no_prior(source, why)):
        try:
            arrays = _read(source)
        except FileNotFoundError:
            raise FileFormatError(
                f"there is no file {source}; expected a prior that ivimkit has saved. Check the "
                "path"
            ) from None
        about = from_json(str(arrays["about"][()]))
        if about.get("format") != _FORMAT:
            raise ValueError(f"it holds {str(about.get('format'))[:60]!r}")
        version = about["format_version"]
        if type(version) is not int:
            raise ValueError("its version is not a whole number")
        if version > _VERSION:
            raise FileFormatError(
                f"{source} has format version {version:.6g}; expected at most {_VERSION}. Read it "
                "with the ivimkit that wrote it, or a newer one"
            )
        if about.get("kind") == _MODEL:
            return _model_prior(about, arrays)
        return _table(about, arrays)


def write_prior(path: Path, table: PriorTable | ModelPrior) -> None:
    """Write a prior directly; the same prior gives the same bytes.

    Parameters
    ----------
    path : Path
        ``.npz``; replaced if it exists.
    table : PriorTable or ModelPrior
        The prior.
    """
    if isinstance(table, ModelPrior):
        _write_model_prior(path, table)
        return
    about = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "model": table.model,
        "rule": table.rule,
        "names": table.names,
        "units": _UNITS,
        "density": _DENSITY,
        "about": table.about,
    }
    arrays: dict[str, Any] = dict(zip(_KNOTS, table.knots, strict=True))
    np.savez_compressed(path, about=to_json(about), density=table.density, **arrays)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file:
        # A pipe or a device has no end to seek to.
        if not (path.is_file() and zipfile.is_zipfile(file)):
            raise ValueError("it is not a NumPy archive, or is damaged")
        with zipfile.ZipFile(file) as archive:
            there = {name.removesuffix(".npy"): name for name in archive.namelist()}
            wanted = ["about", *(_GAUSSIANS if "weights" in there else (*_KNOTS, "density"))]
            return {name: _member(archive, name, there[name]) for name in wanted}


def _member(archive: zipfile.ZipFile, name: str, file_name: str) -> NDArray[Any]:
    """Read an array of an archive, never more than its actual bytes."""
    most = _MAX_BYTES.get(name, _MAX_DENSITY_BYTES) + _MAX_HEADER_BYTES
    with archive.open(file_name) as stream:
        # One more byte, so that the end is reached and the checksum is verified.
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name} is larger than a prior can be")
    file = BytesIO(content)
    reader = _HEADERS.get(np.lib.format.read_magic(file))
    if reader is None:
        raise ValueError(f"{name} is not a NumPy array")
    shape, in_columns, dtype = reader(file, max_header_size=_MAX_HEADER_BYTES)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    numbers = dtype.kind in "fiu" and name != "about"
    if not numbers and not (dtype.kind == "U" and name == "about" and shape == ()):
        raise ValueError(f"{name} contains {dtype}")
    data = content[file.tell() :]
    if min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{name} has {len(data)} bytes, and its header says {shape} of {dtype}")
    if not data:
        return np.zeros(shape, dtype)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if in_columns else "C")


_HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _table(about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> PriorTable:
    slow, fast, fraction = (_axis(name, arrays[name]) for name in _KNOTS)
    if fast[0] <= 0.0:
        raise ValueError("fast has values that are not above 0")
    if slow[0] < 0.0 or fraction[0] < 0.0 or fraction[-1] > 1.0:
        raise ValueError("slow has values below 0, or fraction some outside 0 to 1")
    model, rule, names, further = (about[key] for key in ("model", "rule", "names", "about"))
    if not (isinstance(model, str) and isinstance(rule, str) and isinstance(further, dict)):
        raise ValueError("its model, rule or history has a wrong type")
    _check_voxels(further)
    one, two, three = names
    if model in models.names():
        known = models.get(model)
        if known.two_decays() is None or (one, two, three) != parameter_names(known):
            raise ValueError(f"it names other parameters than model {model} has")
    density = np.ascontiguousarray(arrays["density"], dtype=np.float64)
    return PriorTable(model, rule, (one, two, three), (slow, fast, fraction), density, further)


def _write_model_prior(path: Path, prior: ModelPrior) -> None:
    about = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "kind": _MODEL,
        "model": prior.model,
        "rule": prior.rule,
        "coordinates": [
            [c.name, c.lower, c.upper, c.logarithmic, c.share] for c in prior.coordinates
        ],
        "about": prior.about,
    }
    arrays: dict[str, Any] = {name: getattr(prior, name) for name in _GAUSSIANS}
    np.savez_compressed(path, about=to_json(about), **arrays)


def _model_prior(about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> ModelPrior:
    model, rule, further = (about[key] for key in ("model", "rule", "about"))
    if not (isinstance(model, str) and isinstance(rule, str) and isinstance(further, dict)):
        raise ValueError("its model, rule or history has a wrong type")
    _check_voxels(further)
    coordinates = tuple(
        Coordinate(str(name), float(low), float(high), bool(is_log), bool(share))
        for name, low, high, is_log, share in about["coordinates"]
    )
    for c in coordinates:
        if not (math.isfinite(c.lower) and math.isfinite(c.upper) and c.lower < c.upper):
            raise ValueError(f"the bounds of {c.name} are not ascending numbers")
        if c.logarithmic and not c.lower > 0.0:
            raise ValueError(f"the logarithm of {c.name} has a bound of 0 or below")
    if model in models.names():
        known = {c.name for c in coordinates_of(models.get(model))}
        if not known.issuperset(c.name for c in coordinates):
            raise ValueError(f"it names other parameters than model {model} has")
    weights, means, covariances = (np.array(arrays[k], dtype=np.float64) for k in _GAUSSIANS)
    n, d = weights.size, len(coordinates)
    if n:
        if (weights.shape, means.shape, covariances.shape) != ((n,), (n, d), (n, d, d)):
            raise ValueError("its Gaussians do not fit its coordinates")
        symmetric = np.allclose(covariances, covariances.transpose(0, 2, 1), rtol=1e-9, atol=0.0)
        if not symmetric or (np.linalg.eigvalsh(covariances) <= 0.0).any():
            raise ValueError("a covariance is not one of a Gaussian")
    return ModelPrior(model, rule, coordinates, weights, means, covariances, further)


def _check_voxels(about: dict[str, Any]) -> None:
    voxels = about.get("voxels", 0)
    if isinstance(voxels, bool) or not (isinstance(voxels, int) and 0 <= voxels < 2**53):
        raise ValueError("it does not say how many voxels it was learned from")


def _axis(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    axis = values.astype(np.float64)
    if (
        axis.ndim != 1
        or not axis.size
        or not np.isfinite(axis).all()
        or (np.diff(axis) <= 0).any()
    ):
        raise ValueError(f"{name} is not an ascending list of numbers")
    return axis


def _no_prior(path: Path, why: str) -> FileFormatError:
    return FileFormatError(
        f"{path} cannot be read as a prior ({why}); expected a file written by a fit with "
        "method bayes. Check the path, or learn the prior again"
    )
