"""Pages that list what the code has: they cannot drift apart."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import ivimkit as ik
from ivimkit.status import explain

DOCS = Path(__file__).parents[2] / "docs"


def _sections(page: str) -> dict[str, str]:
    """Return the text below each heading, in plain words on one line."""
    text = (DOCS / page).read_text(encoding="utf-8")
    parts = re.split(r"^#+ +(.+)$", text, flags=re.M)[1:]
    return {
        heading.strip("` "): " ".join(body.replace("\\", "").split())
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize("model", ik.models.names())
def test_every_status_is_explained(model: str) -> None:
    sections = _sections("status.md")
    for flag, (name, sentence, advice) in explain(ik.models.get(model).parameters).items():
        if "BOUND" in name:
            assert advice in sections["At a bound"]
        else:
            assert f"{flag}. {sentence} {advice}" in sections[name]


def test_numbers_of_the_bounds_are_right() -> None:
    rows = re.findall(r"\| (\S+) \| (\d+) \| (\d+) \|", _sections("status.md")["At a bound"])
    parameters = ik.models.get("biexp").parameters
    known = {name: flag for flag, (name, _, _) in explain(parameters).items()}
    for parameter, (symbol, lower, upper) in zip(parameters, rows, strict=True):
        assert symbol == parameter.symbol
        assert int(lower) == known[f"{parameter.name}_AT_LOWER_BOUND"]
        assert int(upper) == known[f"{parameter.name}_AT_UPPER_BOUND"]


@pytest.mark.parametrize("name", ik.models.names())
def test_every_model_has_a_section(name: str) -> None:
    assert _sections("methods.md")[name]


@pytest.mark.parametrize("name", ik.methods.names())
def test_every_method_has_a_section_with_its_options(name: str) -> None:
    method = ik.methods.get(name)
    section = _sections("methods.md")[name]
    documented = dict(re.findall(r"\| `(\w+)` \| `?([\w.]+)`? \|", section))
    options = {
        field.name: f"{field.default:g}"
        if isinstance(field.default, float)
        else str(field.default)
        for field in dataclasses.fields(method)
    }
    assert documented == options


@pytest.mark.parametrize("name", ik.methods.names())
def test_table_of_pairs_is_right(name: str) -> None:
    text = (DOCS / "methods.md").read_text(encoding="utf-8")
    models = re.findall(r"`(\w+)`", re.findall(r"^\| \| (`monoexp`.*)$", text, flags=re.M)[0])
    (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", text, flags=re.M)
    cells = [cell.strip() for cell in row.split("|")]
    scan = ik.Acquisition(ik.simulate.B21)
    for model, cell in zip(models, cells, strict=False):
        assert (cell == "yes") == _fits(name, model, scan), f"{name} with {model}"
    assert (cells[len(models)] == "yes") == ik.methods.get(name).full_fit


def _fits(method: str, model: str, scan: ik.Acquisition) -> bool:
    try:
        ik.methods.get(method).check(ik.models.get(model), scan)
    except ik.errors.OptionError:
        return False
    return True
