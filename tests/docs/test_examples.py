"""The scripts in examples/ run, and write where they are told and nowhere else."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from ivimkit.errors import IvimkitWarning

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_has_a_test(example: Path) -> None:
    assert f"def test_{example.stem}(" in Path(__file__).read_text(encoding="utf-8")


@pytest.mark.drawn
def test_dipy_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    script = EXAMPLES / "dipy_example.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "figures")])
    with pytest.warns(IvimkitWarning, match="Bounds for this fit have been set") as said:
        made = runpy.run_path(str(script), run_name="__main__")
    assert len(said) == 2
    assert not list(home.iterdir())
    figures = sorted((tmp_path / "figures").iterdir())
    assert len(figures) == 13
    for figure in figures:
        pixels = matplotlib.image.imread(figure)
        assert np.ptp(pixels[..., :3]) > 0.9, f"{figure.name} shows nothing"
    for fit in (made["ivimfit"], made["ivimfit_vp"]):
        region = made["phantom"].region("white matter")[22:74, 30:82, 3]
        assert np.median(fit.D[region]) == pytest.approx(0.85e-3, rel=0.05)
        assert np.isfinite(fit.model_params[region]).all()
    imports = re.findall(r"^from (\S*dipy\S*) import", script.read_text(), flags=re.M)
    assert imports == ["ivimkit.compat.dipy"]
    assert "13 figures" in capsys.readouterr().out
