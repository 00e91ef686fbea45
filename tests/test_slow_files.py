"""`make test-fast`: what it leaves out is there, and left out only where that is asked for."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from slow_files import SLOW, pytest_ignore_collect

TESTS = Path(__file__).parent


@pytest.mark.parametrize("fast", [True, False])
def test_slow_files_are_left_out_where_that_is_asked_for(fast):
    config = SimpleNamespace(getoption={"fast": fast}.__getitem__)
    for name in SLOW:
        assert (TESTS / name).exists(), f"tests/{name} has gone: take it off SLOW"
        assert pytest_ignore_collect(TESTS / name, config) is (fast or None)
    assert pytest_ignore_collect(Path(__file__), config) is None


def test_slow_files_are_in_order_and_none_is_in_a_folder_that_is_left_out():
    assert list(SLOW) == sorted(set(SLOW))
    inside = [one for one in SLOW for other in SLOW if one.startswith(f"{other}/")]
    assert not inside
