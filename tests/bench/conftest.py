"""Records and figures made up for tests of the benchmarks' machinery."""

from __future__ import annotations

import json
from typing import Any

import pytest
from benchmarks.figure import Chart, Column, Figure, Findings, Panel, Series, Settings, Table
from benchmarks.record import make_record


def made_up(settings: Settings) -> Findings:
    """Return findings that show what they were asked for."""
    rows = [["one", settings.size(10, 20), 2.0, "words"], ["two", 5, 0.0, "words"]]
    columns = [Column("what"), Column("voxels"), Column("seconds"), Column("text")]
    line = Series("ours", "us", [1.0, 2.0], [3.0, 4.0])
    panels = [Panel("D", "RMSE of D*", [line, Series("least", "limit", [1.0], [2.0])])]
    return Findings(
        conditions={"data": "none"},
        checked="nothing.",
        tables=[Table("A table", columns, rows)],
        charts=[Chart("picture", "Points of D*.", "SNR", panels, ticks=(1, 2))],
    )


@pytest.fixture
def figure() -> Figure:
    return Figure(order=3, name="made", title="Made up", measure=made_up)


@pytest.fixture
def record(figure: Figure) -> dict[str, Any]:
    settings = Settings()
    made: dict[str, Any] = make_record(figure, settings, figure.measure(settings))
    written: dict[str, Any] = json.loads(json.dumps(made))
    return written
