"""The whole race on a few voxels, with one of each kind of contender."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from benchmarks import peers, race, reference
from benchmarks.contenders import contenders_of
from benchmarks.data import DataSet
from benchmarks.figure import Findings, Settings
from benchmarks.page import page_text
from benchmarks.record import make_record
from benchmarks.recovery import recovery_error

pytest.importorskip("dipy", reason="DIPY comes with the extra test")
(SCIPY,) = contenders_of("scipy")
TRR = contenders_of("dipy")[0]
VOXELS = 2


def phantom_like(kind: str, n: int) -> DataSet:
    return replace(peers.simulated("b13", 50, n), name=f"digital {kind}")


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    contenders = {
        "dipy": (replace(TRR, tolerance=0.0),),
        "scipy": (
            SCIPY,
            replace(SCIPY, name="unknown", label="unknown"),
            replace(SCIPY, label="absent", package="absent", module="no_such"),
        ),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers, "all_contenders", lambda: contenders)
        patch.setattr(peers, "prostate", lambda n: None)
        patch.setattr(peers, "SNRS", (20, 50))
        patch.setattr(peers, "_STARTS", 2)
        # The voxels of phantoms have a test of their own, as has recovery.
        patch.setattr(peers, "phantom_set", phantom_like)
        patch.setattr(race, "recovery_error", partial(recovery_error, voxels=4))
        patch.setattr(reference, "_CACHE", tmp_path_factory.mktemp("optima"))
        # Two processes would take longer to start than this takes.
        patch.setattr(reference, "_on_all_cores", lambda jobs: list(map(reference._fit_job, jobs)))
        return peers.measure(Settings(voxels=VOXELS))


def test_every_set_has_a_table_that_names_its_contenders(findings: Findings) -> None:
    who, first, *others = findings.tables
    assert [row[0] for row in who.rows] == ["DIPY trr", "scipy curve_fit"]
    assert first.title == "b21 SNR 50"
    assert [row[0] for row in first.rows] == [
        "DIPY trr",
        "scipy curve_fit",
        "limit: true distribution and noise known",
    ]
    titles = {table.title for table in others}
    assert {"b13 SNR 20", "organs, b21 SNR 20", "digital abdomen", "digital brain"} <= titles
    for table in findings.tables:
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_a_row_has_speed_optimum_and_errors(findings: Findings) -> None:
    table = findings.tables[1]
    titles = [column.title for column in table.columns]
    row = dict(zip(titles, table.rows[1], strict=True))
    assert row["voxels"] == VOXELS
    assert row["voxels/s"] > row["voxels/s, cold"] > 0.1  # type: ignore[operator]
    assert row["peak, MB"] > 10.0  # type: ignore[operator]
    assert row["at optimum, %"] > 60.0  # type: ignore[operator]
    assert row["failed, %"] == 0.0
    for name in ("D", "f", "D*"):
        (rmse,) = (cell for title, cell in row.items() if title.startswith(f"{name}: RMSE"))
        assert 0.0 < rmse < 100.0  # type: ignore[operator]
    # A first fit is cold on one set alone.
    assert "voxels/s, cold" not in [column.title for column in findings.tables[2].columns]


def test_times_of_who_does_not_recover_are_not_valid(findings: Findings) -> None:
    for table in findings.tables[1:]:
        assert table.rows[0][2] == "not valid"
    assert any("DIPY trr: noise-free fits at the b-values of" in n for n in findings.notes)
    speed = findings.charts[0]
    labels = {series.label for panel in speed.panels for series in panel.series}
    assert labels == {"scipy curve_fit", "limit: true distribution and noise known"}


def test_who_is_missing_or_stops_is_told(findings: Findings) -> None:
    notes = "\n".join(findings.notes)
    assert "absent is left out: absent is not installed. To install it: pip install" in notes
    assert "unknown stopped" in notes
    assert "Not available and left out:" in notes
    assert "prostate" in notes


def test_charts_have_every_snr_and_the_limit(findings: Findings) -> None:
    assert [chart.name for chart in findings.charts] == ["speed", "snr", "snr-organs"]
    for chart in findings.charts[1:]:
        assert len(chart.panels) == 6
        for panel in chart.panels:
            assert {tuple(series.x) for series in panel.series} == {(20, 50)}
            assert panel.series[-1].group == "limit"


def test_the_page_takes_it(findings: Findings) -> None:
    page = page_text([make_record(peers.FIGURE, Settings(), findings)])
    assert page.index("## Peers") < page.index("**Who takes part**") < page.index("**b21 SNR 50**")


def test_full_gives_more_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick, full = Settings(), Settings(full=True)
    assert peers._seconds(full) > peers._seconds(quick)
    assert peers._reference_voxels(full) > peers._reference_voxels(quick)
    starts = []
    monkeypatch.setattr(
        peers, "best_costs_of", lambda problems, starts: found.append(starts) or [()]
    )
    found: list[int] = starts
    data = peers.simulated("b21", 50, 2)
    for settings in (quick, full):
        peers._references([data], [SCIPY], settings)
    assert starts[1] > starts[0]
