"""Every example in a docstring runs and gives what it says."""

from __future__ import annotations

import doctest
import linecache
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path

import pytest

import ivimkit

PROMPT = ">>> "
HOME = Path(ivimkit.__path__[0])
MODULES = [
    ".".join(("ivimkit", *path.relative_to(HOME).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(HOME.rglob("*.py"))
    if path.stem != "__main__" and PROMPT in path.read_text(encoding="utf-8")
]
"""Modules with examples in their sources."""


@pytest.mark.parametrize("name", MODULES)
def test_examples(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    without_figures: Callable[[], AbstractContextManager[None]],
) -> None:
    if name == "ivimkit.figures.picture":
        request.getfixturevalue("drawn_pictures")
    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    runner = doctest.DocTestRunner()
    found = doctest.DocTestFinder().find(import_module(name))
    # The debugger behind each run looks up all files whose lines are remembered.
    linecache.clearcache()
    with without_figures() if name.startswith("ivimkit.report") else nullcontext():
        for test in found:
            if test.examples:
                runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
    assert not list(tmp_path.iterdir()), "an example has left files behind"


def test_examples_are_found() -> None:
    found = doctest.DocTestFinder().find(import_module("ivimkit.fitting.fit"))
    assert any(test.examples for test in found)
