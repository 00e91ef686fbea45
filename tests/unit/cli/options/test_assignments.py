"""Assignments and lists of numbers."""

from __future__ import annotations

import math

import pytest

from ivimkit.cli.options.assignments import (
    number,
    number_list,
    pair,
    parse_assignments,
    position_list,
    triple,
    words,
)
from ivimkit.errors import OptionError


def test_assignments():
    found = parse_assignments(["D=0:5e-3", "f = 0:0.5"], "--bounds", "D=0:5e-3", pair)
    assert found == {"D": (0.0, 5e-3), "f": (0.0, 0.5)}
    assert parse_assignments(["S0=0:inf"], "--bounds", "", pair)["S0"][1] == math.inf


@pytest.mark.parametrize("word", ["D", "=0:1", "D=", ""])
def test_word_without_name_or_value(word):
    with pytest.raises(OptionError, match="expected a name and a value, like D=0:5e-3"):
        parse_assignments([word], "--bounds", "D=0:5e-3", pair)


@pytest.mark.parametrize("word", ["D=0", "D=0:1:2", "D=a:b", "D=nan:1"])
def test_value_that_cannot_be_read(word):
    with pytest.raises(OptionError, match=f"--bounds is '{word}'; expected something like"):
        parse_assignments([word], "--bounds", "D=0:5e-3", pair)


def test_same_name_twice():
    with pytest.raises(OptionError, match="--start gives D twice; expected it once"):
        parse_assignments(["D=1", "D=2"], "--start", "D=1", number)


def test_words():
    assert words(" D,f  D_star, ") == ["D", "f", "D_star"]
    assert words(",") == []


def test_number_list():
    assert number_list("0, 50,100 800", "--bvals") == [0, 50, 100, 800]


@pytest.mark.parametrize("text", ["", ",", "0,x", "nan"])
def test_no_number_list(text):
    with pytest.raises(OptionError, match="expected numbers with commas, like 0,50,100"):
        number_list(text, "--bvals")


def test_position_list():
    assert position_list("0-3,7", "--volumes") == [0, 1, 2, 3, 7]
    assert position_list("0-8:4,9", "--volumes") == [0, 4, 8, 9]


@pytest.mark.parametrize("text", ["", "1.5", "3-1", "a-b", "-1", "0-4:0", "3:2"])
def test_no_position_list(text):
    with pytest.raises(OptionError, match="expected positions from 0 with commas, like 0-4,7"):
        position_list(text, "--volumes")


def test_triple():
    assert triple("40,32,5", "--shape") == (40, 32, 5)


@pytest.mark.parametrize("text", ["40,32", "40,32,5,1", "a,b,c", "1.5,2,3"])
def test_no_triple(text):
    with pytest.raises(OptionError, match="expected three whole numbers x,y,z, like 40,32,5"):
        triple(text, "--shape")
