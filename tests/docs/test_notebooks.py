"""Notebooks are those of the pages whose code `test_snippets` runs; every picture has its code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from page_parts import NOTEBOOKS, notebook, pages, parts

import ivimkit as ik

DOCS = Path(__file__).parents[2] / "docs"


def test_there_is_a_notebook_for_each_organ_and_no_other() -> None:
    names = {page.stem for page in NOTEBOOKS.glob("*.md")}
    assert names == {"liver", "kidney", "prostate", "brain"}
    assert {file.stem for file in NOTEBOOKS.glob("*.ipynb")} == names


@pytest.mark.parametrize("page", sorted(NOTEBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_the_notebook_has_the_text_and_the_code_of_the_page(page: Path) -> None:
    made = page.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert made == notebook(page), "run python docs/make_page_images.py"
    cells = json.loads(made)["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    blocks = re.findall(r"^```python\n(.*?)\n```$", page.read_text("utf-8"), flags=re.M | re.S)
    assert code == blocks
    assert not any(cell.get("outputs") for cell in cells)
    assert all("![" not in "".join(cell["source"]) for cell in cells)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_picture_is_there_and_follows_its_code(page: Path) -> None:
    before = ""
    for kind, content in parts(page):
        if kind == "image":
            assert before == "code"
            picture = (page.parent / content).resolve()
            assert 2_000 < picture.stat().st_size < 100_000
        if kind != "text" or content.strip():
            before = kind


def test_the_prostate_notebook_reads_a_real_scan(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From its fit on, with the scan, the regions and the b-values of a patient."""
    folder = shared_data / "prostate"
    labels = sum(
        number * (ik.io.load_map(folder / f"roi_{name}.nii.gz") > 0)
        for number, name in ((1, "pz"), (2, "tumor"))
    )
    scan = ik.load(folder / "dwi.nii.gz").select(bmax=1000).with_mask(labels > 0)
    found = {"ik": ik, "dwi": scan, "labels": labels, "names": {1: "peripheral zone", 2: "tumour"}}
    code = [part for kind, part in parts(NOTEBOOKS / "prostate.md") if kind == "code"]
    (first,) = (k for k, part in enumerate(code) if part.startswith("prostate = "))
    for part in code[first:]:
        exec(part, found)
    said = capsys.readouterr().out
    assert re.match(r"(ADC|D) 1\.\d+ against 1\.\d+ ·10⁻³ mm²/s \(\d+ % lower\)", said), said


def test_no_picture_is_left_over() -> None:
    shown = "".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    for picture in (DOCS / "images").iterdir():
        assert f"images/{picture.name}" in shown, f"{picture.name} is on no page"
