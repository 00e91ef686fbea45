"""b-value and direction files: FSL text files, in rows or in columns."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import FileFormatError

__all__ = ["beside", "read_bvals", "read_bvecs", "write_bvals", "write_bvecs"]

_SEPARATORS = re.compile(r"[\s,;]+")
_NUMBER = re.compile(
    r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf(inity)?)", re.IGNORECASE
)
_IMAGE_SUFFIXES = re.compile(r"\.(nii|hdr|img)(\.(gz|bz2|zst))?$", re.IGNORECASE)


def read_bvals(path: Path) -> NDArray[np.float64]:
    """Read a b-value file: one row or one column of numbers.

    Parameters
    ----------
    path : Path
        Text file; numbers are separated by blanks, tabs, commas or line ends.

    Returns
    -------
    ndarray, shape (n,)
        The numbers, as they are in the file.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is neither a row nor a column of numbers.
    """
    rows = _read_rows(path)
    if len(rows) > 1 and any(len(row) > 1 for row in rows):
        sizes = sorted({len(row) for row in rows})
        hint = " It looks like a direction file (.bvec)." if len(rows) == 3 else ""
        raise FileFormatError(
            f"{path} has {len(rows)} lines of {sizes[0]} to {sizes[-1]} numbers; expected one "
            f"line, or one number per line.{hint} Give a file with the b-values only"
        )
    return np.array([number for row in rows for number in row])


def read_bvecs(path: Path) -> NDArray[np.float64]:
    """Read a direction file: three rows (FSL) or three columns.

    Parameters
    ----------
    path : Path
        Text file; numbers are separated by blanks, tabs or commas.

    Returns
    -------
    ndarray, shape (n, 3)
        One direction per volume.

    Raises
    ------
    FileFormatError
        If there is no such file, or it is neither three rows nor three columns of numbers.
    """
    rows = _read_rows(path)
    sizes = {len(row) for row in rows}
    if len(rows) == 3 and len(sizes) == 1:
        return np.array(rows).T
    if sizes == {3}:
        return np.array(rows)
    raise FileFormatError(
        f"{path} has {len(rows)} lines of {min(sizes)} to {max(sizes)} numbers; expected three "
        "lines of one number per volume (FSL), or one line of three numbers per volume"
    )


def write_bvals(path: Path, bvals: NDArray[np.float64]) -> None:
    """Write b-values in one row, as FSL does."""
    path.write_text(" ".join(f"{b:.10g}" for b in bvals) + "\n", encoding="utf-8")


def write_bvecs(path: Path, bvecs: NDArray[np.float64]) -> None:
    """Write directions, shape (n, 3), in three rows, as FSL does."""
    lines = [" ".join(f"{value:.10g}" for value in axis) for axis in bvecs.T]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def beside(scan: Path, kind: str) -> Path | None:
    """Find the file that belongs to a scan by its name.

    Parameters
    ----------
    scan : Path
        The image, e.g. ``dwi.nii.gz``.
    kind : {"bval", "bvec"}
        Which file.

    Returns
    -------
    Path or None
        ``dwi.bval`` or ``dwi.bvals``, in any case of letters; ``bval`` or ``bvals`` if the scan
        is called ``data``, as in FSL. None if there is none.
    """
    stem = _IMAGE_SUFFIXES.sub("", scan.name)
    wanted = [f"{stem}.{kind}", f"{stem}.{kind}s"]
    if stem.lower() == "data":
        wanted += [kind, f"{kind}s"]
    there = {path.name: path for path in sorted(scan.parent.iterdir()) if path.is_file()}
    folded = {name.lower(): path for name, path in there.items()}
    for name in wanted:
        found = there.get(name) or folded.get(name.lower())
        if found is not None:
            return found
    return None


def _read_rows(path: Path) -> list[list[float]]:
    """Return the numbers of each line that is not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FileFormatError(
            f"{path} is not a text file; expected numbers. Give a .bval or .bvec file"
        ) from None
    except OSError as error:
        raise FileFormatError(
            f"cannot read {path}: {error.strerror}; expected a text file of numbers"
        ) from None
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = [word for word in _SEPARATORS.split(line) if word]
        if words:
            rows.append([_number(path, number, word) for word in words])
    if not rows:
        raise FileFormatError(f"{path} is empty; expected one number per volume")
    return rows


def _number(path: Path, line: int, word: str) -> float:
    if not _NUMBER.fullmatch(word):
        raise FileFormatError(
            f"{path}, line {line}: {word[:40]!r} is not a number; expected numbers separated by "
            "blanks, tabs or commas. Correct the file"
        )
    return float(word)
