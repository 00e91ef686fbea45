"""Echo times: the b-value of the gradients, the table of the scanner, T2 of organs."""

from __future__ import annotations

import math

import pytest

from ivimkit.errors import OptionError
from ivimkit.planning import StejskalTanner, TabledEchoTime, tissue_T2_ms

GYROMAGNETIC_RATIO = 2 * math.pi * 42.577478518e6


@pytest.mark.parametrize("b", [50.0, 800.0, 2000.0])
def test_stejskal_tanner(b):
    times = StejskalTanner(T2_ms=50.0, gradient=40.0)
    te = 1e-3 * times.ms(b)
    delta = te / 2 - 0.015 - 0.004
    distance = te / 2 + 0.004 - 0.003
    found = (GYROMAGNETIC_RATIO * 0.040 * delta) ** 2 * (distance - delta / 3) * 1e-6
    assert found == pytest.approx(b, rel=1e-9)


def test_times_grow_with_b_and_fall_with_the_gradient():
    assert StejskalTanner(T2_ms=50.0).ms(0.0) == pytest.approx(38.0)
    weak, strong = (StejskalTanner(T2_ms=50.0, gradient=g) for g in (20.0, 80.0))
    assert weak.ms(400.0) < weak.ms(800.0)
    assert strong.ms(800.0) < weak.ms(800.0)


def test_gain_is_one_at_the_reference():
    times = StejskalTanner(T2_ms=50.0)
    assert times.gain(800.0) == 1.0
    assert times.gain(400.0) == pytest.approx(math.exp((times.ms(800.0) - times.ms(400.0)) / 50.0))


def test_a_table_that_ends_below_the_reference():
    short = TabledEchoTime(50.0, (0.0, 400.0), (50.0, 60.0))
    assert short.gain(400.0) == 1.0
    assert short.reaches(400.0)
    assert not short.reaches(401.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StejskalTanner(T2_ms=-1.0), "T2 is -1.0 ms"),
        (lambda: StejskalTanner(T2_ms=50.0, gradient=0.0), "gradient is 0.0 mT/m"),
        (lambda: StejskalTanner(T2_ms=50.0, gradient=1.0).ms(1e5), "does not reach b = 100000"),
        (lambda: TabledEchoTime(50.0, (400.0,), (50.0,)), "1 highest b-values and 1 echo times"),
        (lambda: TabledEchoTime(50.0, (800.0, 400.0), (50.0, 60.0)), "not in order"),
        (lambda: TabledEchoTime(50.0, (0.0, 400.0), (50.0, 60.0)).ms(500.0), "ends at b = 400"),
        (lambda: tissue_T2_ms("abdomen"), "no T2 is known for abdomen; expected one of brain"),
        (lambda: tissue_T2_ms(None), "no T2 is known for tissue in general"),
    ],
)
def test_what_makes_no_sense(make, words):
    with pytest.raises(OptionError, match=words):
        make()
