"""Tables as files: CSV, TSV, JSON and Excel, told apart by their ending."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ivimkit.errors import FileFormatError, OptionError
from ivimkit.io.folder import absolute
from ivimkit.io.record import plain
from ivimkit.io.scan import AnyPath
from ivimkit.letters import readable
from ivimkit.writing import check_file, finish, write_folder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_tables", "load_table", "save_tables"]

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_ENDINGS = (*_SEPARATORS, ".json", ".xlsx")
# Columns that are names, even where they look like numbers: subject 001 is not 1.
_WORDS = ("subject", "session", "scan", "region", "map", "unit")


def save_tables(
    tables: Mapping[str, pd.DataFrame], path: AnyPath, *, overwrite: bool = False
) -> list[Path]:
    """Save tables: all at once, complete, or not at all.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        By name. An Excel file gets a sheet and a JSON file a list for each. CSV and TSV hold one
        table: the first has the name that is asked for, ``table.csv``, and the others theirs
        added, ``table_NAME.csv``. Indices become columns.
    path : path
        A name that ends in ``.csv``, ``.tsv``, ``.json`` or ``.xlsx``.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OptionError
        If the ending is none of these, or Excel is asked for and openpyxl is not installed.
    OutputExistsError
        If a file is there and overwriting was not asked for.
    InputError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> from pathlib import Path
    >>> from ivimkit.io import load_table, save_tables
    >>> path = Path(tempfile.mkdtemp()) / "table.csv"
    >>> _ = save_tables({"maps": pd.DataFrame({"region": ["liver"], "mean": [1e-3]})}, path)
    >>> load_table(path)["mean"].tolist()
    [0.001]
    """
    check_tables(tables, path, overwrite=overwrite)
    target = absolute(path)
    names = _file_names(list(tables), target)
    files = list(dict.fromkeys(names.values()))
    write_folder(target.parent, files, partial(_write, dict(tables), names))
    return [target.parent / name for name in files]


def check_tables(
    names: Sequence[str] | Mapping[str, Any], path: AnyPath, *, overwrite: bool
) -> None:
    """Refuse, before the work, what `save_tables` would refuse.

    Parameters
    ----------
    names : sequence of str
        Names of the tables.
    path : path
        Where they are to be saved.
    overwrite : bool
        Whether existing files may be replaced.

    Raises
    ------
    OptionError
        If the ending is not known, or Excel is asked for and openpyxl is not installed.
    OutputExistsError
        If a file is there and overwriting was not asked for.
    """
    target = absolute(path)
    if _ending(target) == ".xlsx":
        _need_openpyxl()
    wanted = [target.parent / name for name in _file_names(list(names), target).values()]
    finish(target.parent)
    for path in wanted:
        check_file(path, overwrite=overwrite)


def load_table(path: AnyPath) -> pd.DataFrame:
    """Load a table that `save_tables` has saved, or another one of the same form.

    Parameters
    ----------
    path : path
        A file that ends in ``.csv``, ``.tsv``, ``.json`` or ``.xlsx``; of several tables in it,
        the first.

    Returns
    -------
    pandas.DataFrame
        Names of subjects, sessions, regions and maps are texts.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or no table.
    OptionError
        If the ending is none of these, or it is Excel and openpyxl is not installed.
    """
    import pandas as pd

    file = Path(path)
    finish(file.parent)
    ending = _ending(file)
    if not file.is_file():
        raise FileFormatError(f"there is no file {file}; expected a table. Check the path")
    words: Any = dict.fromkeys(_WORDS, str)
    known: dict[str, Any] = {"keep_default_na": False, "na_values": ["", "NaN", "nan"]}
    try:
        if ending == ".json":
            table = pd.DataFrame(_records(json.loads(file.read_text(encoding="utf-8-sig"))))
            named = [name for name in _WORDS if name in table.columns]
            table[named] = table[named].map(str)
        elif ending == ".xlsx":
            _need_openpyxl()
            table = pd.read_excel(file, dtype=words, **known)
        else:
            separator = _SEPARATORS[ending]
            table = pd.read_csv(file, sep=separator, dtype=words, encoding="utf-8-sig", **known)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile, pd.errors.ParserError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileFormatError(
            f"{file} is damaged, or not what its name says ({reason}); expected a table in "
            f"{ending}. Save it again"
        ) from None
    if table.empty:
        raise FileFormatError(f"{file} has no rows; expected a table. Save it again")
    return table


def _records(content: Any) -> list[dict[str, Any]]:
    """Return the rows of the first table of a JSON file."""
    rows = next(iter(content.values()), None) if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no list of rows")
    return rows


def _ending(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise OptionError(
            f"{path} is the name of a table; expected one that ends in {', '.join(_ENDINGS)}. "
            "Name it so"
        )
    return ending


def _need_openpyxl() -> None:
    try:
        import_module("openpyxl")
    except ImportError:
        raise OptionError(
            "openpyxl is needed for tables in Excel; expected it to be installed. Install it "
            "(pip install 'ivimkit[excel]'), or name a .csv file"
        ) from None


def _file_names(tables: Sequence[str], target: Path) -> dict[str, str]:
    """Return the file of each table, one for all where the format allows it."""
    if _ending(target) not in _SEPARATORS:
        return dict.fromkeys(tables, target.name)
    others = {name: f"{target.stem}_{name}{target.suffix}" for name in tables[1:]}
    return {tables[0]: target.name, **others}


def _write(tables: Mapping[str, pd.DataFrame], names: Mapping[str, str], folder: Path) -> None:
    flat = {name: _flat(table) for name, table in tables.items()}
    first = folder / next(iter(names.values()))
    ending = _ending(first)
    if ending == ".json":
        rows = {name: table.to_dict("records") for name, table in flat.items()}
        # JSON has no NaN.
        content = plain(rows, lambda _: None)
        text = readable(json.dumps(content, indent=1, ensure_ascii=False))
        first.write_text(text + "\n", "utf-8")
        return
    if ending == ".xlsx":
        import pandas as pd

        # In memory first: a zip file that a full disk cuts short complains once more when it goes.
        file = io.BytesIO()
        with pd.ExcelWriter(file, engine="openpyxl") as book:
            for name, table in flat.items():
                table.map(_readable).to_excel(book, sheet_name=name, index=False)
        first.write_bytes(file.getvalue())
        return
    for name, table in flat.items():
        text = table.to_csv(sep=_SEPARATORS[ending], index=False)
        (folder / names[name]).write_bytes(readable(text).encode("utf-8"))


def _readable(value: Any) -> Any:
    return readable(value) if isinstance(value, str) else value


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    named = any(name is not None for name in table.index.names)
    return table.reset_index() if named else table
