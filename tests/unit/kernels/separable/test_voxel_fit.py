"""Fits of several compartments: the global optimum inside the bounds, whatever the signal.

Most fits are made by the same code in plain Python, in one process of its own: nothing to compile.
"""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares

import separable_models
from ivimkit.kernels.separable.dictionary import evaluate, plan
from ivimkit.status import FitStatus
from separable_models import MODELS, noisy, protocol, signals, truth
from tolerances import NOISE_FREE, OPTIMUM, SAME_COST

N = 3


def _with(name, **changes):
    """Return bounds of a model, some of them others: position -> (lower, upper)."""
    low, high = (np.array(bounds, dtype=float) for bounds in MODELS[name][1:])
    for position, (least, most) in changes.items():
        low[int(position[1:])], high[int(position[1:])] = least, most
    return low, high


def _special():
    x, weight = protocol("kurtosis")
    b = x[0]
    rows = np.array([
        np.zeros(b.size),
        -100.0 * np.exp(-b * 1e-3),
        1000.0 * np.exp(-b * 1e-3),
        np.where(b == 0.0, 1000.0, 0.0),
        np.where(np.arange(b.size) % 2 == 0, 900.0, -900.0),
    ])  # fmt: skip
    return rows * (weight > 0)


# Minima that the dictionary does not show: compartments whose rates are nearly equal explain the
# signal almost as well, and the best tuple leads there.
HIDDEN = np.array([
    [1000.0, 0.0357, 0.0799, 1.953e-3, 0.9976],
    [1000.0, 0.0224, 0.0758, 1.928e-3, 0.8821],
])  # fmt: skip

CASES = {
    **{name: (noisy(name, N), *_with(name)) for name in MODELS},
    **{f"{name}-exact": (signals(name, truth(name, N)), *_with(name)) for name in MODELS},
    "kurtosis-given": (noisy("kurtosis", N), *_with("kurtosis", p4=(0.7, 0.7))),
    "kurtosis-narrow": (noisy("kurtosis", N), *_with("kurtosis", p1=(0.05, 0.15), p0=(0, 950))),
    "triexp-narrow": (noisy("triexp", 2), *_with("triexp", p1=(0.1, 0.3), p3=(0.2, 0.4))),
    "stretched-hidden": (signals("stretched", HIDDEN), *_with("stretched")),
    "kurtosis-hidden": (noisy("kurtosis", 4000, seed=101, only=[2698, 3117]), *_with("kurtosis")),
    "t2-hidden": (noisy("t2", 4000, seed=101, only=[3198, 2320]), *_with("t2")),
    "kurtosis-special": (_special(), *_with("kurtosis")),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return parameters with cost and passes, and status, of every case."""
    folder = tmp_path_factory.mktemp("separable")
    given = {}
    for case, (rows, low, high) in CASES.items():
        given |= {f"{case}.rows": rows, f"{case}.lower": low, f"{case}.upper": high}
    np.savez(folder / "in.npz", **given)
    subprocess.run(
        [sys.executable, Path(separable_models.__file__), folder / "in.npz", folder / "out.npz"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        check=True,
    )
    fits = np.load(folder / "out.npz")
    return {case: (fits[f"{case}.out"], fits[f"{case}.status"]) for case in CASES}


def best_cost(name, row, low, high, starts=20):
    """Return the best cost of SciPy from random starts; amplitudes by S0 and fractions."""
    structure, weight = MODELS[name][0], protocol(name)[1]
    rng = np.random.default_rng(5)
    scale = np.abs(row).max()
    top = np.where(np.isfinite(high), high, 3 * scale)
    free = low < high

    def model(p):
        return signals(name, p[None])[0] * np.sqrt(weight)

    def away(z):
        p = np.array(low)
        p[free] = z
        left = 1.0 - sum(p[i] for i in fractions)
        return np.concatenate([(model(p) - row * np.sqrt(weight)) / scale, [1e3 * min(left, 0)]])

    fractions, position = [], 1
    for part in structure.parts[:-1]:
        fractions.append(position)
        position += 1 + part.n_shape
    costs = []
    for _ in range(starts):
        p = low + rng.uniform(0.02, 0.98, low.size) * (top - low)
        p[0] = min(max(scale, low[0]), high[0])
        fit = least_squares(
            away, p[free], bounds=(low[free], top[free]), x_scale=(top - low)[free],
            ftol=1e-12, xtol=1e-12, gtol=1e-12,
        )  # fmt: skip
        costs.append(2 * fit.cost * scale**2)
    return min(costs)


@pytest.mark.parametrize("name", MODELS)
def test_noise_free_truth(found, name):
    out, status = found[f"{name}-exact"]
    np.testing.assert_allclose(out[:, :-2], truth(name, N), rtol=NOISE_FREE)
    assert (status == 0).all()


def test_a_minimum_that_no_tuple_of_the_dictionary_shows(found):
    out, _ = found["stretched-hidden"]
    np.testing.assert_allclose(out[:, :-2], HIDDEN, rtol=NOISE_FREE)


@pytest.mark.parametrize(
    "case",
    ["stretched", "kurtosis-hidden", "t2-hidden", "kurtosis-given", "kurtosis-narrow",
     "triexp-narrow"],
)  # fmt: skip
def test_it_is_the_optimum(found, case):
    name = case.split("-")[0]
    rows, low, high = CASES[case]
    out, _ = found[case]
    for row, fit in zip(rows[:2], out, strict=False):
        assert fit[-2] <= best_cost(name, row, low, high) * OPTIMUM


@pytest.mark.parametrize("case", CASES)
def test_it_keeps_its_bounds_and_says_its_cost(found, case):
    name = case.split("-")[0]
    rows, low, high = CASES[case]
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
