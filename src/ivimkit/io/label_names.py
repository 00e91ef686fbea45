"""Names of regions: tables, JSON, ITK-SNAP and FreeSurfer, told apart by what they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ivimkit.errors import FileFormatError
from ivimkit.io.scan import AnyPath

__all__ = ["load_label_names"]

_ITK_SNAP = re.compile(r'\s*(\d+)(?:\s+[\d.]+){6}\s+"(.*)"\s*')
_COLOUR_TABLE = re.compile(r"\s*(\d+)\s+(\S+)(?:\s+\d+){3,4}\s*")
_PLAIN = re.compile(r"\s*(\d+)\s+(\S.*?)\s*")
_NUMBER_HEADS = ("index", "label", "id", "value", "number", "no", "no.", "idx", "labelvalue")
_NAME_HEADS = ("name", "label_name", "labelname", "region", "structure", "tissue", "label")
_KINDS = (
    "a table with a column of numbers and one of names (CSV, TSV), JSON like "
    '{"1": "liver"}, an ITK-SNAP label description or a FreeSurfer colour table'
)


def load_label_names(path: AnyPath) -> dict[int, str]:
    r"""Load the names of regions from a file; its kind is seen from its content.

    Parameters
    ----------
    path : path
        A CSV or TSV table (with heads such as ``index`` and ``name``, as the dseg.tsv of BIDS has
        them, or with a number and a name in each line), JSON (numbers to names, names to
        numbers, or a list of objects with both; also below the key ``labels``), the label
        description of ITK-SNAP, or a colour table of FreeSurfer.

    Returns
    -------
    dict of int to str
        Number to name, without 0.

    Raises
    ------
    FileFormatError
        If the file is missing, of none of these kinds, or names a region twice.

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
    file = Path(path)
    text = _text(file)
    pairs = _from_json(file, text) if text.lstrip()[:1] in ("{", "[") else _from_lines(file, text)
    names: dict[int, str] = {}
    for number, name in pairs:
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
    return (int(number), str(text)) if _is_number(number) and text is not None else None


def _value_of(entry: Any, heads: Iterable[str]) -> Any:
    if not isinstance(entry, Mapping):
        return None
    known = {str(key).lower(): value for key, value in entry.items()}
    return next((known[head] for head in heads if head in known), None)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal())


def _from_lines(file: Path, text: str) -> list[tuple[int, str]]:
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    for pattern in (_ITK_SNAP, _COLOUR_TABLE):
        found = [pattern.fullmatch(line) for line in lines]
        if lines and all(found):
            return [(int(match[1]), match[2]) for match in found if match]
    if any(separator in line for line in lines[:1] for separator in "\t,;"):
        return _from_table(file, lines)
    found = [_PLAIN.fullmatch(line) for line in lines]
    if not lines or not all(found):
        raise _unknown(file, "its lines are of no known kind")
    return [(int(match[1]), match[2]) for match in found if match]


def _from_table(file: Path, lines: list[str]) -> list[tuple[int, str]]:
    # Imported here: it takes a fifth of a second, and few scans come with a table of names.
    import pandas as pd

    separator = next(sign for sign in "\t;," if sign in lines[0])
    first = [cell.strip().strip('"').lower() for cell in lines[0].split(separator)]
    headless = any(cell.isdecimal() for cell in first)
    try:
        table = pd.read_csv(
            StringIO("\n".join(lines)),
            sep=separator,
            header=None if headless else 0,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise _unknown(file, str(error).strip()) from None
    heads: list[Any] = list(range(len(table.columns))) if headless else first
    table.columns = pd.Index(heads)
    number = next((head for head in (*_NUMBER_HEADS, 0) if _whole(table, head)), None)
    name = next((head for head in (*_NAME_HEADS, 1) if head in heads and head != number), None)
    if number is None or name is None:
        raise _unknown(file, f"its columns are {', '.join(map(str, heads))}")
    return [
        (int(value), str(text).strip())
        for value, text in zip(table[number], table[name], strict=True)
    ]


def _whole(table: Any, head: Any) -> bool:
    """Return whether a table has such a column, with a whole number in each row."""
    return head in table.columns and bool(table[head].str.strip().str.isdecimal().all())


def _unknown(file: Path, why: str) -> FileFormatError:
    return FileFormatError(
        f"{file} does not hold names of regions ({why}); expected {_KINDS}. Convert it"
    )
