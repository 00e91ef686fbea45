"""Fixtures of all tests: the folder of real scans, and hypothesis without deadlines."""

from pathlib import Path

import pytest
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


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout: pyproject.toml, docs, src."""
    return Path(__file__).parents[1]
