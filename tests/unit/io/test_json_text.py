"""Values as JSON has them: plain, down to the last item."""

import json
import math

import numpy as np

from ivimkit.io.json_text import from_json, plain, to_json


def test_values_become_plain_all_the_way_down():
    value = {1: (np.float32(0.5), np.arange(2)), "b": {"c": [np.int8(3), math.nan, -math.inf]}}
    assert plain(value) == {"1": [0.5, [0, 1]], "b": {"c": [3, "nan", "-inf"]}}
    assert plain(value, lambda _: None)["b"]["c"] == [3, None, None]
    assert [type(item) for item in plain(np.array([True, False]))] == [bool, bool]


def test_no_number_is_lost_in_json():
    values = {"inside": [math.inf, -math.inf, 1 / 3]}
    assert from_json(to_json(values)) == values
    assert "Infinity" not in to_json(values)
    assert json.loads(to_json(values))["inside"][:2] == ["inf", "-inf"]
