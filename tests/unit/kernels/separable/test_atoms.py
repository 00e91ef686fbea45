"""Atoms and what is composed of them: values, slopes and second derivatives."""

import math

import numpy as np
import pytest

from ivimkit.kernels.separable import atoms, tensor_atom
from ivimkit.kernels.separable.structure import Part, Structure
from plain_kernels import plain
from separable_models import MODELS, protocol, signals, truth
from tolerances import CLOSED_FORM, DERIVATIVE

CASES = {
    "decay": ((300.0,), (1.1e-3,)),
    "kurtosis": ((900.0,), (1.2e-3, 0.8)),
    "stretched": ((700.0,), (1.3e-3, 0.75)),
    "relaxing": ((400.0, 60.0), (1.1e-3, 70.0)),
    "tensor": ((900.0, 0.48, -0.6, 0.64), (1.2e-3, 1.3, 0.6, 0.4, -0.3, 0.2)),
}


def central(function, p, i):
    """Return the derivative by p_i: Richardson extrapolation of central differences."""
    h = 1e-3 * p[i]

    def slope(h):
        up, down = ([v + s * (j == i) for j, v in enumerate(p)] for s in (h, -h))
        return (np.array(function(up)) - np.array(function(down))) / (2 * h)

    return (slope(h / 2) * 4 - slope(h)) / 3


@pytest.mark.parametrize("name", CASES)
def test_slopes_and_second_derivatives(name):
    home = tensor_atom if name == "tensor" else atoms
    atom, bend = plain(getattr(home, name)), plain(getattr(home, f"{name}_bend"))
    variables, p = CASES[name]
    slopes = atom(*variables, p)[1]
    second = iter(bend(*variables, p))
    for i in range(len(p)):
        expected = central(lambda p: atom(*variables, tuple(p))[0], p, i)
        assert slopes[i] == pytest.approx(expected, rel=DERIVATIVE)
        by_slope = central(lambda p: atom(*variables, tuple(p))[1], p, i)
        for k in range(i, len(p)):
            assert next(second) == pytest.approx(by_slope[k], rel=DERIVATIVE)


def test_a_stretched_decay_is_1_at_b_0_without_slopes():
    value, slopes = plain(atoms.stretched)(0.0, (1e-3, 0.3))
    assert value == 1.0
    np.testing.assert_allclose(slopes, 0.0, atol=1e-50)


def test_an_instant_compartment_is_gone_at_once():
    assert [atoms.instant.py_func(b, ())[0] for b in (0.0, 10.0, 800.0)] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["kurtosis", "t2"])
def test_the_kernel_has_the_signal_and_its_slopes(name):
    structure, x, params = MODELS[name][0], protocol(name)[0], truth(name, 2)
    expected = signals(name, params)
    for p, row in zip(params, expected, strict=True):
        for j in (0, 5, 17):
            value, slopes = plain(structure.kernel)(x, j, p)
            assert value == pytest.approx(row[j], rel=CLOSED_FORM)
            for i in range(len(p)):
                slope = central(lambda p, j=j: signals(name, np.array([p]))[0, j], list(p), i)
                # At b = 0 differences leave the rounding of the signal.
                assert slopes[i] == pytest.approx(slope, rel=1e-6, abs=1e-9 * value / p[i])


def test_an_atom_without_slopes_gets_differences():
    part = Part(lambda b, p: math.exp(-b * p[0]) * (1 - p[1] * b / 4000), 2, slopes=False)
    structure = Structure((part,), (False, False), ((2e-4, 3e-3), (0, 1)), (0, 0), (math.inf, 1))
    x = np.array([[0.0, 500.0, 1000.0]])
    # Inside, and at both ends of the range in which the second one has a meaning.
    for share in (0.0, 0.4, 1.0):
        value, slopes = plain(structure.kernel)(x, 1, np.array([100.0, 1e-3, share]))
        decay = 100 * math.exp(-0.5)
        assert value == pytest.approx(decay * (1 - share / 8), rel=CLOSED_FORM)
        assert slopes[1] == pytest.approx(-500 * value, rel=1e-8)
        assert slopes[2] == pytest.approx(-decay / 8, rel=1e-8)


def test_five_compartments_are_too_many():
    with pytest.raises(ValueError, match="5 compartments; expected 1 to 4"):
        Structure((MODELS["kurtosis"][0].parts[0],) * 5, (), (), (), ())
