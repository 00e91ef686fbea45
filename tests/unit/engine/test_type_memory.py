"""Types are asked for once for each operation and the types of its operands."""

import operator
import re

import numpy as np
import pytest
from numba import njit
from numba.core import errors, types
from numba.core.types import BaseFunction

from ivimkit.engine.type_memory import types_remembered


def _many(x, y):
    total = x * y + x / y - x * x + y * y
    total += x * y + abs(x) - np.exp(x * y)
    return total + max(x, y) * 2 - x**2 + (x < y)


@pytest.fixture
def asked(monkeypatch):
    """All that numba is asked."""
    questions = []
    find = BaseFunction.get_call_type

    def noted(self, context, args, kws):
        questions.append((self.typing_key, tuple(args)))
        return find(self, context, args, kws)

    monkeypatch.setattr(BaseFunction, "get_call_type", noted)
    return questions


def _code(compiled, kind):
    """Return what was compiled, without names and addresses of objects."""
    lines = compiled.inspect_asm((kind, kind)).splitlines()
    return [
        re.sub(r"0x[\da-f]+|pickle(buf|data)\.\d+", "", line)
        for line in lines
        if "_many" not in line
    ]


def test_each_question_is_asked_once_and_the_code_is_the_same(asked):
    kind = types.float64
    plain, quick = njit(_many), njit(_many)
    plain.compile((kind, kind))
    assert asked.count((operator.mul, (kind, kind))) > 1
    asked.clear()
    with types_remembered():
        quick.compile((kind, kind))
    assert asked.count((operator.mul, (kind, kind))) == 1
    assert _code(plain, kind) == _code(quick, kind)
    assert quick(2.0, 3.0) == plain(2.0, 3.0)


def test_numba_is_left_as_it_was():
    before = BaseFunction.get_call_type
    with types_remembered():
        assert BaseFunction.get_call_type is not before
    assert BaseFunction.get_call_type is before
    with pytest.raises(errors.TypingError), types_remembered():
        njit(_many).compile((types.unicode_type, types.float64))
    assert BaseFunction.get_call_type is before
