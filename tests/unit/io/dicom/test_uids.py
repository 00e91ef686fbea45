"""Uids: valid, the same each time, different for different things."""

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivimkit.errors import OptionError
from ivimkit.io.dicom.uids import Uids

ROOTS = st.sampled_from([None, "1.2.826.0.1.3680043.10.1234", "2.25", f"1.2.{10**34}"])
TEXTS = st.text(max_size=20)


@given(st.text(), ROOTS, TEXTS, TEXTS)
def test_valid_and_the_same_each_time(seed, root, one, other):
    made = Uids(seed, root)
    uid = made.of(one)
    assert pydicom.uid.UID(uid).is_valid
    assert uid.startswith(f"{root or '2.25'}.")
    assert uid == Uids(seed, root).of(one)
    assert (uid == made.of(other)) == (one == other)
    assert uid != Uids(f"{seed}!", root).of(one)


@pytest.mark.parametrize("root", ["", "abc", "1.2.", "1.02.3", "7.1", "1" * 40, f"1.2.{10**40}"])
def test_what_is_not_a_root_is_refused(root):
    with pytest.raises(OptionError, match=r"the UID root is .*; expected numbers with dots"):
        Uids("", root)
