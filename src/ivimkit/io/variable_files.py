"""Variables of volumes, from tables with one row per volume and lists in JSON sidecars."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import AcquisitionWarning, FileFormatError, InputError
from ivimkit.io.gradient_files import stem_of, text_of
from ivimkit.io.merged_sidecars import merged_sidecars
from ivimkit.io.table_cells import unguarded
from ivimkit.io.untrusted_files import untrusted
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.variables import KNOWN, Columns, checked_columns, variable_of

__all__ = [
    "TABLE_ENDINGS",
    "read_sidecars",
    "read_variables",
    "table_beside",
    "write_variables",
]

TABLE_ENDINGS = ("_volumes.tsv", "_volumes.csv")
"""What follows the name of a scan in the name of its table: ``dwi_volumes.tsv``."""

_KIND = "a table with a header and one row per volume"
_GIVE = "Give a TSV or CSV file"
_HEAD = re.compile(r"([A-Za-z_]\w*)(?:\s*[(\[]([^)\]]*)[)\]])?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_COUNTERS = ("", "volume", "index")
_SHORT = {"te": "echo_time", "bval": "b", "bvals": "b", "bvalue": "b", "b_value": "b"}
_EMPTY_CELLS = ("", "n/a", "na", "nan", "none given", "-")
_TIMES = {"ms": 1.0, "s": 1000.0, "us": 1e-3, "µs": 1e-3}
_UNITS = {
    "s/mm^2": {
        "s/mm^2": 1.0, "s/mm2": 1.0, "s/mm²": 1.0, "ms/um2": 1e3, "ms/µm²": 1e3, "s/cm2": 1e-2
    },
    "ms": _TIMES,
    "s/mm": {"s/mm": 1.0, "ms/mm": 1e-3, "s/m": 1e-3},
}  # fmt: skip
# Lists in JSON sidecars, with the variable and the factor to its unit; times in BIDS are in s.
_LISTS: dict[str, tuple[str, float]] = {
    "EchoTime": ("echo_time", 1e3),
    "EchoTime_ms": ("echo_time", 1.0),
    "DiffusionTime": ("diffusion_time", 1e3),
    "DiffusionTime_ms": ("diffusion_time", 1.0),
    "GradientDuration": ("gradient_duration", 1e3),
    "GradientDuration_ms": ("gradient_duration", 1.0),
    "GradientSeparation": ("gradient_separation", 1e3),
    "GradientSeparation_ms": ("gradient_separation", 1.0),
    "EncodingTime": ("encoding_time", 1e3),
    "EncodingTime_ms": ("encoding_time", 1.0),
    "GradientProfile": ("gradient", 1.0),
    "echo_time": ("echo_time", 1.0),
    "diffusion_time": ("diffusion_time", 1.0),
    "gradient_duration": ("gradient_duration", 1.0),
    "gradient_separation": ("gradient_separation", 1.0),
    "encoding_time": ("encoding_time", 1.0),
    "gradient": ("gradient", 1.0),
    "c": ("c", 1.0),
}


def table_beside(scan: Path) -> Path | None:
    """Find the table of a scan by its name: ``dwi_volumes.tsv`` for ``dwi.nii.gz``."""
    for ending in TABLE_ENDINGS:
        path = scan.with_name(stem_of(scan) + ending)
        try:
            if path.is_file():
                return path
        except OSError:
            continue
    return None


def read_variables(path: Path) -> tuple[dict[str, NDArray[Any]], bool]:
    """Read a table with a header and one row per volume.

    Parameters
    ----------
    path : Path
        TSV or CSV. A column name is that of a variable, with or without a unit: ``echo_time (s)``;
        without, it is the unit of the variable. ``TE`` and ``bval`` are also known. A first column
        that counts the rows is ignored.

    Returns
    -------
    columns : dict of str to ndarray, shape (n_rows,)
        Numbers in the unit of the variable, or texts. ``b`` and ``gx``, ``gy``, ``gz`` may be
        among them.
    b_has_unit : bool
        Whether the header of column b names its unit.

    Raises
    ------
    FileFormatError
        If there is no such file, or a column name, row or cell cannot be understood.
    """
    if not path.is_file():
        raise FileFormatError(f"there is no file {path}; expected {_KIND}. Check the path")
    text = text_of(path, _KIND, _GIVE)
    with untrusted(lambda why: FileFormatError(f"{path}: {why}; expected {_KIND}. {_GIVE}")):
        lines = list(csv.reader(text.splitlines(), delimiter=_delimiter(text), strict=True))
    numbered = [(k, row) for k, row in enumerate(lines, 1) if any(cell.strip() for cell in row)]
    if len(numbered) < 2:
        raise FileFormatError(f"{path} has no rows; expected {_KIND}. {_GIVE}")
    (_, heads), *rows = numbered
    for line, row in rows:
        if len(row) != len(heads):
            raise FileFormatError(
                f"{path}, line {line}: {len(row)} cells, and the header has {len(heads)}; "
                "expected one for each column, separated by tabs (TSV) or commas (CSV). Correct "
                "the file"
            )
    columns: dict[str, NDArray[Any]] = {}
    b_has_unit = False
    for position, head in enumerate(heads):
        cells = [(line, unguarded(row[position].strip())) for line, row in rows]
        if head.strip().lower() in _COUNTERS and _counts(cells):
            continue
        name, factor = _named(path, head)
        if name in columns:
            raise FileFormatError(
                f"{path} has two columns of {name}; expected one. Delete one of them"
            )
        b_has_unit |= name == "b" and "(" in head.replace("[", "(")
        columns[name] = _values(path, name, cells, factor)
    if not columns:
        raise FileFormatError(f"{path} has no column of a variable; expected {_KIND}. {_GIVE}")
    axes = [axis for axis in ("gx", "gy", "gz") if axis in columns]
    if len(axes) in (1, 2):
        raise FileFormatError(
            f"{path} has {' and '.join(axes)} of the directions; expected gx, gy and gz, or none "
            "of them"
        )
    return columns, b_has_unit


def _delimiter(text: str) -> str:
    head = next((line for line in text.splitlines() if line.strip()), "")
    return "\t" if "\t" in head else (";" if ";" in head and "," not in head else ",")


def _counts(cells: Sequence[tuple[int, str]]) -> bool:
    """Whether a column counts the rows, from 0 or 1."""
    texts = [cell for _, cell in cells]
    n = len(texts)
    return texts in ([str(k) for k in range(n)], [str(k + 1) for k in range(n)])


def _named(path: Path, head: str) -> tuple[str, float]:
    """Return the variable of a column name, and the factor to the variable's unit."""
    found = _HEAD.fullmatch(head.strip())
    if found is None:
        raise FileFormatError(
            f"{path} has a column called {head[:60]!r}; expected a name of letters, digits and _ "
            f"with or without a unit, like echo_time or echo_time (s). {_known()}"
        )
    name, unit = _SHORT.get(found[1].lower(), found[1]), found[2]
    if unit is None:
        return name, 1.0
    units = _UNITS.get(variable_of(name).unit, {})
    if unit.strip() not in units:
        expected = f"one of {', '.join(units)}" if units else "none"
        raise FileFormatError(
            f"{path}: the unit of {name} is {unit[:30]!r}; expected {expected}. Correct the name "
            "of the column"
            + ("" if units else f"; a unit may be part of the name, like {name}_mT")
        )
    return name, units[unit.strip()]


def _known() -> str:
    return f"Known are {', '.join(KNOWN)}; other names can be chosen freely"


def _values(
    path: Path, name: str, cells: Sequence[tuple[int, str]], factor: float
) -> NDArray[Any]:
    """Return the cells of a column as numbers, if all are numbers, or as texts, if none is."""
    numbers: list[float | None] = []
    for line, cell in cells:
        if cell.lower() in _EMPTY_CELLS:
            raise FileFormatError(
                f"{path}, line {line}: {name} is empty; expected a value for each volume. Write "
                "a text such as none for volumes to which it does not apply"
            )
        if _DECIMAL_COMMA.fullmatch(cell):
            raise FileFormatError(
                f"{path}, line {line}: {cell!r} has a decimal comma; expected numbers with a "
                "decimal point, like 10.5. Replace the commas by points"
            )
        numbers.append(_number(cell))
    odd = next((k for k, number in enumerate(numbers) if number is None), None)
    if odd is None:
        return factor * np.array(numbers, dtype=np.float64)
    is_text = variable_of(name).text
    if not is_text or any(number is not None for number in numbers):
        line, cell = cells[odd]
        others = "the column has numbers" if is_text else "the variable is a number"
        raise FileFormatError(
            f"{path}, line {line}: {name} is {cell[:40]!r}, and {others}; expected numbers, or "
            "texts throughout. Correct the file"
        )
    return np.array([cell for _, cell in cells])


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def read_sidecars(
    paths: Sequence[Path], n_volumes: int
) -> tuple[dict[str, NDArray[Any]], dict[str, Path]]:
    """Return the variables for which JSON sidecars have a list with one value per volume.

    A sidecar may serve other purposes: what cannot be used is ignored with a warning. A single
    number, such as the one echo time of a scan, is not a list.

    Parameters
    ----------
    paths : sequence of Path
        The sidecars, as `ivimkit.io.gradient_files.sidecars_of` finds them. Times of BIDS
        (``EchoTime``) are in seconds and become ms.
    n_volumes : int
        Number of volumes of the scan.

    Returns
    -------
    columns : dict of str to ndarray, shape (n_volumes,)
    sources : dict of str to Path
        The file that each of them is from.

    Warns
    -----
    AcquisitionWarning
        If a file is damaged, or a list has a wrong length or implausible values.
    """
    said = merged_sidecars(
        paths,
        lambda path, why: _warn(f"{path} cannot be read ({why}), so its lists of variables are"),
    )
    found: dict[str, NDArray[Any]] = {}
    sources: dict[str, Path] = {}
    for key, (name, factor) in _LISTS.items():
        values, path = said.get(key, (None, None))
        if not isinstance(values, list) or path is None or name in found:
            continue
        if len(values) != n_volumes:
            _warn(
                f"{path} has {len(values)} values of {key}, and the scan has {n_volumes} volumes; "
                "expected one per volume. The list is"
            )
            continue
        try:
            found |= checked_columns({name: _listed(key, values, factor)}, n_volumes)
            sources[name] = path
        except InputError as error:
            _warn(f"{path}: {error}. The list {key} is")
    return found, sources


def _listed(key: str, values: list[Any], factor: float) -> list[Any]:
    if all(isinstance(value, str) for value in values):
        return values
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return [factor * value for value in values]
    raise FileFormatError(f"{key} mixes numbers with something else; expected one type")


def _warn(text: str) -> None:
    warnings.warn(f"{text} ignored", AcquisitionWarning, stacklevel=4)


def write_variables(
    path: Path, acquisition: Acquisition, *, averages: NDArray[np.float64] | None = None
) -> None:
    """Write b, the other variables and numbers of averages as TSV, one row per volume."""
    columns: Columns = {
        "b": acquisition.bvals,
        **acquisition.variables,
        **({} if averages is None else {"averages": averages}),
    }
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(map(_cell, values) for values in columns.values()), strict=True))


def _cell(value: Any) -> str:
    return str(value) if isinstance(value, str) else f"{value:.10g}"
