"""b-value and direction files: FSL text files, and MRtrix gradient tables."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError
from ivimkit.io.image_stem import stem_of_name
from ivimkit.io.remote_copies import at_hand
from ivimkit.io.untrusted_files import reason_of

__all__ = [
    "beside",
    "is_table",
    "near_misses",
    "paths_in",
    "read_bvals",
    "read_bvecs",
    "sidecars_of",
    "stem_of",
    "text_of",
    "write_bvals",
    "write_bvecs",
]

_SEPARATORS = re.compile(r"[\s,;]+")
_NUMBER = re.compile(
    r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf(inity)?)", re.IGNORECASE
)
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
_MAX_BYTES = 1 << 24
# A direction has length 1 up to rounding; no b-value of a table is as small as that.
_MAX_DIRECTION_LENGTH = 1.1
_DATA_SET = "dataset_description.json"
_GRADIENTS = ("bval", "bvec")


def read_bvals(path: Path) -> NDArray[np.float64]:
    """Read a b-value file: numbers in a row, in a column, or wrapped over lines, or a table.

    Parameters
    ----------
    path : Path
        Text file; numbers are separated by blanks, tabs, commas or line ends. From a gradient
        table (one line x y z b per volume, as MRtrix writes it, or b x y z) the b-values are read.

    Returns
    -------
    ndarray, shape (n,)
        The numbers, as in the file.

    Raises
    ------
    FileFormatError
        If there is no such file, or it contains anything but b-values.
    """
    rows = _read_rows(path)
    table = _table_of(rows)
    if table is not None:
        return table[1]
    if len(rows) == 3 and len(rows[0]) > 1 and _are_directions(rows):
        raise FileFormatError(
            f"{path} has 3 lines of {len(rows[0])} to {len(rows[-1])} numbers up to 1; expected "
            "b-values. It looks like a direction file (.bvec). Give a file with the b-values only"
        )
    if len(rows) > 1 and {len(row) for row in rows} == {2}:
        index = [row[0] for row in rows]
        if index in (list(range(len(rows))), list(range(1, len(rows) + 1))):
            raise FileFormatError(
                f"{path} has two columns, and the first one counts the lines; expected b-values "
                "only. Remove the first column"
            )
    return np.array([number for row in rows for number in row])


def read_bvecs(path: Path) -> NDArray[np.float64]:
    """Read a direction file: three rows (FSL), three columns, or a gradient table.

    Parameters
    ----------
    path : Path
        Text file; numbers are separated by blanks, tabs or commas. From a gradient table (one line
        x y z b per volume, or b x y z) the directions are read.

    Returns
    -------
    ndarray, shape (n, 3)
        One direction per volume, as long as in the file.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is neither three rows nor three columns of numbers.
    """
    rows = _read_rows(path)
    sizes = {len(row) for row in rows}
    table = _table_of(rows)
    if table is not None:
        return table[0]
    if len(rows) == 3 and len(sizes) == 1:
        return np.array(rows).T
    if sizes == {3}:
        return np.array(rows)
    raise FileFormatError(
        f"{path} has {len(rows)} lines of {min(sizes)} to {max(sizes)} numbers; expected three "
        "lines of one number per volume (FSL), or one line of three numbers per volume"
    )


def is_table(path: Path) -> bool:
    """Whether a file is a gradient table, which contains b-values and directions.

    Raises
    ------
    FileFormatError
        If it cannot be read.
    """
    return _table_of(_read_rows(path)) is not None


def write_bvals(path: Path, bvals: NDArray[np.float64]) -> None:
    """Write b-values in one row, as FSL does."""
    path.write_text(" ".join(f"{b:.10g}" for b in bvals) + "\n", encoding="utf-8")


def write_bvecs(path: Path, bvecs: NDArray[np.float64]) -> None:
    """Write directions, shape (n, 3), in three rows, as FSL does."""
    lines = [" ".join(f"{value:.10g}" for value in axis) for axis in bvecs.T]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def beside(
    scan: Path, kind: str, *, listed: Callable[[Path], Sequence[Path]] | None = None
) -> Path | None:
    """Find the file that belongs to a scan, by its name.

    Parameters
    ----------
    scan : Path
        The image, e.g. ``dwi.nii.gz``.
    kind : {"bval", "bvec", "json", "tsv"}
        Which file.
    listed : callable, optional
        Returns the paths in a folder; for many scans, one that remembers them.

    Returns
    -------
    Path or None
        ``dwi.bval`` or ``dwi.bvals``, in upper or lower case; ``bval`` or ``bvals`` if the scan
        is called ``data``, as in FSL; in a BIDS data set a file with some of the scan's entities,
        in its folder or the nearest one above; a gradient table ``dwi.grad`` or ``dwi.b``. None if
        there is none.
    """
    return next(_all_beside(scan, kind, listed or paths_in), None)


def sidecars_of(
    scan: Path, *, listed: Callable[[Path], Sequence[Path]] | None = None
) -> tuple[Path, ...]:
    """Find all JSON sidecars that say something of a scan, the most specific one first.

    Of b-values and directions only the nearest file counts. Sidecars add up: what one of a data
    set in BIDS does not say, a scan inherits from one with fewer entities or in a folder above.

    Parameters
    ----------
    scan : Path
        The image.
    listed : callable, optional
        As for `beside`.

    Returns
    -------
    tuple of Path
    """
    return tuple(_all_beside(scan, "json", listed or paths_in))


def _all_beside(scan: Path, kind: str, look: Callable[[Path], Sequence[Path]]) -> Iterator[Path]:
    """Yield the files that belong to a scan, by their names, the most specific one first."""
    stem = stem_of(scan)
    wanted = [f"{stem}.{kind}"]
    if kind in _GRADIENTS:
        wanted.append(f"{stem}.{kind}s")
    if stem.lower() == "data" and kind in _GRADIENTS:
        wanted += [kind, f"{kind}s"]
    tables = [f"{stem}.grad", f"{stem}.b"] if kind in _GRADIENTS else []
    # A folder that may not be listed can contain files that may be read.
    known = [scan.parent / name for name in (*wanted, *tables)]
    there = {path.name: path for path in look(scan.parent) or known}
    own = _first(there, wanted)
    if own is not None:
        yield own
    for path in _inherited(scan, kind, look):
        if own is None or path != own.absolute():
            yield path
    table = _first(there, tables)
    if table is not None:
        yield table


def paths_in(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing if it may not be listed."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def near_misses(scan: Path, kind: str) -> list[Path]:
    """Return up to three files next to a scan that may contain what `beside` did not find."""
    stem = stem_of(scan).lower()
    alike = [path for path in _files_in(scan.parent) if kind in path.name.lower()]
    alike.sort(key=lambda path: stem not in path.name.lower())
    return alike[:3]


def _files_in(folder: Path) -> list[Path]:
    """Return the readable files of a folder; none if it may not be listed."""
    return list(filter(_is_file, paths_in(folder)))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def stem_of(scan: Path) -> str:
    """Return the name of an image without its ending: ``dwi`` of ``dwi.nii.gz``."""
    return stem_of_name(scan.name)


def _first(there: Mapping[str, Path], wanted: Sequence[str]) -> Path | None:
    folded = {name.lower(): path for name, path in there.items()}
    for name in wanted:
        for found in (there.get(name), folded.get(name.lower())):
            if found is not None and _is_file(found):
                return found
    return None


def _inherited(scan: Path, kind: str, look: Callable[[Path], Sequence[Path]]) -> Iterator[Path]:
    """Yield the files that a scan inherits in BIDS: nearest folder, then most entities."""
    folder = scan.absolute().parent
    levels = [folder, *folder.parents]
    root = next((n for n, at in enumerate(levels) if _is_file(at / _DATA_SET)), None)
    if root is None:
        return
    *entities, suffix = stem_of(scan).split("_")
    for at in levels[: root + 1]:
        # Names first: the root of a data set may contain thousands of folders.
        fitting = [
            path
            for path in look(at)
            if path.suffix == f".{kind}"
            and path.stem.split("_")[-1] == suffix
            and set(path.stem.split("_")[:-1]) <= set(entities)
            and _is_file(path)
        ]
        yield from sorted(fitting, key=lambda path: path.stem.count("_"), reverse=True)


def _table_of(
    rows: Sequence[Sequence[float]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return directions and b-values of a gradient table; None if it is not one."""
    if len(rows) < 2 or {len(row) for row in rows} != {4}:
        return None
    table = np.array(rows)
    for vectors, b in ((table[:, :3], table[:, 3]), (table[:, 1:], table[:, 0])):
        with np.errstate(over="ignore", invalid="ignore"):
            short = np.sqrt((vectors**2).sum(axis=1)) <= _MAX_DIRECTION_LENGTH
        if short.all() and np.all(b >= 0) and vectors.any() and b.max() > _MAX_DIRECTION_LENGTH:
            return vectors, b
    return None


def _are_directions(rows: Sequence[Sequence[float]]) -> bool:
    return len({len(row) for row in rows}) == 1 and bool(
        np.abs(np.array(rows)).max() <= _MAX_DIRECTION_LENGTH
    )


def _read_rows(path: Path) -> list[list[float]]:
    """Return the numbers of each line that is not blank; lines that begin with # are comments."""
    rows = []
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        _refuse_decimal_commas(path, number, line)
        words = [word for word in _SEPARATORS.split(line) if word]
        if words:
            rows.append([_number(path, number, word) for word in words])
    if not rows:
        raise FileFormatError(f"{path} is empty; expected one number per volume")
    return rows


def text_of(
    path: Path, expected: str = "numbers", give: str = "Give a .bval or .bvec file"
) -> str:
    """Return the text of a file, in UTF-8, UTF-16 (as PowerShell writes it) or cp1252.

    Parameters
    ----------
    path : Path
        The file.
    expected, give : str
        What it should contain and what to do, for messages.

    Raises
    ------
    FileFormatError
        If it cannot be read, or is not a text file.
    """
    at_hand(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"cannot read {path}: {reason_of(error)}; expected a text file of {expected}"
        ) from None
    if len(data) > _MAX_BYTES:
        raise FileFormatError(
            f"{path} is larger than {_MAX_BYTES >> 20} MiB; expected a text file of "
            f"{expected}. {give}"
        )
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _CONTROL.search(text):
            return text
    raise FileFormatError(f"{path} is not a text file; expected {expected}. {give}")


def _encodings(data: bytes) -> list[str]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ["utf-16"]
    # Digits and blanks in UTF-16 without a byte order mark: every second byte is 0.
    if len(data) >= 2 and len(data) % 2 == 0:
        if not any(data[1::2]):
            return ["utf-16-le"]
        if not any(data[::2]):
            return ["utf-16-be"]
    return ["utf-8-sig", "cp1252"]


def _refuse_decimal_commas(path: Path, line: int, text: str) -> None:
    words = [word for word in re.split(r"[\s;]+", text) if word]
    commas = [word for word in words if _DECIMAL_COMMA.fullmatch(word)]
    whole = sum(word.isdigit() for word in words)
    if commas and len(words) > 1 and len(commas) + whole == len(words):
        raise FileFormatError(
            f"{path}, line {line}: {commas[0]!r} has a decimal comma; expected numbers with a "
            "decimal point, like 10.5. Replace the commas by points"
        )


def _number(path: Path, line: int, word: str) -> float:
    if not _NUMBER.fullmatch(word):
        raise FileFormatError(
            f"{path}, line {line}: {word[:40]!r} is not a number; expected numbers separated by "
            "blanks, tabs or commas. Correct the file"
        )
    return float(word)
