"""Charts and the page they are on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from benchmarks import page, subjects
from benchmarks.chart import chart_file, draw_chart
from benchmarks.machine import REPOSITORY
from benchmarks.record import RESULTS, read_record, write
from benchmarks.subjects import SUBJECTS, subject_of

Record = dict[str, Any]

pytestmark = pytest.mark.drawn


def pixels(chart: dict[str, Any], path: Path) -> np.ndarray:
    draw_chart(chart, path)
    return np.asarray(matplotlib.image.imread(path))[..., :3]


def test_a_chart_shows_points_and_the_limit(record: Record, tmp_path: Path) -> None:
    (chart,) = record["charts"]
    whole = pixels(chart, tmp_path / "one.png")
    assert whole.shape[0] > 300
    blue = np.array([0x00, 0x72, 0xB2]) / 255
    assert (np.abs(whole - blue).max(axis=-1) < 0.02).sum() > 50
    for changed in (0, 1):  # The points, the limit.
        chart["panels"][0]["series"][changed]["y"] = [3.5] * (2 - changed)
        other = pixels(chart, tmp_path / "two.png")
        assert whole.shape != other.shape or (whole != other).any()
        whole = other


def test_the_same_record_draws_the_same_picture(record: Record, tmp_path: Path) -> None:
    (chart,) = record["charts"]
    first, second = tmp_path / "one.png", tmp_path / "two.png"
    draw_chart(chart, first)
    draw_chart(chart, second)
    assert first.read_bytes() == second.read_bytes()


def test_no_two_of_many_series_look_alike(record: Record, tmp_path: Path) -> None:
    from benchmarks.chart import _styles

    groups = [("us", 6), ("one", 3), ("two", 2), ("three", 2), ("four", 1), ("limit", 1)]
    series = [
        {"label": f"{group} {number}", "group": group}
        for group, several in groups
        for number in range(several)
    ]
    styles = _styles([{"series": series}])
    assert len(styles) == len(series)
    assert len({(style["color"], style.get("marker")) for style in styles.values()}) == len(series)
    assert styles["limit 0"] == {"color": "black", "ls": "--"}


def test_the_page_has_the_charts(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(record, tmp_path / "results")
    docs = tmp_path / "docs"
    monkeypatch.setattr(
        "sys.argv", ["page", "--results", str(tmp_path / "results"), "--docs", str(docs)]
    )
    with pytest.raises(SystemExit, match="2"):
        page.main()
    assert not docs.exists()
    subject = replace(SUBJECTS[0], records=("made",))
    for module in (page, subjects):
        monkeypatch.setattr(module, "SUBJECTS", (subject,))
    page.main()
    text = (docs / "benchmarks" / f"{subject.name}.md").read_text()
    name = f"benchmarks-{chart_file(record, record['charts'][0])}"
    assert f"![Points of D\\*.](../images/{name})" in text
    assert "| one | 10 | 2.0 | words |" in text
    assert (docs / "images" / name).stat().st_size > 5000
    assert (
        f"- [Made up](benchmarks/{subject.name}.md#made-up)"
        in (docs / "benchmarks.md").read_text()
    )


def test_every_record_is_on_one_page() -> None:
    listed = [name for subject in SUBJECTS for name in subject.records]
    assert sorted(listed) == sorted(path.stem for path in RESULTS.glob("*.json"))
    with pytest.raises(ValueError, match="the record made is on no page; add it to one of peers"):
        subject_of("made")


def test_the_pages_are_those_of_the_records() -> None:
    records = [read_record(path) for path in RESULTS.glob("*.json")]
    for name, text in page.pages(records).items():
        assert (REPOSITORY / "docs" / name).read_text() == text


def test_records_of_before_charts_are_still_read(record: Record, tmp_path: Path) -> None:
    del record["charts"]
    assert "![" not in page.page_text([record])
    write(record, tmp_path)
    assert not list(tmp_path.glob("*.png"))
