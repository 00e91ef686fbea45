"""Pages that list what the code has: they cannot drift apart."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.core import TyperGroup

import ivimkit as ik
from ivimkit.cli import app
from ivimkit.io.dicom.quantities import quantity_of
from ivimkit.status import explain
from made_results import made_result

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
    usual = {
        name: text
        for known in (explain(), explain(ik.models.get("biexp")))
        for name, text, _ in known.values()
    }
    for flag, (name, sentence, advice) in explain(ik.models.get(model)).items():
        if name.endswith("_UNCERTAIN"):
            assert advice in sections["Uncertain"]
            symbol = sentence.partition(" ")[0]
            assert model != "biexp" or f"{symbol} {flag}" in sections["Uncertain"]
        elif name not in usual and "BOUND" not in name:
            assert f"`{name}` | {flag} | `{model}`" in sections["Compartments of other models"]
        elif name == "TISSUE_NOT_DETECTED" and ik.models.get(model).two_decays() is None:
            assert f"**{flag}**" in sections[name]
        elif name == "PERFUSION_NOT_DETECTED" and sentence != usual[name]:
            # Of other parameters than D*.
            assert f"`{name}` | {flag} | `{model}`" in sections["Compartments of other models"]
        elif "BOUND" in name:
            assert advice in sections["At a bound"]
        else:
            assert f"**{flag}**: {sentence} {advice}" in sections[name]


def test_numbers_of_the_bounds_are_right() -> None:
    rows = re.findall(r"\| (\S+) \| (\d+) \| (\d+) \|", _sections("status.md")["At a bound"])
    parameters = ik.models.get("biexp").parameters
    known = {name: flag for flag, (name, _, _) in explain(ik.models.get("biexp")).items()}
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


@pytest.mark.parametrize("name", ik.uncertainty.names())
def test_every_estimator_has_a_section_with_its_options(name: str) -> None:
    section = _sections("how-sure.md")[name]
    documented = dict(re.findall(r"\| `(\w+)` \| `?([\w.]+)`? \|", section))
    assert documented == {
        key: str(value) for key, value in ik.uncertainty.get(name).options().items()
    }


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


def _names_in(section: str) -> set[str]:
    """Return the options in the first column of the tables of a section."""
    first = re.findall(r"\| ((?:`--?[\w-]+`[, /]*)+)", section)
    return {name for cell in first for name in re.findall(r"`(--?[\w-]+)`", cell)}


def _commands(group: TyperGroup, before: str = "") -> dict[str, Any]:
    """Return all commands by their names, those of groups as ``dicom export``."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            found |= _commands(command, f"{before}{name} ")
        else:
            found[f"{before}{name}"] = command
    return found


def _all_commands() -> dict[str, Any]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return _commands(group)


def _options_of(command: str) -> set[str]:
    parameters = _all_commands()[command].params
    options = [p for p in parameters if p.param_type_name == "option" and p.name != "help"]
    return {name for option in options for name in (*option.opts, *option.secondary_opts)}


SHARED = ("The scan", "Model and method", "Settings and log")
"""Sections of options that several commands have, which link to them."""


@pytest.mark.parametrize(
    "command",
    [
        "fit",
        "check",
        "preprocess",
        "compare",
        "design",
        "plot",
        "view",
        "report",
        "roi",
        "repeat",
        "datasets list",
        "datasets fetch",
        "dicom list",
        "dicom convert",
        "dicom export",
        "dicom run",
        "node run",
        "node status",
        "node retry",
        "node check",
        "node fetch",
        "simulate",
        "demo",
        "config",
        "methods",
    ],
)
def test_every_option_is_on_the_page(command: str) -> None:
    sections = _sections("cli.md")
    text = sections[f"ivimkit {command}"]
    shared = [name for name in SHARED if f"(#{_slug(name)})" in text]
    documented = set().union(_names_in(text), *(_names_in(sections[name]) for name in shared))
    assert documented == _options_of(command)


def test_every_command_is_on_the_page() -> None:
    headings = _sections("cli.md")
    assert {f"ivimkit {name}" for name in _all_commands()} == {
        heading for heading in headings if heading.startswith("ivimkit ")
    }


def test_codes_on_the_page_are_those_that_are_written() -> None:
    text = (DOCS / "dicom-objects.md").read_text(encoding="utf-8")
    row = r"^\| `(\w+)` \| `(\w+)` \| (\w+), (\w+) \| ([^|]+) \| `([^`]+)` \|$"
    rows = re.findall(row, text, flags=re.M)
    assert len(rows) == text.count(" | `um2/s` |") + text.count(" | `1` |") + 2
    for model, name, code, scheme, meaning, unit in rows:
        found = quantity_of(made_result({name: np.zeros(1)}, model=model), name)
        assert (found.code.value, found.code.scheme_designator) == (code, scheme)
        assert found.code.meaning == meaning
        assert found.unit.code.value == unit


def _slug(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def test_layers_of_the_design_page_are_those_of_the_contract() -> None:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contract = project["tool"]["importlinter"]["contracts"][0]["layers"]
    layers = [re.findall(r"\w+", layer) for layer in contract]
    there = [sorted(name for name in layer if find_spec(f"ivimkit.{name}")) for layer in layers]
    page = (DOCS / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`[, ]*)+)\|", page, flags=re.M)
    assert [sorted(re.findall(r"\w+", row)) for row in rows] == there


def test_every_data_set_is_on_the_page_with_its_size_terms_and_doi() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \| .* \| (\d+) MB \| \[([^]]+)\]\(([^)]+)\) \| \[doi:([^]]+)\]",
        (DOCS / "datasets.md").read_text(encoding="utf-8"),
        flags=re.M,
    )
    assert sorted(rows) == [
        (name, f"{one.n_bytes / 1e6:.0f}", one.licence, one.licence_url, one.doi)
        for name, one in ((name, ik.datasets.get(name)) for name in ik.datasets.names())
    ]
