import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ivimkit as ik
from ivimkit.conventions import (
    D_BLOOD,
    D_STAR,
    VELOCITY,
    D_star_of_flow,
    convert_D_star,
    convert_velocity,
    f_at_echo_time,
    f_without_T2,
)
from ivimkit.errors import OptionError, ShapeError
from tolerances import CLOSED_FORM

NAMES = list(D_STAR)
B = np.array([0.0, 10.0, 50.0, 200.0, 800.0])
# A rate of the whole decay that is above D and Db has a D* by every definition.
WHOLE = st.floats(5e-3, 0.2)
TISSUE = st.floats(0.0, 4e-3)


def decay(D_star, definition, D, D_blood):
    """The signal of the blood as the equation of the definition has it."""
    return eval(
        re.sub(r"(?<=b) ", "*", definition.replace("D*", "x")),
        {"exp": np.exp, "b": B, "x": D_star, "D": D, "Db": D_blood},
    )


@given(WHOLE, TISSUE, st.floats(0.0, 4e-3), st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_every_conversion_keeps_the_signal_of_the_blood(whole, D, D_blood, source, target):
    first = convert_D_star(whole, "whole", source, D=D, D_blood=D_blood)
    second = convert_D_star(first, source, target, D=D, D_blood=D_blood)
    for value, name in ((first, source), (second, target)):
        np.testing.assert_allclose(
            decay(value, D_STAR[name], D, D_blood), np.exp(-B * whole), rtol=CLOSED_FORM
        )


@given(WHOLE, TISSUE, st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_round_trip(whole, D, source, target):
    there = convert_D_star(whole, source, target, D=D)
    assert convert_D_star(there, target, source, D=D) == pytest.approx(whole, rel=CLOSED_FORM)


def test_maps_keep_their_shape_and_their_holes():
    D_star = np.full((3, 2), 0.02)
    D_star[1, 0] = np.nan
    D = np.array([1e-3, np.nan])
    converted = ik.conventions.convert_D_star(D_star, "plus_D", D=D)
    assert converted.shape == (3, 2)
    assert np.isnan(converted[:, 1]).all()
    assert np.isnan(converted[1, 0])
    np.testing.assert_allclose(converted[[0, 2], 0], 0.021)
    assert D_star[0, 0] == 0.02


def test_what_is_added_by_default():
    assert convert_D_star(0.0, "plus_Db") == 1.75e-3
    assert convert_D_star(0.01, "plus_D", "plus_Db", D=D_BLOOD) == pytest.approx(0.01)
    # D is not needed, so it does not matter.
    assert convert_D_star(0.01, "whole", "whole", D=1e-3) == 0.01


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0.01, "total"), {}, r"source is 'total'; expected one of whole \(exp\(-b D\*\)\), plus"),
        ((0.01, "whole", "D"), {}, "target is 'D'; expected one of whole"),
        ((0.01, "plus_D"), {}, "D is missing; definition plus_D .* Pass D="),
        (([0.01, -1e-3], "whole"), {}, "1 of 2 values of D_star are negative or infinite"),
        ((np.inf, "whole"), {}, "1 of 1 values of D_star are negative or infinite"),
        ((0.01, "plus_D"), {"D": -1e-3}, "1 of 1 values of D are negative"),
        (([20.0, 12.0, 0.0], "whole"), {}, "D_star is 12 in the median; expected mm.* Divide by"),
        ((0.01, "plus_D"), {"D": 2.5}, "D is 2.5 in the median"),
        (("fast", "whole"), {}, "D_star is 'fast'; expected numbers in mm"),
        ((0.01, "plus_Db"), {"D_blood": 1.75}, "D_blood is 1.75; expected mm.*about 0.00175"),
        ((0.01, "plus_Db"), {"D_blood": np.nan}, "D_blood is nan"),
        (
            ([0.01, 5e-4], "whole", "plus_D"),
            {"D": 1e-3},
            r"1 of 2 values of D\* would be negative \(lowest -0.0005 .* as plus_D",
        ),
    ],
)
def test_what_cannot_be_is_an_error(arguments, options, message):
    with pytest.raises(OptionError, match=message):
        convert_D_star(*arguments, **options)


def test_shapes_must_fit():
    with pytest.raises(ShapeError, match=r"D_star has shape \(3,\) and D \(2,\); expected the sa"):
        convert_D_star([0.01] * 3, "plus_D", D=[1e-3] * 2)


def test_the_definitions_cannot_be_changed():
    with pytest.raises(TypeError, match="does not support item assignment"):
        D_STAR["whole"] = "exp(-b)"


def flow(v, definition, c):
    """What flow leaves of the signal, as the equation of the definition has it."""
    return eval(
        re.sub(r"(?<=[c2v]) (?=[cv\d])", " * ", definition.replace("^", "**")),
        {"exp": np.exp, "c": c, "v": v},
    )


@given(st.floats(0.1, 10.0), st.sampled_from(list(VELOCITY)), st.sampled_from(list(VELOCITY)))
def test_every_speed_keeps_the_signal_of_flowing_blood(v, source, target):
    c = np.array([0.0, 0.3, 1.0, 2.0])
    found = convert_velocity(v, source, target)
    np.testing.assert_allclose(
        flow(found, VELOCITY[target], c), flow(v, VELOCITY[source], c), rtol=CLOSED_FORM
    )
    assert convert_velocity(found, target, source) == pytest.approx(v, rel=CLOSED_FORM)


def test_a_segment_is_twice_a_correlation_time():
    v, tau = np.array([1.5, 4.6]), np.array([100.0, 30.0])
    whole = D_star_of_flow(v, tau)
    np.testing.assert_allclose(whole, D_star_of_flow(v, 2 * tau, "segments"))
    np.testing.assert_allclose(whole - D_BLOOD, D_star_of_flow(v, tau, D_blood=0.0))


@given(st.floats(0.0, 1.0), st.floats(1.0, 200.0), st.floats(30.0, 400.0), st.floats(15.0, 300.0))
def test_f_at_an_echo_time_and_back(f, te, blood, tissue):
    times = {"echo_time": te, "T2_blood": blood, "T2_tissue": tissue}
    left = f * np.exp(-te / blood), (1.0 - f) * np.exp(-te / tissue)
    apparent = f_at_echo_time(f, **times)
    assert apparent == pytest.approx(left[0] / sum(left), rel=CLOSED_FORM, abs=1e-15)
    assert f_without_T2(apparent, **times) == pytest.approx(f, rel=1e-6, abs=1e-12)


def test_f_of_maps_keeps_holes():
    f = np.array([[0.3, np.nan], [0.0, 1.0]])
    found = f_without_T2(f, echo_time=60, T2_blood=160, T2_tissue=np.full((2, 2), 40.0))
    assert np.isnan(found[0, 1])
    assert found[1].tolist() == [0.0, 1.0]
    assert 0.0 < found[0, 0] < 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: convert_velocity(1.0, "peak"), "source is 'peak'; expected one of rms"),
        (lambda: convert_velocity(-1.0, "rms"), "1 of 1 values of v are below 0"),
        (lambda: convert_velocity("fast", "rms"), "v is 'fast'; expected numbers, mm/s"),
        (lambda: D_star_of_flow(1.0, 1.0, "straight"), "turns is 'straight'; expected one of exp"),
        (lambda: f_without_T2(25.0, echo_time=60, T2_blood=160, T2_tissue=40), "in percent"),
        (lambda: f_without_T2(0.2, echo_time=60, T2_blood=0.16, T2_tissue=40), "T2_blood .*below"),
    ],
)
def test_flow_and_T2_errors(call, message):
    with pytest.raises(OptionError, match=message):
        call()


def test_maps_of_T2_have_the_shape_of_f():
    with pytest.raises(ShapeError, match=r"f has shape \(3,\), T2_blood \(2,\)"):
        f_without_T2([0.1] * 3, echo_time=60, T2_blood=[160, 160], T2_tissue=40)
