"""Reports without pictures: those are looked at in tests/unit/figures and tests/browser."""

import pytest


@pytest.fixture(autouse=True)
def _quick_pictures(blank_pictures):
    """Leave pictures blank."""
