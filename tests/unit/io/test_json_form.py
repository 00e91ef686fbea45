"""converted: a struct, or a sentence that names the place and what is wrong there."""

import math
import re

import msgspec
import pytest

from ivimkit.io.json_form import converted


class Point(msgspec.Struct):
    x: float
    names: list[str] = []


class Form(msgspec.Struct):
    points: dict[str, Point]
    pairs: dict[str, dict[str, tuple[float, float | None]]] = {}


def test_content_of_the_right_kind_becomes_a_struct():
    found = converted({"points": {"a": {"x": 1, "more": True}}}, Form)
    assert found == Form({"a": Point(1.0)})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "it has no 'points'"),
        ({"points": {"a": {}}}, "it has no 'points.a.x'"),
        ({"points": []}, "points: expected names with values, got a list"),
        (
            {"points": {"a": {"x": 1}, "b c": {"x": "1"}}},
            "points.b c.x: expected a number, got a text",
        ),
        (
            {"points": {"a": {"x": 1, "names": ["b", 3]}}},
            "points.a.names[1]: expected a text, got a whole number",
        ),
        (
            {"points": {}, "pairs": {"p": {"q": [0, None], "r": [None, 1]}}},
            "pairs.p.r[0]: expected a number, got nothing",
        ),
        ({"points": {"a": {"x": math.inf}}}, "points.a.x has numbers that are not finite"),
    ],
)
def test_the_place_is_named_down_to_the_key(content, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        converted(content, Form)
