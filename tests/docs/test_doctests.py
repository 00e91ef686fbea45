"""Every example in a docstring runs and gives what it says."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import ivimkit

MODULES = [
    module.name
    for module in walk_packages(ivimkit.__path__, "ivimkit.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if name.startswith("ivimkit.figures"):
        request.getfixturevalue("drawn_pictures")
    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder().find(import_module(name)):
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
    assert not list(tmp_path.iterdir()), "an example has left files behind"


def test_examples_are_found() -> None:
    found = doctest.DocTestFinder().find(import_module("ivimkit.fitting.fit"))
    assert any(test.examples for test in found)
