"""The sources of the viewer's page: their own tests, of all that needs no browser."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import page_tools


def test_the_tests_of_the_page_pass() -> None:
    hook = page_tools.build_hook()
    try:
        page = page_tools.page_packages(hook)
    except hook.PackagesMissingError as error:
        pytest.skip(str(error))
    done = hook.npm("run", "--silent", "test", cwd=page)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "passed" in done.stdout


def test_the_node_of_the_tests_is_that_of_the_build(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    assert page_tools.build_hook().NODE in project["project"]["optional-dependencies"]["test"]
