"""What step follow changed, as a table."""

from ivimkit.report.sections.follow_table import follow_table
from ivimkit.scan.history import History, StepRecord

BEFORE = {"D": 1.2e-3, "f": 0.22, "D_star": 0.05, "rmse_percent_of_S0": 4.0}
AFTER = {"D": 1.2e-3, "f": 0.15, "D_star": 0.04, "rmse_percent_of_S0": 3.0}


def history(*names, **numbers):
    earlier = [StepRecord(name, "") for name in names]
    return History((*earlier, StepRecord("follow", "", numbers=numbers)))


def test_medians_without_and_with_the_step():
    table = follow_table(history("align", medians_before=BEFORE, medians_after=AFTER))
    assert table.head == ("median", "align only", "with follow", "change")
    assert table.rows == [
        ["D (10⁻³ mm²/s)", "1.20", "1.20", "0 %"],
        ["f", "0.220", "0.150", "−32 %"],
        ["D* (10⁻³ mm²/s)", "50.0", "40.0", "−20 %"],
        ["residuals (% of S0)", "4.00", "3.00", "−25 %"],
    ]
    alone = follow_table(history("drift", medians_before=BEFORE, medians_after=AFTER))
    assert alone.head[1] == "as acquired"


def test_no_step_or_damaged_numbers():
    assert follow_table(History((StepRecord("align", ""),))) is None
    assert follow_table(history()) is None
    assert follow_table(history(medians_before=BEFORE, medians_after={"D": "x"})) is None
