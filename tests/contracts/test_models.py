"""What every signal model promises, whatever it is called."""

import itertools
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from ivimkit import models
from ivimkit.engine import evaluate
from plugins import LARGE, MODELS, box, identifiable
from tolerances import CLOSED_FORM, DERIVATIVE, ULP

BVALS = np.array([0.0, 1.0, 10.0, 55.0, 200.0, 850.0, 3000.0])
UNITS = {"", "mm^2/s", "a.u.", "ms"}

# Compares compiled kernels with the same kernels as plain Python, all the way down.
INTERPRETED = """
import json, sys
from ivimkit import models
job = json.load(sys.stdin)
kernel = models.get(job["model"]).kernel
print(json.dumps([[kernel(b, tuple(p)) for b in job["b"]] for p in job["params"]]))
"""


def compiled(model, b, params):
    signal, gradient = model.kernel(float(b), tuple(float(p) for p in params))
    return float(signal), np.array(gradient)


def numerical_derivative(model, b, params, k, step):
    """Central differences, three halvings, Richardson's extrapolation: error O(step^8)."""

    def difference(h):
        up, down = params.copy(), params.copy()
        up[k] += h
        down[k] -= h
        return (compiled(model, b, up)[0] - compiled(model, b, down)[0]) / (up[k] - down[k])

    row = [difference(step / 2**n) for n in range(4)]
    for order in range(1, 4):
        factor = 4.0**order
        row = [
            (factor * fine - coarse) / (factor - 1.0) for coarse, fine in itertools.pairwise(row)
        ]
    return row[0]


@pytest.mark.parametrize("model", MODELS)
def test_gradient_is_the_derivative_of_the_signal(model):
    lower, upper = box(model)
    for params, b in itertools.product(identifiable(model, 25, seed=1), BVALS):
        signal, gradient = compiled(model, b, params)
        assert len(gradient) == len(model.parameters)
        for k in range(lower.size):
            # A rate changes the signal on the scale 1 / b, everything else on its own.
            step = 0.05 * min(upper[k] - lower[k], max(1.0 / b, 1e-5) if b else np.inf)
            number = numerical_derivative(model, b, params, k, step)
            np.testing.assert_allclose(
                gradient[k] * step,
                number * step,
                rtol=DERIVATIVE,
                atol=200 * ULP * abs(signal) + 1e-300,
                err_msg=f"dS/d{model.names[k]} at b = {b:g}, {params}",
            )


@pytest.mark.parametrize("model", MODELS)
def test_signal_and_gradient_are_finite_on_the_whole_box(model):
    lower, upper = box(model)
    corners = itertools.product(*zip(lower, upper, strict=True))
    for params in [*corners, *identifiable(model, 50, seed=2)]:
        for b in [0.0, 1e-3, *BVALS, 1e5]:
            signal, gradient = compiled(model, b, params)
            assert 0.0 <= signal <= LARGE
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("model", MODELS)
def test_signal_is_S0_at_b_0_and_proportional_to_it_everywhere(model):
    params = identifiable(model, 200, seed=3)
    k = model.index("S0")
    np.testing.assert_allclose(evaluate(model, params, [0.0])[:, 0], params[:, k], rtol=4 * ULP)
    scaled = params.copy()
    scaled[:, k] *= 1024.0
    np.testing.assert_array_equal(
        evaluate(model, scaled, BVALS), 1024.0 * evaluate(model, params, BVALS)
    )


@pytest.mark.parametrize("model", MODELS)
def test_signal_never_rises_with_b(model):
    signals = evaluate(model, identifiable(model, 200, seed=4), np.linspace(0, 2000, 101))
    assert (np.diff(signals, axis=1) <= 4 * ULP * LARGE).all()


@pytest.mark.parametrize("model", MODELS)
def test_python_function_is_the_compiled_one(model):
    params = identifiable(model, 20, seed=5)
    for p, b in itertools.product(params, BVALS):
        plain, plain_gradient = model.kernel.py_func(b, tuple(p))
        signal, gradient = compiled(model, b, p)
        assert plain == pytest.approx(signal, rel=CLOSED_FORM)
        np.testing.assert_allclose(gradient, plain_gradient, rtol=CLOSED_FORM, atol=1e-300)


@pytest.mark.parametrize("model", MODELS)
def test_python_without_a_compiler_is_the_compiled_kernel(model):
    params = identifiable(model, 20, seed=6)
    job = {"model": model.name, "b": BVALS.tolist(), "params": params.tolist()}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", INTERPRETED],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    for p, row in zip(params, json.loads(done.stdout), strict=True):
        for b, (plain, plain_gradient) in zip(BVALS, row, strict=True):
            signal, gradient = compiled(model, b, p)
            assert plain == pytest.approx(signal, rel=CLOSED_FORM)
            np.testing.assert_allclose(gradient, plain_gradient, rtol=CLOSED_FORM, atol=1e-300)


@pytest.mark.parametrize("model", MODELS)
def test_parameters_are_described(model):
    assert model.names[0] == "S0"
    assert len(set(model.names)) == len(model.names)
    for parameter in model.parameters:
        assert parameter.unit in UNITS
        assert parameter.symbol
        assert len(parameter.description) > len(parameter.symbol)
        assert 0.0 <= parameter.lower < parameter.upper
        assert parameter.lower <= parameter.start <= parameter.upper
        low, high = parameter.display
        assert np.isnan([low, high]).all() or low < high
        assert parameter.symbol in model.equation, "the equation names every parameter"


@pytest.mark.parametrize("model", MODELS)
def test_defaults_are_those_of_the_design(model):
    expected = {"S0": (0, np.inf), "f": (0, 1), "D": (0, 5e-3), "D_star": (2e-3, 0.2)}
    for parameter in model.parameters:
        if parameter.name in expected:
            assert (parameter.lower, parameter.upper) == expected[parameter.name]


@pytest.mark.parametrize("model", MODELS)
def test_pools_name_parameters_of_the_model(model):
    if model.pools is None:
        pytest.skip(f"{model.name} is not a sum of decays")
    pools = [model.pools.slow, model.pools.fast, model.pools.fraction]
    assert {name for name in pools if name is not None} | {"S0"} == set(model.names)


@pytest.mark.parametrize("model", MODELS)
def test_sources_and_documentation(model, repository):
    assert model.references
    for reference in model.references:
        assert re.search(r"doi:10\.\d{4,}/\S+$", reference), reference
    page = (repository / "docs" / "methods.md").read_text(encoding="utf-8")
    assert model.name in page, f"docs/methods.md has no section about model {model.name}"
    assert models.get(model.name) is model
