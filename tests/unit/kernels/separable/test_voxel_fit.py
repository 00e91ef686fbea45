"""Fits of several compartments: the global optimum inside the bounds, whatever the signal.

The fits are made by the same code in plain Python: nothing to compile.
"""

import math

import numpy as np
import pytest

import separable_models
from ivimkit.kernels.separable.dictionary import evaluate, plan
from ivimkit.status import FitStatus
from separable_cases import CASES, HIDDEN, REFERENCE, SEARCHED, N
from separable_cases import case as case_of
from separable_models import MODELS, fit, protocol, signals, truth
from tolerances import NOISE_FREE, OPTIMUM, SAME_COST


@pytest.fixture(scope="module")
def found():
    """Return parameters with cost and passes, and status, of every case."""
    return {case: fit(case.split("-")[0], *case_of(case)) for case in CASES}


@pytest.mark.parametrize("name", MODELS)
def test_noise_free_truth(found, name):
    out, status = found[f"{name}-exact"]
    np.testing.assert_allclose(out[:, :-2], truth(name, N), rtol=NOISE_FREE)
    assert (status == 0).all()


def test_a_minimum_that_no_tuple_of_the_dictionary_shows(found):
    out, _ = found["stretched-hidden"]
    np.testing.assert_allclose(out[:, :-2], HIDDEN, rtol=NOISE_FREE)


@pytest.mark.parametrize("case", SEARCHED)
def test_it_is_the_optimum(found, case):
    reference = np.load(REFERENCE)
    # Noise is drawn by NumPy, which promises the same numbers of one version only.
    rows = case_of(case)[0][:2]
    np.testing.assert_allclose(rows, reference[f"{case}.rows"][: len(rows)], rtol=1e-12)
    cost = found[case][0][:2, -2]
    assert (cost <= reference[f"{case}.costs"][: len(rows)] * OPTIMUM).all()


@pytest.mark.parametrize("case", CASES)
def test_it_keeps_its_bounds_and_says_its_cost(found, case):
    name = case.split("-")[0]
    rows, low, high = case_of(case)
    out, status = found[case]
    weight = protocol(name)[1]
    fitted = status & (FitStatus.NO_SIGNAL | FitStatus.NOT_CONVERGED) == 0
    params = out[fitted, :-2]
    assert (params >= low).all()
    assert (params <= high).all()
    cost = (weight * (signals(name, params) - rows[fitted]) ** 2).sum(axis=1)
    energy = (weight * rows[fitted] ** 2).sum(axis=1)
    np.testing.assert_allclose(out[fitted, -2], cost, rtol=SAME_COST, atol=1e-12 * energy.max())
    structure = MODELS[name][0]
    shapes = [i for i in range(1, structure.n_parameters) if np.isfinite(high[i])]
    fractions = [1, 3] if name == "triexp" else [1]
    assert (params[:, fractions].sum(axis=1) <= 1 + 1e-12).all()
    positions = [i for i in shapes if i not in fractions]
    for slow, fast in structure.ascending:
        assert (params[:, positions[fast]] >= params[:, positions[slow]] * (1 - 1e-12)).all()


def test_no_signal_and_one_compartment(found):
    out, status = found["kurtosis-special"]
    assert status[0] == status[1] == FitStatus.NO_SIGNAL
    # Tissue alone: D* is not identifiable, and K is 0.
    assert status[2] == FitStatus.PERFUSION_NOT_DETECTED
    assert out[2, 3] == pytest.approx(1e-3, rel=NOISE_FREE)
    assert out[2, 1] == 0.0
    # Gone at once: fast blood alone.
    assert status[3] & FitStatus.TISSUE_NOT_DETECTED


def test_scratch_does_not_grow_with_the_measurements():
    structure, low, high = MODELS["kurtosis"]
    x, weight = protocol("kurtosis")
    sizes = {
        plan(structure, np.array(low, float), np.array(high, float),
             np.tile(x, (1, times)), np.tile(weight, times))[2]
        for times in (1, 4)
    }  # fmt: skip
    assert len(sizes) == 1


def test_an_atom_that_is_never_a_number_is_refused():
    structure, low, high = MODELS["kurtosis"]
    x, weight = protocol("kurtosis")
    with pytest.raises(ValueError, match="0, infinite or NaN"):
        plan(structure, np.array(low, float), np.array(high, float), x * math.nan, weight)


def test_values_of_an_atom_that_asks_for_numbers():
    part = separable_models.Part(separable_models.atoms.instant, 0)
    values = evaluate(part, np.array([[0.0, 10.0]]), np.zeros((1, 0)))
    np.testing.assert_array_equal(values, [[1.0, 0.0]])
