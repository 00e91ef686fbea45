"""JSON without NaN, and with all bits."""

import json
import math

import numpy as np
import pytest

from ivimkit.errors import OptionError
from ivimkit.viewer.json_numbers import from_json, to_json


def test_numbers_keep_their_bits_and_what_is_none_is_null():
    third = np.float64(1) / 3
    content = {1: third, "list": (np.int32(2), math.inf), "array": np.array([[math.nan, 0.1]])}
    assert json.loads(to_json(content)) == {
        "1": float(third),
        "list": [2, None],
        "array": [[None, 0.1]],
    }


@pytest.mark.parametrize("body", [b"[]", b"1", b"null"])
def test_only_objects_are_requests(body):
    with pytest.raises(OptionError, match="expected a JSON object"):
        from_json(body)
