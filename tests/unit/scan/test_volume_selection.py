"""Conditions on the variables of volumes."""

import numpy as np
import pytest

from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.scan.acquisition import Acquisition

SCAN = Acquisition(
    [0, 50, 798, 802, 50, 800],
    variables={
        "echo_time": [75, 75.2, 75, 75, 100, 100],
        "gradient": ["none", "bipolar", "bipolar", "bipolar", "monopolar", "monopolar"],
    },
)


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("b == 800", [2, 3, 5]),
        ("b <= 50", [0, 1, 4]),
        ("b < 50", [0]),
        ("b != 0 and echo_time > 75", [4, 5]),
        ("echo_time >= 75 and echo_time <= 75", [0, 1, 2, 3]),
        ("75 == echo_time", [0, 1, 2, 3]),
        ("100 > echo_time", [0, 1, 2, 3]),
        ("10 < b <= 60", [1, 4]),
        ("gradient == 'bipolar' or b == 0", [0, 1, 2, 3]),
        ("not gradient in ('bipolar', \"none\")", [4, 5]),
        ("gradient not in ['monopolar']", [0, 1, 2, 3]),
        ("b in (0, 50) and (echo_time == 100 or gradient != 'bipolar')", [0, 4]),
        ("b > -1", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_conditions(where, kept):
    assert SCAN.select(where=where).tolist() == kept


def test_near_b_values_are_told_apart():
    ladder = Acquisition([0, 115, 120, 125, 130, 135, 800])
    assert ladder.select(where="b == 125").tolist() == [3]
    assert ladder.select(where="b == 790").tolist() == [6]


def test_conditions_join_the_other_selections():
    assert SCAN.select(where="echo_time == 75", bmin=10, volumes=[1, 2, 5]).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "the selection is ''; expected columns compared"),
        ("b = 50", "Equality is written =="),
        ("b == ", "cannot be read"),
        ("b", "cannot be understood at 'b'"),
        ("b == b", "cannot be understood at 'b'"),
        ("b + 1 == 2", r"cannot be understood at 'b \+ 1'"),
        ("b == 1 + 1", r"cannot be understood at '1 \+ 1'"),
        ("b in 50", "cannot be understood at '50'"),
        ("b is 50", "cannot be understood at '50'"),
        ("b == True", "cannot be understood at 'True'"),
        ("__import__('os').system('true')", r"cannot be understood at .__import__"),
        ("b.real == 0", "cannot be understood at 'b.real'"),
        ("[b for b in (1,)]", "cannot be understood"),
        (
            "te == 75",
            "names a column te, which does not exist; expected one of b: 0, 50, 800",
        ),
        ("gradient == bipolar", "put it in quotes: 'bipolar'"),
        ("gradient == 'both'", "no volume has that gradient; expected one of 'bipolar', 'mono"),
        ("gradient < 'none'", "compare them by ==, != or in"),
        ("gradient == 1", "its values are texts: 'bipolar'"),
        ("echo_time == 'long'", "its values are numbers: 75"),
        ("b == 0 and " * 300 + "b == 0", "letters; expected up to 2000"),
        ("(" * 900 + "b == 0" + ")" * 900, "cannot be read"),
        ("not " * 450 + "b == 0", "nested too deeply|no volume|cannot be read"),
        ("b == 0\x00", "cannot be read"),
    ],
)
def test_what_is_not_understood(where, message):
    if where.startswith("not not"):
        assert SCAN.select(where=where).tolist() == [0]
        return
    with pytest.raises(OptionError, match=message):
        SCAN.select(where=where)


def test_nothing_is_left():
    message = r"those with b: 0, 50, 800; echo_time: 75, 75.2, 100; gradient: .* 'b > 900'; exp"
    with pytest.raises(AcquisitionError, match=message):
        SCAN.select(where="b > 900")
    assert np.array_equal(SCAN.select(where="b > 700"), [2, 3, 5])
