"""find_in_table: the scans of a cohort from a plain table of paths, instead of BIDS."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from ivimkit.addresses import is_address, public
from ivimkit.cohort.entities import NAMES, label_of, short_name
from ivimkit.cohort.subjects import SIGMA, Found, Subject, check_distinct
from ivimkit.errors import FileFormatError, InputError, OptionError
from ivimkit.io.gradient_files import beside, sidecars_of, text_of
from ivimkit.io.table_cells import unguarded
from ivimkit.io.untrusted_files import untrusted
from ivimkit.scan import masks
from ivimkit.writing import full_path

__all__ = ["find_in_table", "is_path_table"]

_PATHS = ("scan", "bval", "bvec", "variables", "mask", "labels", SIGMA)
_FIXED = "fix_"
_IDS = {"participant_id": "sub", "session_id": "ses"}
_EMPTY = ("", "n/a", "nan", "none")
_KIND = "a table with a header and one scan per row"
_GIVE = "Give columns participant_id and scan, and others as needed"


def is_path_table(path: Path) -> bool:
    """Return whether a path is that of a table, not of a data set."""
    return path.suffix.lower() in (".tsv", ".csv")


def find_in_table(path: Path, *, mask: str | None = None) -> Found:
    r"""Read the scans of a cohort from a table.

    Parameters
    ----------
    path : Path
        TSV or CSV with the columns ``participant_id`` and ``scan``, and as needed ``session_id``,
        ``acquisition``, ``run`` or other entities, ``bval``, ``bvec``, ``variables``, ``mask``,
        ``labels``, ``sigma`` (a map of the noise) and ``fix_D`` (a map that fixes D). Paths are
        relative to the folder of the table. Without a column ``bval`` or ``bvec`` these files are
        those next to the scan.
    mask : str, optional
        ``auto``, ``auto:body`` or ``auto:brain``, for scans without a mask in the table.

    Returns
    -------
    Found

    Raises
    ------
    InputError
        If it is not such a table, or a file does not exist.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ivimkit.cohort import find_in_table
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.nii.gz", "a.bval"):
    ...     (folder / name).touch()
    >>> _ = (folder / "paths.tsv").write_text("participant_id\tscan\n7\ta.nii.gz\n")
    >>> [subject.name for subject in find_in_table(folder / "paths.tsv").subjects]
    ['sub-7']
    """
    if mask is not None and masks.kind_of(mask) is None:
        raise OptionError(
            f"--mask is {mask!r} with a table of paths; expected auto, auto:body or auto:brain. "
            "Name mask files in a column mask of the table"
        )
    # Workers may run in another folder.
    path = full_path(path)
    rows = _rows(path)
    subjects = [_subject(path, line, row, mask) for line, row in rows]
    check_distinct(subjects)
    return Found(tuple(subjects), (), path)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    text = text_of(path, _KIND, _GIVE)
    separator = "\t" if "\t" in text.partition("\n")[0] else ","
    with untrusted(lambda why: FileFormatError(f"{path}: {why}; expected {_KIND}. {_GIVE}")):
        lines = list(csv.reader(text.splitlines(), delimiter=separator, strict=True))
    numbered = [(k, cells) for k, cells in enumerate(lines, start=1) if any(map(str.strip, cells))]
    if len(numbered) < 2:
        raise FileFormatError(f"{path} has no rows; expected {_KIND}. {_GIVE}")
    (_, heads), *rest = numbered
    names = [_column(path, head.strip()) for head in heads]
    for name in ("sub", "scan"):
        if name not in names:
            column = "participant_id" if name == "sub" else name
            raise FileFormatError(f"{path} has no column {column}; expected {_KIND}. {_GIVE}")
    if len(set(names)) < len(names):
        raise FileFormatError(f"{path} has two columns of one name; expected one. Delete one")
    found = []
    for line, cells in rest:
        if len(cells) != len(names):
            raise FileFormatError(
                f"{path}, line {line}: {len(cells)} cells, and the header has {len(names)}; "
                "expected one for each column. Correct the file"
            )
        row = {name: unguarded(cell.strip()) for name, cell in zip(names, cells, strict=True)}
        found.append((line, {k: v for k, v in row.items() if v.lower() not in _EMPTY}))
    return found


def _column(path: Path, head: str) -> str:
    if head in _PATHS or head.startswith(_FIXED):
        return head
    if head in _IDS:
        return _IDS[head]
    try:
        return short_name(head)
    except OptionError:
        known = ", ".join((*_IDS, *_PATHS, *list(NAMES.values())[2:]))
        raise FileFormatError(
            f"{path} has a column {head!r:.60}; expected some of {known}. Rename or delete it"
        ) from None


def _subject(path: Path, line: int, row: Mapping[str, str], mask: str | None) -> Subject:
    paths = [name for name in row if name in _PATHS or name.startswith(_FIXED)]
    files = {name: _file(path, line, row[name]) for name in paths}
    if "scan" not in files or "sub" not in row:
        raise FileFormatError(
            f"{path}, line {line}: there is no participant_id or no scan; expected both. {_GIVE}"
        )
    try:
        entities = {name: label_of(row[name], name) for name in NAMES if name in row}
    except InputError as error:
        raise OptionError(f"{path}, line {line}: {error}") from None
    scan = files["scan"]
    drawn = files.get("mask")
    return Subject(
        entities=entities,
        scan=scan,
        bval=files.get("bval") or beside(scan, "bval"),
        bvec=files.get("bvec") or beside(scan, "bvec"),
        variables=files.get("variables"),
        sidecars=sidecars_of(scan),
        mask=mask if drawn is None else str(drawn),
        labels=files.get("labels"),
        maps={
            name.removeprefix(_FIXED): file
            for name, file in files.items()
            if name == SIGMA or name.startswith(_FIXED)
        },
    )


def _file(path: Path, line: int, name: str) -> Path:
    if is_address(name):
        raise FileFormatError(
            f"{path}, line {line}: {public(name)} is an address, and a cohort is read from files "
            "on a disk that all processes see, as each is compared with what was fitted before; "
            "expected a path. Copy the files there first, or fit single scans with ivimkit fit"
        )
    file = path.parent / Path(name).expanduser()
    if not file.is_file():
        raise FileFormatError(
            f"{path}, line {line}: there is no file {file}; expected one. Correct the path, which "
            "is relative to the folder of the table"
        )
    return file
