"""FitStatus: every code has a name, a sentence and an advice, and codes add up."""

import numpy as np
import pytest

from ivimkit import models
from ivimkit.status import (
    FAILED,
    MAX_INTEGRATED,
    MAX_PARAMETERS,
    UNSEEN_REFERENCE,
    UNSEEN_SHARES,
    FitStatus,
    at_lower,
    at_upper,
    count,
    describe,
    explain,
    status_type,
    uncertain,
)

BIEXP = models.get("biexp")


def test_every_flag_has_a_name_a_sentence_and_an_advice_of_its_own():
    table = explain() | explain(BIEXP)
    assert set(table) == {0} | {f.value for f in FitStatus} | {
        flag(k) for k in range(len(BIEXP.parameters)) for flag in (at_lower, at_upper)
    } | {uncertain(k, len(BIEXP.parameters)) for k in range(len(BIEXP.parameters))}
    for column in zip(*table.values(), strict=True):
        assert all(column)
    names, sentences, advices = zip(*table.values(), strict=True)
    assert len(set(names)) == len(names)
    assert len(set(sentences)) == len(sentences)
    assert all(text.endswith((".", "value.")) for text in sentences + advices)


@pytest.mark.parametrize("n", [1, 6, 7, 8, MAX_INTEGRATED, 10, 17, 18, MAX_PARAMETERS])
def test_flags_do_not_share_bits_and_fit_into_the_type_of_the_map(n):
    flags = {flag.value for flag in FitStatus}
    if n > MAX_INTEGRATED:
        # A posterior has no more parameters than leave this bit free.
        flags.remove(FitStatus.POSTERIOR_INACCURATE.value)
    reasons = sum({*flags, *UNSEEN_SHARES, UNSEEN_REFERENCE})
    bounds = [flag(k) for k in range(n) for flag in (at_lower, at_upper)]
    wide = [flag for k in range(n) if (flag := uncertain(k, n))]
    assert not any(reasons & flag for flag in bounds + wide)
    assert len({*bounds, *wide}) == len(bounds) + len(wide)
    assert max([*bounds, *wide, reasons]) <= np.iinfo(status_type(n)).max
    assert len(wide) == n if n <= 17 else len(wide) < n
    assert status_type(n) is (np.int32 if n <= 6 else np.int64)


def test_failed_is_what_has_no_value():
    assert FitStatus.OUTSIDE_MASK not in FAILED
    assert FitStatus.PERFUSION_NOT_DETECTED not in FAILED
    for flag in ("NON_FINITE", "NO_SIGNAL", "TOO_FEW_BVALUES", "NOT_CONVERGED"):
        assert FitStatus[flag] in FAILED


def test_describe_says_every_flag_of_a_code():
    code = FitStatus.PERFUSION_NOT_DETECTED | at_lower(1) | at_upper(2)
    text = describe(code, BIEXP)
    assert "f is not distinguishable from 0" in text
    assert "f is at its lower bound (0)." in text
    assert "D* is at its upper bound (0.2)." in text
    assert describe(0, BIEXP) == "Fitted."


def test_count_counts_a_voxel_in_each_of_its_flags():
    status = np.array([[0, 0], [2, 32 | at_lower(1)], [32, 1]], dtype=np.int32)
    assert count(status, BIEXP) == {
        "OK": 2,
        "NON_FINITE": 1,
        "PERFUSION_NOT_DETECTED": 2,
        "f_AT_LOWER_BOUND": 1,
        "OUTSIDE_MASK": 1,
    }


@pytest.mark.parametrize("flag", list(FitStatus))
def test_flags_are_single_bits(flag):
    assert flag.value.bit_count() == 1
