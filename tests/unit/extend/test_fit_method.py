"""FitMethod: frozen options, unknown ones are errors."""

from dataclasses import FrozenInstanceError, dataclass
from typing import ClassVar

import pytest

from ivimkit import methods
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod


@dataclass(frozen=True)
class Tuned(FitMethod):
    """A method for these tests."""

    name: ClassVar[str] = "tuned"

    strength: float = 1.0

    def check(self, model, acquisition):
        """Accept everything."""

    def plan(self, model, b, weight):
        """Plan nothing."""


def test_options_and_defaults():
    assert Tuned().options() == {"strength": 1.0}
    assert Tuned.from_options(strength=3.0).options() == {"strength": 3.0}
    assert Tuned.from_options() == Tuned()


def test_unknown_options_list_the_known_ones():
    with pytest.raises(OptionError, match="method tuned has no option 'power'; it has strength"):
        Tuned.from_options(power=3.0)
    with pytest.raises(
        OptionError, match="method varpro has no option 'power'; it has noise, coils"
    ):
        methods.get("varpro", power=3.0)


def test_methods_cannot_be_changed():
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'strength'"):
        Tuned().strength = 2.0


def test_the_base_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        FitMethod()
