"""Names of regions: tables, JSON, ITK-SNAP and FreeSurfer, distinguished by their content."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ivimkit.errors import FileFormatError
from ivimkit.io.remote_copies import at_hand, local_path
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.table_cells import escaped
from ivimkit.io.untrusted_files import untrusted

__all__ = ["load_label_names"]

# For lines without trailing blanks, which make a search take quadratic time.
_ITK_SNAP = re.compile(r'(\d+)(?:\s+[\d.]+){6}\s+"(.*)"')
_COLOUR_TABLE = re.compile(r"(\d+)\s+(\S+)(?:\s+\d+){3,4}")
_PLAIN = re.compile(r"(\d+)\s+(\S.*)")
# The highest number that a label image can hold, see `Labels`.
_HIGHEST = 2**31 - 1
_NUMBER_HEADS = ("index", "label", "id", "value", "number", "no", "no.", "idx", "labelvalue")
_NAME_HEADS = ("name", "label_name", "labelname", "region", "structure", "tissue", "label")
_KINDS = (
    "a table with a column of numbers and one of names (CSV, TSV), JSON like "
    '{"1": "liver"}, an ITK-SNAP label description or a FreeSurfer colour table'
)


def load_label_names(path: AnyPath) -> dict[int, str]:
    r"""Load the names of regions from a file; its format is detected from the content.

    Parameters
    ----------
    path : path
        A CSV or TSV table (with column names such as ``index`` and ``name``, as in dseg.tsv of
        BIDS, or with a number and a name in each line), JSON (numbers to names, names to numbers,
        or a list of objects with both; also under the key ``labels``), an ITK-SNAP label
        description, or a FreeSurfer colour table.

    Returns
    -------
    dict of int to str
        Names by number, without 0.

    Raises
    ------
    FileFormatError
        If the file is missing, has none of these formats, names a region twice, or has a number
        that no image can contain or a name that is not text.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ivimkit.io import load_label_names
    >>> path = Path(tempfile.mkdtemp()) / "labels_dseg.tsv"
    >>> _ = path.write_text("index\tname\n1\tliver\n2\tlesion\n")
    >>> load_label_names(path)
    {1: 'liver', 2: 'lesion'}
    """
    file = at_hand(local_path(path))
    with untrusted(lambda why: _unknown(file, why)):
        text = _text(file)
        json_like = text.lstrip()[:1] in ("{", "[")
        pairs = _from_json(file, text) if json_like else _from_lines(file, text)
    names: dict[int, str] = {}
    for number, name in pairs:
        if escaped(name) != name:
            raise _unknown(file, f"the name of region {number} is not text: {escaped(name)!r}")
        if names.setdefault(number, name) != name:
            raise FileFormatError(
                f"{file} names region {number} twice, {names[number]} and {name}; expected one "
                "name. Delete one of them"
            )
    names.pop(0, None)
    if not names:
        raise _unknown(file, "it names no region other than 0")
    return names


def _text(file: Path) -> str:
    if not file.is_file():
        raise FileFormatError(
            f"there is no file {file}; expected names of regions. Check the path"
        )
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _unknown(file, f"it cannot be read as text: {error}") from None


def _from_json(file: Path, text: str) -> list[tuple[int, str]]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise _unknown(file, f"it is damaged JSON: {error}") from None
    if isinstance(content, dict) and isinstance(content.get("labels"), dict | list):
        content = content["labels"]
    if isinstance(content, list):
        content = {str(_value_of(entry, _NUMBER_HEADS)): entry for entry in content}
    found = [_json_pair(key, value) for key, value in content.items()]
    pairs = [pair for pair in found if pair is not None]
    if len(pairs) != len(found):
        raise _unknown(file, "its JSON has entries without a whole number or without a name")
    return pairs


def _json_pair(key: str, value: Any) -> tuple[int, str] | None:
    """Return number and name of an entry, whichever of them is the key."""
    name = _value_of(value, _NAME_HEADS) if isinstance(value, dict) else value
    number, text = (key, name) if _is_number(key) else (name, key)
    return (_int(number), str(text)) if _is_number(number) and text is not None else None


def _value_of(entry: Any, heads: Iterable[str]) -> Any:
    if not isinstance(entry, Mapping):
        return None
    known = {str(key).lower(): value for key, value in entry.items()}
    return next((known[head] for head in heads if head in known), None)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal())


def _int(number: int | str) -> int:
    """Return a number that a label image can hold."""
    # Check the length first: Python refuses to convert thousands of digits.
    if isinstance(number, str) and len(number.strip().lstrip("0")) > len(str(_HIGHEST)):
        raise ValueError(f"a number has {len(number.strip())} digits")
    value = int(number)
    if abs(value) > _HIGHEST:
        raise ValueError(f"it names region {value:.6g}; the highest possible is {_HIGHEST}")
    return value


def _from_lines(file: Path, text: str) -> list[tuple[int, str]]:
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    stripped = [line.strip() for line in lines]
    for pattern in (_ITK_SNAP, _COLOUR_TABLE):
        found = [pattern.fullmatch(line) for line in stripped]
        if lines and all(found):
            return [(_int(match[1]), match[2]) for match in found if match]
    if any(separator in line for line in lines[:1] for separator in "\t,;"):
        return _from_table(file, lines)
    found = [_PLAIN.fullmatch(line) for line in stripped]
    if not lines or not all(found):
        raise _unknown(file, "its lines have no known format")
    return [(_int(match[1]), match[2]) for match in found if match]


def _from_table(file: Path, lines: list[str]) -> list[tuple[int, str]]:
    separator = next(sign for sign in "\t;," if sign in lines[0])
    rows = [_cells(row) for row in csv.reader(lines, delimiter=separator, skipinitialspace=True)]
    first = [cell.lower() for cell in rows[0]]
    headless = any(cell.isdecimal() for cell in first)
    heads: list[Any] = list(range(len(first))) if headless else first
    body = rows if headless else rows[1:]
    for row in body:
        if len(row) > len(heads):
            raise _unknown(file, f"it has {len(heads)} columns, and a row of {len(row)}")
    number = next((head for head in (*_NUMBER_HEADS, 0) if _whole(body, heads, head)), None)
    name = next((head for head in (*_NAME_HEADS, 1) if head in heads and head != number), None)
    if number is None or name is None:
        raise _unknown(file, f"its columns are {', '.join(map(str, heads))[:200]}")
    return [(_int(_cell(row, heads, number)), _cell(row, heads, name)) for row in body]


def _cells(row: list[str]) -> list[str]:
    """Return the cells of a row, without an empty one after a trailing separator."""
    cells = [cell.strip() for cell in row]
    while len(cells) > 2 and not cells[-1]:
        cells.pop()
    return cells


def _cell(row: list[str], heads: list[Any], head: Any) -> str:
    place = heads.index(head)
    return row[place] if place < len(row) else ""


def _whole(rows: list[list[str]], heads: list[Any], head: Any) -> bool:
    """Return whether a table has such a column, with a whole number in each row."""
    return head in heads and all(_cell(row, heads, head).isdecimal() for row in rows)


def _unknown(file: Path, why: str) -> FileFormatError:
    return FileFormatError(
        f"{file} does not contain names of regions ({why}); expected {_KINDS}. Convert it"
    )
