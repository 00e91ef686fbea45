"""Fixtures of all tests: real scans, one command line, hypothesis without deadlines."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.testing
from hypothesis import settings

# The first example of a property test may compile: a deadline would only measure that.
settings.register_profile("ivimkit", deadline=None, derandomize=True)
settings.load_profile("ivimkit")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scans beside the repository; a user's checkout has none."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real scans are not there: no folder {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _one_command_line() -> Iterator[None]:
    """Let runners share the commands: typer makes all of them anew for every call, in 30 ms."""
    with pytest.MonkeyPatch.context() as patch:
        made_once = functools.cache(typer.main.get_command)
        patch.setattr(typer.testing, "_get_command", made_once)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout: pyproject.toml, docs, src."""
    return Path(__file__).parents[1]
