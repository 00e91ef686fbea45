"""SignalModel: other bounds, fixed values, starts and display ranges by name."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivimkit import models
from ivimkit.errors import OptionError

BIEXP = models.get("biexp")
NAMES = st.sampled_from(["f", "D"])
VALUES = st.floats(0.0, 5e-3)


def test_parameters_by_name():
    assert BIEXP.names == ("S0", "f", "D_star", "D")
    assert BIEXP["D"] is BIEXP.parameters[BIEXP.index("D")]
    assert BIEXP.n_free == 4


def test_unknown_parameter():
    for change in (BIEXP.with_bounds, BIEXP.with_fixed, BIEXP.with_start, BIEXP.with_display):
        with pytest.raises(
            OptionError, match="biexp has no parameter 'Dstar'; it has S0, f, D_star, D"
        ):
            change(Dstar=(0, 1) if change in (BIEXP.with_bounds, BIEXP.with_display) else 0.01)


@given(name=NAMES, values=st.tuples(VALUES, VALUES, VALUES))
def test_a_start_stays_inside_whatever_comes_first(name, values):
    low, start, high = values[0], values[1], max(values[0], values[2])
    for model in (
        BIEXP.with_bounds(**{name: (low, high)}).with_start(**{name: start}),
        BIEXP.with_start(**{name: start}).with_bounds(**{name: (low, high)}),
    ):
        assert (model[name].lower, model[name].upper) == (low, high)
        assert low <= model[name].start <= high
    assert models.get("biexp") == BIEXP, "models are never changed in place"


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [("D_star", 37, 0.037), ("D_star", 37000, 0.037), ("D_star", 2, 0.002), ("D", 1838.64, None),
     ("D", 1.2, 0.0012)],
)  # fmt: skip
def test_another_unit_is_refused_and_what_was_meant_is_not(name, value, meant):
    for make in (
        lambda v: BIEXP.with_fixed(**{name: v}),
        lambda v: BIEXP.with_fixed(**{name: np.array([v, np.nan, 0.5 * v])}),
        lambda v: BIEXP.with_bounds(**{name: (0.0, v)}),
        lambda v: BIEXP.with_start(**{name: v}),
    ):
        with pytest.raises(OptionError, match=rf"{name} is to be up to .*did you mean") as error:
            make(value)
        suggested = float(str(error.value).rsplit(maxsplit=1)[1].rstrip("?"))
        assert suggested == pytest.approx(meant or 1.83864e-3, rel=1e-4)
        make(suggested)


def test_start_outside_the_bounds_is_moved_inside():
    assert BIEXP.with_start(D_star=0.5)["D_star"].start == 0.2
    assert BIEXP.with_start(D_star=-1.0)["D_star"].start == 2e-3


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_start_must_be_finite(value):
    with pytest.raises(OptionError, match=r"start of D is (nan|inf); expected a finite number"):
        BIEXP.with_start(D=value)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"f": (0.5, 0.1)}, "f is to be between 0.5 and 0.1; expected 0 <= lower <= upper <= 1"),
        ({"f": (-0.1, 0.1)}, "f is to be between -0.1"),
        ({"f": (0, 1.5)}, "expected 0 <= lower <= upper <= 1"),
        (
            {"D": (-1e-3, 1e-3)},
            r"D is to be between -0.001 and 0.001 mm\^2/s; expected 0 <= lower",
        ),
        ({"D": (math.nan, 1e-3)}, "D is to be between nan"),
        ({"D": (0, 3)}, r"D is to be up to 3 mm\^2/s; .* did you mean 0.003\?"),
        ({"D": 3e-3}, r"bounds of D are 0.003; expected a pair \(lower, upper\)"),
        ({"D": (0, 1e-3, 2e-3)}, "bounds of D are .* expected a pair"),
        ({"D": ("a", "b")}, "bounds of D are .* expected a pair"),
    ],
)
def test_bounds_that_cannot_be(bounds, message):
    with pytest.raises(OptionError, match=message):
        BIEXP.with_bounds(**bounds)


def test_fixed_to_a_number():
    model = BIEXP.with_fixed(D_star=0.02, f=0.1)
    assert model.n_free == 2
    assert model["D_star"].fixed
    assert (model["f"].lower, model["f"].start, model["f"].upper) == (0.1, 0.1, 0.1)
    assert not model.fixed_maps


def test_fixed_to_a_map():
    values = np.array([[1e-3, np.nan], [2e-3, 4e-3]])
    model = BIEXP.with_fixed(D=values)
    assert model.n_free == 3
    assert (model["D"].lower, model["D"].upper) == (1e-3, 4e-3)
    np.testing.assert_array_equal(model.fixed_maps["D"], values)
    assert not model.with_fixed(D=1e-3).fixed_maps, "the last word counts"


def test_bounds_free_a_fixed_parameter():
    values = np.array([1e-3, 2e-3])
    for model in (BIEXP.with_fixed(D=1e-3), BIEXP.with_fixed(D=values)):
        freed = model.with_bounds(D=(0, 3e-3))
        assert freed.n_free == 4
        assert not freed.fixed_maps


def test_a_constant_map_fixes_like_a_number():
    assert BIEXP.with_fixed(D=np.full(3, 1e-3)).n_free == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "D is fixed to nan; expected a number or a map"),
        (np.full(3, np.nan), "D is fixed to .* expected a number or a map"),
        (1.2, r"D is to be up to 1.2 mm\^2/s; .* did you mean 0.0012\?"),
        ([1e-3, -1e-3], "D is to be between -0.001 and 0.001"),
    ],
)
def test_values_that_cannot_be_fixed(value, message):
    with pytest.raises(OptionError, match=message):
        BIEXP.with_fixed(D=value)


def test_fraction_cannot_be_fixed_above_one():
    with pytest.raises(OptionError, match=r"f is to be between 1.1 and 1.1; expected 0 <= lower"):
        BIEXP.with_fixed(f=1.1)


def test_display_range():
    assert BIEXP.with_display(D=(0, 3e-3))["D"].display == (0, 3e-3)
    with pytest.raises(OptionError, match="bounds of D are 1; expected a pair"):
        BIEXP.with_display(D=1)
