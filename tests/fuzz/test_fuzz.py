"""A few seconds of the fuzzers; `make fuzz` takes minutes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz import mutators
from fuzz.targets import TARGETS, judged
from fuzz.worker import limits, random_of, run, warm_up

_SEED = 0
_CASES = 30
# Cases of readers of whole studies and results, which take ten times as long.
_FEWER = dict.fromkeys(("stored", "result", "dicom", "prior", "context"), 9)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with good files, and nothing that is logged."""
    folder = tmp_path_factory.mktemp("fuzz")
    logging.disable(logging.CRITICAL)
    warm_up(TARGETS, folder)
    yield folder
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("target", TARGETS)
def test_a_reader_refuses_with_a_sentence_or_reads(home: Path, target: str) -> None:
    n = _FEWER.get(target, _CASES)
    with limits():
        ended = [run(target, _SEED, number, home) for number in range(n)]
    faults = {what: number for number, (how, what) in enumerate(ended) if how == "fault"}
    assert not faults
    # Files that are all refused at the door, or none of them, would test nothing.
    assert 0 < Counter(how for how, _ in ended)["refused"] < n


def test_a_case_is_the_same_every_time():
    first, again = (mutators.damaged(random_of(3, "table", 7), bytes(99)) for _ in range(2))
    assert first == again != mutators.damaged(random_of(3, "table", 8), bytes(99))


def test_a_fault_is_seen():
    with pytest.raises(ZeroDivisionError, match="by zero"):
        judged(lambda: 1 / 0)
    assert judged(lambda: None) == "read"
