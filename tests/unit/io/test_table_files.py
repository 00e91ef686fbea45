"""Tables as files: every format, and back."""

import contextlib
import csv
import json
import math
import sys
import zipfile
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from ivimkit import io
from ivimkit.errors import FileFormatError, InputError, OptionError, OutputExistsError

WITH_PYARROW = pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs pyarrow")
ENDINGS = ("csv", "tsv", "json", "xlsx", pytest.param("parquet", marks=WITH_PYARROW))


@pytest.fixture
def table():
    index = pd.MultiIndex.from_tuples(
        [("liver", "D"), ("lesion, left", "f")], names=["region", "map"]
    )
    return pd.DataFrame(
        {"unit": ["mm^2/s", ""], "n": [7, 0], "mean": [1.0 / 3e3, math.nan]}, index=index
    )


@pytest.mark.parametrize("ending", ENDINGS)
def test_round_trip(table, tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    io.save_tables({"maps": table, "regions": table[["n"]]}, path)
    back = io.load_table(path)
    assert list(back.columns) == ["region", "map", "unit", "n", "mean"]
    assert back["region"].tolist() == ["liver", "lesion, left"]
    assert back["n"].tolist() == [7, 0]
    assert back["mean"].tolist()[0] == 1.0 / 3e3
    assert np.isnan(back["mean"].tolist()[1])


@pytest.mark.parametrize("ending", ENDINGS)
def test_names_that_look_like_numbers_stay_names(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    table = pd.DataFrame({"subject": ["001", "NA"], "session": ["1", "02"], "value": [1.0, 2.0]})
    io.save_tables({"values": table}, path)
    back = io.load_table(path)
    assert back["subject"].tolist() == ["001", "NA"]
    assert back["session"].tolist() == ["1", "02"]
    assert back["value"].tolist() == [1.0, 2.0]


def test_csv_has_a_file_for_each_table(table, tmp_path):
    files = io.save_tables({"maps": table, "regions": table[["n"]]}, tmp_path / "table.csv")
    assert [file.name for file in files] == ["table.csv", "table_regions.csv"]
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "table_regions.csv"}
    assert files[1].read_text().splitlines()[1] == "liver,D,7"


def test_excel_has_a_sheet_and_json_a_list_for_each(table, tmp_path):
    tables = {"maps": table, "regions": table[["n"]]}
    assert len(io.save_tables(tables, tmp_path / "table.xlsx")) == 1
    assert list(pd.read_excel(tmp_path / "table.xlsx", sheet_name=None)) == ["maps", "regions"]
    io.save_tables(tables, tmp_path / "table.json")
    content = json.loads((tmp_path / "table.json").read_text())
    assert list(content) == ["maps", "regions"]
    assert content["maps"][1]["mean"] is None


def test_nothing_is_replaced_unless_asked_for(table, tmp_path):
    path = tmp_path / "table.csv"
    (tmp_path / "table_regions.csv").write_text("mine")
    tables = {"maps": table, "regions": table}
    with pytest.raises(OutputExistsError, match=r"table_regions.csv exists already"):
        io.save_tables(tables, path)
    assert not path.exists()
    io.save_tables(tables, path, overwrite=True)
    assert (tmp_path / "table_regions.csv").read_text() != "mine"
    assert not [file for file in tmp_path.iterdir() if "partial" in file.name]


def test_a_folder_is_not_replaced(table, tmp_path):
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(OutputExistsError, match="is a folder; expected a file"):
        io.save_tables({"maps": table}, tmp_path / "table.csv", overwrite=True)


def test_folder_that_cannot_be(table, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to"):
        io.save_tables({"maps": table}, tmp_path / "file" / "table.csv")


@pytest.mark.parametrize("name", ["table", "table.txt", "table.xls"])
def test_unknown_ending(table, tmp_path, name):
    with pytest.raises(OptionError, match=r"ends in \.csv, \.tsv, \.json, \.xlsx"):
        io.check_tables(["maps"], tmp_path / name, overwrite=False)
    with pytest.raises(OptionError, match=r"ends in \.csv"):
        io.load_table(tmp_path / name)


def test_excel_without_openpyxl_names_the_extra(table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(OptionError, match=r"pip install 'ivimkit\[excel\]'"):
        io.save_tables({"maps": table}, tmp_path / "table.xlsx")
    assert not list(tmp_path.iterdir())


def test_a_table_that_may_not_be_read(tmp_path):
    with pytest.raises(FileFormatError, match=r"cannot be read \(File name too long\)"):
        io.load_table(tmp_path / ("a" * 300 + ".csv"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "there is no file"),
        ("a.csv", "", "is damaged, or is not what its name says"),
        ("a.csv", "a,b\n", "has no rows"),
        ("a.csv", 'a,b\n1,"2\n', "is damaged, or is not what its name says"),
        ("a.json", "{", "is damaged, or is not what its name says"),
        ("a.json", "3", "not a list of rows"),
        ("a.json", "[1, 2]", "not a list of rows"),
        ("a.xlsx", "no zip", "is damaged, or is not what its name says"),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(FileFormatError, match=message):
        io.load_table(path)


# ----------------------------------------------------------------------- names that do harm

HARMFUL = [
    *("=1+1", "+1", "-2", "@SUM(A1)", "=cmd|'/c calc'!A1", "'=1", "''@a", "\uff1d1"),
    *("#N/A", "'quoted'", 'a "b", c', " =1", "12", "x=1"),
]


@pytest.mark.parametrize("ending", ENDINGS)
def test_names_that_begin_like_formulas_stay_texts(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    table = pd.DataFrame({"region": HARMFUL, "=A1": HARMFUL, "mean": np.arange(-3.0, 11.0)})
    io.save_tables({"maps": table}, path)
    back = io.load_table(path)
    assert back["region"].tolist() == HARMFUL
    assert list(back.columns) == list(table.columns)
    assert back["mean"].tolist() == table["mean"].tolist()
    if ending == "xlsx":
        sheet = pytest.importorskip("openpyxl").load_workbook(path).active
        assert {cell.data_type for row in sheet.iter_rows(max_col=2) for cell in row} == {"s"}
        assert [row[0].quotePrefix for row in sheet.iter_rows(min_row=2)][:2] == [True, True]
    if ending in ("csv", "tsv"):
        with path.open(newline="") as file:
            rows = list(csv.reader(file, delimiter="," if ending == "csv" else "\t"))
        assert not [cell for row in rows for cell in row[:2] if cell[0] in "=+-@\uff1d"]
        assert rows[1][2] == "-3.0"


@pytest.mark.parametrize("ending", ENDINGS)
def test_control_characters_are_written_out(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    names = ["a\x07b", "\tx", "\r=1", "l\udce9sion", "two\nlines", "\x00", "end\ufffe"]
    # As objects: texts of pyarrow, which pandas uses if it is there, are UTF-8.
    texts = pd.Series(names, dtype=object)
    io.save_tables({"maps": pd.DataFrame({"region": texts, "n": range(7)})}, path)
    assert io.load_table(path)["region"].tolist() == [
        *(r"a\x07b", r"\x09x", r"\x0d=1", "l\ufffdsion", r"two\x0alines", r"\x00", r"end\ufffe")
    ]


def _workbook(tmp_path, cells):
    book = pytest.importorskip("openpyxl").Workbook()
    for place, value in cells.items():
        book.active[place] = value
    book.save(tmp_path / "a.xlsx")
    return tmp_path / "a.xlsx"


def test_a_workbook_that_claims_more_than_memory_is_refused(tmp_path):
    # Two cells, a kilobyte; pandas would make 17 billion of them.
    path = _workbook(tmp_path, {"A1": "region", "XFD1": "n", "A1048576": "liver"})
    with pytest.raises(FileFormatError, match="more than 4 million cells"):
        io.load_table(path)


def test_a_workbook_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ivimkit.io.table_files._MAX_BYTES", 4 << 20)
    path = _workbook(tmp_path, {"A1": "region"})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", bytes(5 << 20))
    assert path.stat().st_size < 1 << 15
    with pytest.raises(FileFormatError, match="becomes larger than 4 MiB"):
        io.load_table(path)


def test_a_damaged_workbook_is_no_fault_of_ivimkit(tmp_path):
    whole = _workbook(tmp_path, {"A1": "region", "B1": "n", "A2": "liver", "B2": 3}).read_bytes()
    reasons = []
    for place in range(0, len(whole), 97):
        content = bytearray(whole)
        content[place] ^= 0xFF
        (tmp_path / "b.xlsx").write_bytes(bytes(content))
        # Anything but this error would end the test.
        with contextlib.suppress(FileFormatError):
            io.load_table(tmp_path / "b.xlsx")
            continue
        reasons.append(place)
    assert len(reasons) > 10


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '[{"n": ' + "9" * 5000 + "}]", "a number of thousands of digits"),
        ("a.json", '[{"n": ' + "9" * 400 + "}]", "a number that is too large"),
        ("a.json", '[{"n": [1]}]', "a cell contains a list"),
        ("a.csv", "region,n\nliver,1,2\n", "rows with more cells than the header"),
        ("a.csv", "region,n\nl\xe9sion,1\n", "not text in UTF-8"),
    ],
)
def test_tables_with_odd_content(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(FileFormatError, match=message):
        io.load_table(tmp_path / name)


@WITH_PYARROW
def test_parquet_has_a_file_per_table_and_is_not_read_without_end(tmp_path):
    tables = {name: pd.DataFrame({"region": ["001"], "n": [3]}) for name in ("maps", "regions")}
    saved = io.save_tables(tables, tmp_path / "table.parquet")
    assert [path.name for path in saved] == ["table.parquet", "table_regions.parquet"]
    assert io.load_table(saved[1])["region"].tolist() == ["001"]
    # Four million equal rows are a few kilobytes.
    pd.DataFrame({"n": np.zeros((1 << 22) + 1, np.int8)}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FileFormatError, match="more than 4 million cells"):
        io.load_table(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_text("nothing")
    with pytest.raises(FileFormatError, match="is damaged, or is not what its name says"):
        io.load_table(tmp_path / "b.parquet")


def test_pyarrow_is_asked_for_by_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OptionError, match=r"pyarrow is needed for tables in Parquet; .*parquet"):
        io.save_tables({"maps": pd.DataFrame({"n": [1]})}, tmp_path / "a.parquet")
