"""Tables as files: CSV, TSV, JSON, Excel and Parquet, by file extension."""

from __future__ import annotations

import io
import json
import math
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ivimkit.errors import FileFormatError, OptionError
from ivimkit.io.json_text import plain
from ivimkit.io.remote_copies import at_hand, local_path
from ivimkit.io.result_folder import absolute
from ivimkit.io.scan_files import AnyPath
from ivimkit.io.table_cells import escaped, guarded, unguarded, with_texts
from ivimkit.io.untrusted_files import reason_of, untrusted
from ivimkit.writing import check_file, finish, write_folder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_tables", "csv_of", "exact_numbers", "load_table", "save_tables"]

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_ENDINGS = (*_SEPARATORS, ".json", ".xlsx", ".parquet")
# Formats of one table, so that each further one gets a file.
_SINGLE = (*_SEPARATORS, ".parquet")
# Columns of names, even if they look like numbers: subject 001 is not 1.
_EMPTY_CELLS = ["", "NaN", "nan"]
# A workbook of a kilobyte can claim more cells, or more bytes, than there is memory for.
_MAX_CELLS = 1 << 22
_MAX_BYTES = 1 << 28
_WORDS = ("subject", "session", "scan", "region", "map", "unit")


def save_tables(
    tables: Mapping[str, pd.DataFrame], path: AnyPath, *, overwrite: bool = False
) -> list[Path]:
    r"""Save tables: all at once, complete, or not at all.

    Texts stay texts in every spreadsheet: a name that begins like a formula (``=``, ``+``, ``-``,
    ``@``) is marked as a text in Excel and gets a leading apostrophe in CSV and TSV, which
    `load_table` removes. Control characters are written out, as ``\x07``.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        By name. An Excel file gets a sheet and a JSON file a list for each. CSV, TSV and Parquet
        contain one table: the first gets the given name, ``table.csv``, the others
        ``table_NAME.csv``. Indices become columns.
    path : path
        A name ending in ``.csv``, ``.tsv``, ``.json``, ``.xlsx`` or ``.parquet``.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OptionError
        If the extension is not one of these, or openpyxl (Excel) or pyarrow (Parquet) is not
        installed.
    OutputExistsError
        If a file exists and overwriting was not asked for.
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
    """Raise the errors of `save_tables` before the work.

    Parameters
    ----------
    names : sequence of str
        Names of the tables.
    path : path
        Where they will be saved.
    overwrite : bool
        Whether existing files may be replaced.

    Raises
    ------
    OptionError
        If the extension is unknown, or openpyxl (Excel) or pyarrow (Parquet) is not installed.
    OutputExistsError
        If a file exists and overwriting was not asked for.
    """
    target = absolute(path)
    _need_library(_ending(target))
    wanted = [target.parent / name for name in _file_names(list(names), target).values()]
    finish(target.parent)
    for path in wanted:
        check_file(path, overwrite=overwrite)


def load_table(path: AnyPath) -> pd.DataFrame:
    """Load a table saved by `save_tables`, or another one of the same form.

    Parameters
    ----------
    path : path
        A file that ends in ``.csv``, ``.tsv``, ``.json``, ``.xlsx`` or ``.parquet``; if it
        contains several tables, the first.

    Returns
    -------
    pandas.DataFrame
        Names of subjects, sessions, regions and maps are texts.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or not a table.
    OptionError
        If the extension is not one of these, or openpyxl (Excel) or pyarrow (Parquet) is not
        installed.
    """
    file = at_hand(local_path(path))
    finish(file.parent)
    ending = _ending(file)
    try:
        there = file.is_file()
        if there:
            file.open("rb").close()
    except OSError as error:
        raise FileFormatError(
            f"{file} cannot be read ({reason_of(error)}); expected a table. Check path and rights"
        ) from None
    if not there:
        raise FileFormatError(f"there is no file {file}; expected a table. Check the path")
    _need_library(ending)
    with untrusted(lambda why: _damaged(file, ending, why)), _without_warnings():
        table = _READERS[ending](file)
    if table.empty:
        raise FileFormatError(f"{file} has no rows; expected a table. Save it again")
    return table


def csv_of(table: pd.DataFrame, separator: str = ",") -> str:
    """Return a table as the text of a CSV file, its index as columns.

    Parameters
    ----------
    table : pandas.DataFrame
        The table. A text that begins like a formula gets a leading apostrophe.
    separator : str
        Separator of the cells.

    Returns
    -------
    str

    Examples
    --------
    >>> import pandas as pd
    >>> from ivimkit.io import csv_of
    >>> print(csv_of(pd.DataFrame({"region": ["=1+1"], "n": [-3]})), end="")
    region,n
    '=1+1,-3
    """
    texts = with_texts(_flat(table), lambda text: guarded(escaped(text)))
    made: str = texts.to_csv(sep=separator, index=False)
    return made


def write_table(path: Path, name: str, table: pd.DataFrame) -> None:
    """Write a table directly, in the format of the extension; `name` is that of its JSON list."""
    _write({name: table}, {name: path.name}, path.parent)


def write_csv(path: Path, table: pd.DataFrame, separator: str = ",") -> None:
    """Write a table in the form of `csv_of`, directly."""
    path.write_text(csv_of(table, separator), encoding="utf-8", newline="")


@contextmanager
def _without_warnings() -> Iterator[None]:
    # From openpyxl about styles, from pandas about mixed columns: the numbers are not affected.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _damaged(file: Path, ending: str, why: str) -> FileFormatError:
    return FileFormatError(
        f"{file} is damaged, or is not what its name says ({why}); expected a table in {ending}. "
        "Save it again"
    )


def exact_numbers() -> dict[str, Any]:
    """Return what makes pandas read numbers to the last digit, as it does from version 3 on."""
    import pandas as pd

    return {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}


def _read_text(file: Path, separator: str) -> pd.DataFrame:
    import pandas as pd

    # pandas would shift the columns of rows longer than the header, or cut the rows.
    warnings.simplefilter("error", pd.errors.ParserWarning)
    try:
        table = pd.read_csv(
            file,
            sep=separator,
            dtype=_words(),
            encoding="utf-8-sig",
            keep_default_na=False,
            na_values=_EMPTY_CELLS,
            index_col=False,
            low_memory=False,
            **exact_numbers(),
        )
    except pd.errors.ParserWarning:
        raise ValueError("it has rows with more cells than the header") from None
    return with_texts(table, unguarded)


def _read_json(file: Path) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(_records(json.loads(file.read_text(encoding="utf-8-sig"))))
    named = [name for name in _WORDS if name in table.columns]
    table[named] = table[named].map(str)
    return table


def _read_excel(file: Path) -> pd.DataFrame:
    import pandas as pd

    # openpyxl leaves files open that are damaged, or that are not read to their end.
    with file.open("rb") as content:
        _check_extent(content)
        content.seek(0)
        table: pd.DataFrame = pd.read_excel(
            content,
            dtype=_words(),
            keep_default_na=False,
            na_values=_EMPTY_CELLS,
            engine="openpyxl",
        )
    return table


def _read_parquet(file: Path) -> pd.DataFrame:
    import pandas as pd

    parquet: Any = import_module("pyarrow.parquet")
    about = parquet.read_metadata(file)
    if about.num_rows * about.num_columns > _MAX_CELLS:
        raise ValueError(f"it has more than {_MAX_CELLS >> 20} million cells")
    table: pd.DataFrame = pd.read_parquet(file, engine="pyarrow")
    named = [name for name in _WORDS if name in table.columns]
    table[named] = table[named].map(str)
    return table


def _words() -> Any:
    return dict.fromkeys(_WORDS, str)


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": partial(_read_text, separator=","),
    ".tsv": partial(_read_text, separator="\t"),
    ".json": _read_json,
    ".xlsx": _read_excel,
    ".parquet": _read_parquet,
}


def _check_extent(content: BinaryIO) -> None:
    """Refuse a workbook that becomes too large: pandas allocates all cells up to the last."""
    openpyxl: Any = import_module("openpyxl")
    with zipfile.ZipFile(content) as archive:
        if sum(member.file_size for member in archive.infolist()) > _MAX_BYTES:
            raise ValueError(f"it becomes larger than {_MAX_BYTES >> 20} MiB")
    book = openpyxl.load_workbook(content, read_only=True, data_only=True, keep_links=False)
    try:
        sheet = book.worksheets[0]
        # The extent given in the file cannot be trusted.
        sheet.reset_dimensions()
        columns = 0
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            columns = max(columns, len(row))
            if number * columns > _MAX_CELLS:
                raise ValueError(f"it has more than {_MAX_CELLS >> 20} million cells")
    finally:
        book.close()


def _records(content: Any) -> list[dict[str, Any]]:
    """Return the rows of the first table of a JSON file."""
    rows = next(iter(content.values()), None) if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it is not a list of rows")
    heads = dict.fromkeys(head for row in rows for head in row)
    if len(rows) * len(heads) > _MAX_CELLS:
        raise ValueError(f"it has more than {_MAX_CELLS >> 20} million cells")
    return [{head: _cell(value) for head, value in row.items()} for row in rows]


def _cell(value: Any) -> Any:
    """Return the value of a cell: a number of ordinary length, or a text."""
    if isinstance(value, dict | list):
        raise ValueError("a cell contains a list or further names")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return math.nan
    return value


def _ending(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise OptionError(
            f"{path} is the name of a table; expected one that ends in {', '.join(_ENDINGS)}. "
            "Name it so"
        )
    return ending


_LIBRARIES = {
    ".xlsx": ("openpyxl", "Excel", "excel"),
    ".parquet": ("pyarrow", "Parquet", "parquet"),
}


def _need_library(ending: str) -> None:
    library, title, extra = _LIBRARIES.get(ending, ("", "", ""))
    try:
        if library:
            import_module(library)
    except ImportError:
        raise OptionError(
            f"{library} is needed for tables in {title}; expected it to be installed. Install it "
            f"(pip install 'ivimkit[{extra}]'), or name a .csv file"
        ) from None


def _file_names(tables: Sequence[str], target: Path) -> dict[str, str]:
    """Return the file of each table, a single one if the format allows it."""
    if _ending(target) not in _SINGLE:
        return dict.fromkeys(tables, target.name)
    others = {name: f"{target.stem}_{name}{target.suffix}" for name in tables[1:]}
    return {tables[0]: target.name, **others}


def _write(tables: Mapping[str, pd.DataFrame], names: Mapping[str, str], folder: Path) -> None:
    first = folder / next(iter(names.values()))
    ending = _ending(first)
    if ending in _SEPARATORS:
        for name, table in tables.items():
            write_csv(folder / names[name], table, _SEPARATORS[ending])
        return
    flat = {name: with_texts(_flat(table), escaped) for name, table in tables.items()}
    if ending == ".parquet":
        for name, table in flat.items():
            table.to_parquet(folder / names[name], engine="pyarrow", index=False)
    elif ending == ".json":
        rows = {name: table.to_dict("records") for name, table in flat.items()}
        # JSON has no NaN.
        content = plain(rows, lambda _: None)
        first.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    else:
        import pandas as pd

        # In memory first: a zip file cut short by a full disk raises another error when deleted.
        file = io.BytesIO()
        with pd.ExcelWriter(file, engine="openpyxl") as book:
            for name, table in flat.items():
                table.to_excel(book, sheet_name=name, index=False)
                _mark_texts(book.sheets[name])
        first.write_bytes(file.getvalue())


def _mark_texts(sheet: Any) -> None:
    """Mark each cell with a text as text: openpyxl treats ``=1+1`` as a formula."""
    for row in sheet.iter_rows():
        for cell in row:
            if isinstance(cell.value, str):
                cell.data_type = "s"
                # Excel would turn it into a formula as soon as the cell is edited.
                cell.quotePrefix = guarded(cell.value) != cell.value


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    named = any(name is not None for name in table.index.names)
    return table.reset_index() if named else table
