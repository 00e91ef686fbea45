"""Ratios to an earlier run, and files that are none."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import compare as module
from benchmarks.compare import RecordError, compare, earlier_records, show_comparison
from rich.console import Console

Record = dict[str, Any]


def test_ratios_are_later_by_earlier(record: Record) -> None:
    later = copy.deepcopy(record)
    later["tables"][0]["rows"] = [["one", 20, 1.0, "words"], ["two", 5, 0.0, "other"]]
    comparison = compare(record, later)
    (table,) = comparison.tables
    assert [column["title"] for column in table["columns"]] == ["what", "voxels", "seconds"]
    assert table["rows"] == [["one", 2.0, 0.5], ["two", 1.0, 1.0]]
    assert comparison.unknown == []
    assert record["commit"] in comparison.title


def test_what_one_run_alone_has_is_named(record: Record) -> None:
    later = copy.deepcopy(record)
    table = later["tables"][0]
    table["rows"] = [["one", 10, None, "words"], ["three", 1, 1.0, "words"]]
    table["columns"][1]["title"] = "points"
    later["tables"].append({**copy.deepcopy(table), "title": "Another"})
    later["machine"] = {"cpu": "another"}
    later["settings"] = {"voxels": 3, "full": False}
    comparison = compare(record, later)
    told = "\n".join(comparison.unknown)
    for sentence in (
        "table 'Another' is not in the earlier run",
        "A table: row 'three' is not in the earlier run",
        "A table: row 'two' is only in the earlier run",
        "A table: column 'points' is not in the earlier run",
        "A table: column 'voxels' is only in the earlier run",
        "the machines differ",
        "the settings differ: {'voxels': None",
    ):
        assert sentence in told
    # A number that became none has no ratio, and nothing else is left to compare.
    assert comparison.tables == []


def test_zero_has_no_ratio_and_equal_titles_are_told_apart(record: Record) -> None:
    for column in record["tables"][0]["columns"][1:3]:
        column["title"] = "same"
    later = copy.deepcopy(record)
    later["tables"][0]["rows"] = [["one", 30, 2.0, ""], ["two", 5, 3.0, ""]]
    (table,) = compare(record, later).tables
    assert [column["title"] for column in table["columns"]] == ["what", "same", "same (2)"]
    assert table["rows"] == [["one", 3.0, 1.0], ["two", 1.0, None]]


def test_other_figures_are_not_compared(record: Record) -> None:
    with pytest.raises(RecordError, match="earlier run is of made, the later one of other"):
        compare(record, {**record, "name": "other"})


def test_records_are_read_from_a_file_or_a_folder(record: Record, tmp_path: Path) -> None:
    file = tmp_path / "made.json"
    file.write_text(json.dumps(record))
    assert earlier_records(file) == earlier_records(tmp_path) == {"made": record}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, r"there is no .*; expected NAME\.json"),
        ("no JSON", r"is not JSON .*; expected NAME\.json"),
        ('{"name": "made"}', r"is not a record of a benchmark; expected NAME\.json"),
        ("[1, 2]", r"is not a record of a benchmark; expected NAME\.json"),
    ],
    ids=["absent", "text", "other JSON", "list"],
)
def test_wrong_files_are_told(text: str | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(RecordError, match=told):
        earlier_records(file)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"has no file \*\.json; expected NAME\.json"):
        earlier_records(tmp_path)


def test_the_command_prints_ratios(
    record: Record,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = copy.deepcopy(record)
    later["tables"][0]["rows"][0][2] = 5.0
    for name, content in (("old", record), ("new", later)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    words = [str(tmp_path / "old.json"), str(tmp_path / "new.json")]
    monkeypatch.setattr("sys.argv", ["compare", *words])
    module.main()
    assert "2.50" in capsys.readouterr().out
    (tmp_path / "new.json").write_text(json.dumps({**later, "name": "other"}))
    with pytest.raises(SystemExit, match="2"):
        module.main()
    assert "no figure is in both: made and other" in capsys.readouterr().err


def test_shown_with_what_is_unknown(record: Record) -> None:
    later = copy.deepcopy(record)
    later["tables"][0]["rows"].append(["three", 1, 1.0, "words"])
    console = Console(width=100, record=True, file=io.StringIO())
    show_comparison(compare(record, later), console)
    text = console.export_text()
    assert "row 'three' is not in the earlier run" in text
    assert "1.00" in text
