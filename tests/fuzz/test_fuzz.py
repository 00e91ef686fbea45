"""A few seconds of the fuzzers; `make fuzz` takes minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import mutators
from fuzz.targets import TARGETS, judged
from fuzz.worker import random_of

_SEED = 0
_CASES = 30
# Cases of readers of whole studies and results, which take ten times as long.
_FEWER = dict.fromkeys(("stored", "result", "dicom", "prior", "context"), 12)


@pytest.fixture(scope="module")
def ended():
    """How the cases of each reader end, in a process with limits of its own."""
    tests = Path(__file__).parents[1]
    words = [f"{target}:{_FEWER.get(target, _CASES)}" for target in TARGETS]
    path = os.pathsep.join([str(tests), *filter(None, sys.path)])
    said = subprocess.run(
        [sys.executable, "-m", "fuzz.worker", str(_SEED), "0", str(_CASES), *words],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    return [line for line in lines if "ended" in line]


@pytest.mark.parametrize("target", TARGETS)
def test_a_reader_refuses_with_a_sentence_or_reads(ended, target):
    cases = [case for case in ended if case["target"] == target]
    n = _FEWER.get(target, _CASES)
    assert len(cases) == n
    faults = {case["what"]: case["number"] for case in cases if case["ended"] == "fault"}
    assert not faults
    # Files that are all refused at the door, or none of them, would test nothing.
    assert 0 < sum(case["ended"] == "refused" for case in cases) < n


def test_a_case_is_the_same_every_time():
    first, again = (mutators.damaged(random_of(3, "table", 7), bytes(99)) for _ in range(2))
    assert first == again != mutators.damaged(random_of(3, "table", 8), bytes(99))


def test_a_fault_is_seen():
    with pytest.raises(ZeroDivisionError, match="by zero"):
        judged(lambda: 1 / 0)
    assert judged(lambda: None) == "read"
