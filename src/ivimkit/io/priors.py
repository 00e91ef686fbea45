"""save_prior and load_prior: a prior as one file, and back."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError, InputError
from ivimkit.io.record import from_json, to_json
from ivimkit.io.scan import AnyPath
from ivimkit.prior_table import PriorTable
from ivimkit.writing import check_file, write_file

__all__ = ["load_prior", "save_prior", "write_prior"]

_FORMAT = "ivimkit prior"
_VERSION = 1
# What numpy, zipfile and json raise where a file is not what they take it for.
_DAMAGED = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)
_KNOTS = ("slow", "fast", "fraction")
_UNITS = {"slow": "mm^2/s", "fast": "mm^2/s", "fraction": "1"}
_DENSITY = "with respect to slow, ln fast and fraction; empty if it is flat"


def save_prior(table: PriorTable, path: AnyPath, *, overwrite: bool = False) -> None:
    """Save a prior, for scans to come: one file that says what it is.

    The file is a NumPy archive: the text ``about`` (JSON: format, model, names, how the prior
    came about), the knots ``slow``, ``fast`` and ``fraction``, and the ``density`` at them.

    Parameters
    ----------
    table : PriorTable
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


def load_prior(path: AnyPath) -> PriorTable:
    """Load a prior that `save_prior` has written, or `save` beside its maps.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    PriorTable
        As it was saved, bit by bit; ``Bayes(prior=...)`` takes it.

    Raises
    ------
    FileFormatError
        If there is no such file, it is damaged, something else, or of a newer version.

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
    source = Path(path).expanduser()
    try:
        arrays = _read(source)
        about = from_json(str(arrays["about"][()]))
        if about.get("format") != _FORMAT:
            raise ValueError(f"it holds {about.get('format')!r}")
        version = int(about["format_version"])
    except FileNotFoundError:
        raise FileFormatError(
            f"there is no file {source}; expected a prior that ivimkit has saved. Check the path"
        ) from None
    except _DAMAGED as error:
        raise _no_prior(source, error) from error
    if version > _VERSION:
        raise FileFormatError(
            f"{source} has format version {version}; expected at most {_VERSION}. Read it with "
            "the ivimkit that wrote it, or a newer one"
        )
    try:
        return _table(about, arrays)
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise _no_prior(source, error) from error


def write_prior(path: Path, table: PriorTable) -> None:
    """Write a prior in place; the same prior gives the same bytes.

    Parameters
    ----------
    path : Path
        ``.npz``; replaced if it is there.
    table : PriorTable
        The prior.
    """
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
        if not zipfile.is_zipfile(file):
            raise ValueError("it is no NumPy archive, or damaged")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


def _table(about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> PriorTable:
    slow, fast, fraction = (_axis(name, arrays[name]) for name in _KNOTS)
    if fast[0] <= 0.0:
        raise ValueError("fast has values that are not above 0")
    one, two, three = about["names"]
    return PriorTable(
        str(about["model"]),
        str(about["rule"]),
        (one, two, three),
        (slow, fast, fraction),
        arrays["density"].astype(np.float64),
        dict(about["about"]),
    )


def _axis(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    axis = values.astype(np.float64)
    if (
        axis.ndim != 1
        or not axis.size
        or not np.isfinite(axis).all()
        or (np.diff(axis) <= 0).any()
    ):
        raise ValueError(f"{name} is no ascending list of numbers")
    return axis


def _no_prior(path: Path, error: Exception) -> FileFormatError:
    return FileFormatError(
        f"{path} cannot be read as a prior ({error}); expected a file that a fit by method bayes "
        "has written. Check the path, or learn the prior again"
    )
