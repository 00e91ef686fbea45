"""Compartments: atoms in any form, and what a model of any compartments makes of them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend.compartment import Compartment
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay
from ivimkit.parameter import Parameter
from ivimkit.status import at_upper, count, describe, explain, status_type

D = models.get("biexp")["D"]
RATES = tuple(replace(D, name=f"D_{k}", symbol=f"D_{k}") for k in range(4))
SHARES = tuple(replace(models.get("biexp")["f"], name=f"f_{k}", symbol=f"f_{k}") for k in range(3))


def model_of(*compartments, **about):
    return SignalModel("mine", "my model", "S(b) = ...", compartments, **about)


def fast(b, p):
    return math.exp(-b * p[0])


def of_kind(annotation):
    def atom(b, p):
        return math.exp(-b * p[0]), (-b * math.exp(-b * p[0]),)

    atom.__annotations__["return"] = annotation
    return atom


def test_an_atom_without_slopes_gets_differences():
    plain = model_of(Compartment("tissue", fast, (D,)))
    assert not plain.compartments[0].has_slopes
    assert plain.two_decays() is None, "what a function of the user computes is not known"
    x = np.array([[0.0, 500.0, 1000.0]])
    for j, b in enumerate(x[0]):
        signal, (by_s0, by_d) = plain.kernel(x, j, (2.0, 1e-3))
        assert signal == pytest.approx(2.0 * math.exp(-b * 1e-3), rel=1e-14)
        assert by_s0 == pytest.approx(signal / 2.0, rel=1e-14)
        assert by_d == pytest.approx(-b * signal, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("annotation", ["tuple[float, tuple[float]]", None, "anything"])
def test_an_atom_with_slopes_is_known_by_its_annotation_or_by_calling_it(annotation):
    assert Compartment("tissue", of_kind(annotation), (D,)).has_slopes


@pytest.mark.parametrize(
    ("atom", "message"),
    [
        (lambda b, p: "text", "returns 'text'; expected a number, or a number and a tuple of"),
        (lambda b, p: (b, ()), r"expected a number, or a number and a tuple of its 1 slopes"),
        (
            lambda b, p: fast(b, p),
            r"atom of compartment tissue cannot be compiled .*File.*test_compartment.*; expected",
        ),
        (lambda b: b, r"fails at b = 1 and p = .*TypeError.*expected atom\(b, p\)"),
    ],
)
def test_what_is_no_atom_is_told(atom, message):
    with pytest.raises(OptionError, match=message):
        Compartment("tissue", atom, (D,)).part(("b",))


def test_names_are_words():
    with pytest.raises(OptionError, match=r"got the name 'my tissue'; expected one word"):
        Compartment("my tissue", decay, (D,))
    with pytest.raises(OptionError, match=r"got the name 'echo time'; expected one word"):
        Compartment("tissue", decay, (D,), variables=("echo time",))


@pytest.mark.parametrize(
    ("compartments", "about", "message"),
    [
        (
            (Compartment("a", decay, (RATES[0],)), Compartment("b", decay, (D,))),
            {},
            "compartment a of model mine has no fraction; expected one for every compartment but",
        ),
        (
            (Compartment("a", decay, (D,), fraction=SHARES[0]),),
            {},
            "the last compartment of model mine, a, has a fraction; expected none",
        ),
        (
            (Compartment("a", decay, (D,), fraction=SHARES[0]), Compartment("b", decay, (D,))),
            {},
            "has two parameters 'D'; expected different names",
        ),
        (
            (Compartment("a", decay, (D,)),),
            {"special_cases": {"other": {"K": 0.0}}},
            "names a parameter 'K' that it does not have; it has S0, D",
        ),
        ((Compartment("a", decay, tuple(replace(D, name=f"D{k}") for k in range(25))),), {}, "26"),
    ],
)
def test_compartments_that_make_no_model(compartments, about, message):
    with pytest.raises(OptionError, match=message):
        model_of(*compartments, **about)


def test_a_model_without_its_equation_says_what_to_do():
    known = SignalModel("theirs", "their model", "S = ?", parameters=(D,))
    assert known.unseen == ()
    assert known.two_decays() is None
    with pytest.raises(OptionError, match="equation of model theirs is not known"):
        _ = known.kernel


@pytest.fixture(scope="module")
def four():
    parts = [Compartment(f"part_{k}", decay, (RATES[k],), fraction=SHARES[k]) for k in range(3)]
    return model_of(*parts, Compartment("tissue", decay, (RATES[3],)))


def test_four_compartments_have_four_flags(four):
    assert four.names == ("S0", "f_0", "D_0", "f_1", "D_1", "f_2", "D_2", "D_3")
    flags = {about.flag: about.name for about in four.unseen}
    assert flags == {
        32: "PART_0_NOT_DETECTED",
        512: "PART_1_NOT_DETECTED",
        1024: "PART_2_NOT_DETECTED",
        64: "TISSUE_NOT_DETECTED",
    }
    assert four.unseen_flag("D_1") == 512
    assert four.unseen_flag("f_1") == 0
    assert "f_1 is not distinguishable from 0 at this noise, so D_1 is" in describe(512, four)
    assert "f_0 + f_1 + f_2 is not distinguishable from 1" in describe(64, four)
    assert set(flags) <= set(explain(four))
    assert set(explain(models.get("monoexp"))).isdisjoint(flags)


def test_a_status_of_many_parameters_counts_their_bounds():
    many = model_of(Compartment("t", decay, tuple(replace(D, name=f"D{k}") for k in range(20))))
    status = np.array([0, at_upper(20)], dtype=status_type(21))
    assert count(status, many) == {"OK": 1, "D19_AT_UPPER_BOUND": 1}


def test_a_kurtosis_may_be_above_1():
    kurtosis = Parameter("K", "K", "", 0.0, 3.0, 1.0, role="shape")
    model = model_of(Compartment("tissue", of_kind(None), (kurtosis,)))
    assert model.with_bounds(K=(0.5, 2.5))["K"].upper == 2.5
    with pytest.raises(OptionError, match="expected 0 <= lower <= upper <= inf"):
        model.with_bounds(K=(-1.0, 2.0))


def test_compartments_without_atoms_keep_what_is_known_of_them(four):
    parts = tuple(replace(part, atom=None) for part in four.compartments)
    known = replace(four, compartments=parts)
    assert four.has_equation
    assert not known.has_equation
    assert known.unseen == four.unseen
    assert known.shown_maps == four.shown_maps
    assert known.two_decays() is None
    with pytest.raises(OptionError, match="equation of model mine is not known"):
        _ = known.kernel
