"""ivimkit methods: the catalogue."""

from __future__ import annotations

from ivimkit import methods, models, organs, uncertainty


def test_catalogue(run):
    text = run("methods").stdout
    assert max(map(len, text.splitlines())) <= 80
    lines = text.splitlines()
    for name in (*models.names(), *methods.names(), *uncertainty.names(), *organs.names()):
        assert any(line.startswith(f"{name} ") for line in lines)
    trr = next(line for line in lines if line.startswith("trr "))
    assert "biexp" in trr
    assert "split_b_D=400.0" in trr
    assert "two_stage=yes" in text
