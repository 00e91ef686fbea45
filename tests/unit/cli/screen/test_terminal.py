"""What is printed on narrow terminals."""

from __future__ import annotations

import pytest

from ivimkit.cli.screen.terminal import Screen, plain_table


@pytest.mark.parametrize("width", [10, 40, 80])
def test_no_column_and_no_number_is_lost(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    cells = ["diffusion coefficient", "10⁻³ mm²/s", *(f"{n}.234 ± 0.056" for n in range(1, 6))]
    table = plain_table("map", "unit", *(f"number {n}" for n in range(1, 6)), left=2)
    table.add_row(*cells)
    table.add_row("D", *cells[1:])
    Screen().show(table)
    shown = capsys.readouterr().out
    assert "…" not in shown
    last = shown.splitlines()[-1]
    assert last.split("  ")[0].strip() == "D"
    for cell in cells[1:]:
        assert cell in last
    # What can be broken between words is, before anything sticks out.
    assert ("diffusion coefficient" in shown) == (width > 80)
