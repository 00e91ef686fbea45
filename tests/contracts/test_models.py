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
from ivimkit.parameter import ROLES
from plugins import LARGE, MODELS, box, identifiable, measurements, typical
from tolerances import CLOSED_FORM, DERIVATIVE, ULP

UNITS = {"", "mm^2/s", "a.u.", "ms"}

# Compares compiled kernels with the same kernels as plain Python, all the way down.
INTERPRETED = """
import json, sys
import numpy as np
from ivimkit import models
job = json.load(sys.stdin)
kernel, x = models.get(job["model"]).kernel, np.array(job["x"])
print(json.dumps([[kernel(x, j, tuple(p)) for j in range(x.shape[1])] for p in job["params"]]))
"""


def compiled(model, x, j, params):
    signal, gradient = model.kernel(x, j, tuple(float(p) for p in params))
    return float(signal), np.array(gradient)


def signals(model, params, x):
    """Return the signal of rows of parameters, shape (n, n_rows)."""
    return np.array([[compiled(model, x, j, p)[0] for j in range(x.shape[1])] for p in params])


def over_b(model, b):
    """Return measurements that differ by b alone."""
    x = np.repeat(measurements(model)[:, :1], len(b), axis=1)
    x[model.variables.index("b")] = b
    return x


def numerical_derivative(model, x, j, params, k, step):
    """Central differences, three halvings, Richardson's extrapolation: error O(step^8)."""

    def difference(h):
        up, down = params.copy(), params.copy()
        up[k] += h
        down[k] -= h
        change = compiled(model, x, j, up)[0] - compiled(model, x, j, down)[0]
        return change / (up[k] - down[k])

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
    x = measurements(model)
    for params, j in itertools.product(identifiable(model, 25, seed=1), range(x.shape[1])):
        signal, gradient = compiled(model, x, j, params)
        assert len(gradient) == len(model.parameters)
        b = x[model.variables.index("b"), j]
        for k, parameter in enumerate(model.parameters):
            # A rate changes the signal on the scale 1 / b, everything else on its own.
            rate = parameter.unit == "mm^2/s" and b > 0.0
            scale = max(1.0 / b, 1e-5) if rate else max(map(abs, parameter.usual))
            step = 0.05 * min(upper[k] - lower[k], scale)
            number = numerical_derivative(model, x, j, params, k, step)
            np.testing.assert_allclose(
                gradient[k] * step,
                number * step,
                rtol=DERIVATIVE,
                atol=200 * ULP * abs(signal) + 1e-300,
                err_msg=f"dS/d{model.names[k]} at {x[:, j]}, {params}",
            )


@pytest.mark.parametrize("model", MODELS)
def test_signal_and_gradient_are_finite_on_the_whole_box(model):
    lower, upper = box(model)
    x = measurements(model)
    corners = itertools.product(*zip(lower, upper, strict=True))
    shares = [model.index(name) for name in model.fractions]
    whole = [p for p in map(np.array, corners) if p[shares].sum() <= 1.0]
    assert whole
    for params in [*whole, *identifiable(model, 50, seed=2)]:
        for j in range(x.shape[1]):
            signal, gradient = compiled(model, x, j, params)
            assert 0.0 <= signal < np.inf
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("model", MODELS)
def test_signal_is_S0_where_nothing_is_on_and_proportional_to_it_everywhere(model):
    params = identifiable(model, 50, seed=3)
    k = model.index("S0")
    nothing = np.zeros((len(model.variables), 1))
    np.testing.assert_allclose(signals(model, params, nothing)[:, 0], params[:, k], rtol=4 * ULP)
    scaled = params.copy()
    scaled[:, k] *= 1024.0
    x = measurements(model)
    np.testing.assert_array_equal(signals(model, scaled, x), 1024.0 * signals(model, params, x))


@pytest.mark.parametrize("model", MODELS)
def test_signal_falls_with_b_at_typical_values(model):
    """A kurtosis lets it rise beyond b = 3 / (D K), a sum of decays never."""
    found = signals(model, typical(model, 50, seed=4), over_b(model, np.linspace(0, 1000, 41)))
    assert (np.diff(found, axis=1) <= 4 * ULP * LARGE).all()
    if model.two_decays():
        wide = identifiable(model, 50, seed=4)
        found = signals(model, wide, over_b(model, np.geomspace(1e-3, 1e5, 41)))
        assert (np.diff(found, axis=1) <= 4 * ULP * LARGE).all()


@pytest.mark.parametrize("model", MODELS)
def test_python_function_is_the_compiled_one(model):
    params, x = identifiable(model, 20, seed=5), measurements(model)
    for p, j in itertools.product(params, range(x.shape[1])):
        plain, plain_gradient = model.kernel.py_func(x, j, tuple(p))
        signal, gradient = compiled(model, x, j, p)
        assert plain == pytest.approx(signal, rel=CLOSED_FORM)
        np.testing.assert_allclose(gradient, plain_gradient, rtol=CLOSED_FORM, atol=1e-300)


@pytest.mark.parametrize("model", MODELS)
def test_python_without_a_compiler_is_the_compiled_kernel(model):
    params, x = identifiable(model, 20, seed=6), measurements(model)
    job = {"model": model.name, "x": x.tolist(), "params": params.tolist()}
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
        for j, (plain, plain_gradient) in enumerate(row):
            signal, gradient = compiled(model, x, j, p)
            assert plain == pytest.approx(signal, rel=CLOSED_FORM)
            np.testing.assert_allclose(gradient, plain_gradient, rtol=CLOSED_FORM, atol=1e-300)


@pytest.mark.parametrize("model", MODELS)
def test_ordered_parameters_can_be_compared(model):
    for small, large in model.ascending:
        one, two = model[small], model[large]
        assert one.unit == two.unit
        assert sum(one.usual) < sum(two.usual)
        assert one.lower < two.upper
        assert model.compartment_of(small) is not model.compartment_of(large)


@pytest.mark.parametrize("model", MODELS)
def test_special_cases_have_the_signal_of_the_simpler_model(model):
    for name, values in model.special_cases.items():
        simple = models.get(name)
        assert len(simple.parameters) < len(model.parameters)
        x = measurements(model)
        params = typical(model, 10, seed=7)
        for fixed, value in values.items():
            params[:, model.index(fixed)] = min(value, 1e9)
        # A compartment without a share has no parameters; of the others those that are not fixed
        # are those of the simpler model, in its order: the D of two decays is the ADC of one.
        gone = [c for c in model.compartments if c.fraction and values.get(c.fraction.name) == 0]
        own = [n for n in model.names if n not in values and model.compartment_of(n) not in gone]
        expected = signals(simple, params[:, [model.index(n) for n in own]], x)
        np.testing.assert_allclose(signals(model, params, x), expected, rtol=CLOSED_FORM)


@pytest.mark.parametrize("model", MODELS)
def test_compartments_add_up_to_the_signal(model):
    x = measurements(model)
    for params in typical(model, 5, seed=8):
        alone = list(model.components(params).values())
        assert len(alone) == (len(model.compartments) if len(model.compartments) > 1 else 0)
        if alone:
            total = signals(model, np.array(alone), x).sum(axis=0)
            np.testing.assert_allclose(total, signals(model, [params], x)[0], rtol=CLOSED_FORM)


@pytest.mark.parametrize("model", MODELS)
def test_parameters_are_described(model):
    assert model.names[0] == "S0"
    assert len(set(model.names)) == len(model.names)
    for parameter in model.parameters:
        assert parameter.unit in UNITS
        assert parameter.symbol
        assert len(parameter.description) > len(parameter.symbol)
        assert parameter.role in ROLES
        assert parameter.role != "other", "say what it is about"
        assert parameter.least <= parameter.lower < parameter.upper <= parameter.most
        assert parameter.lower <= parameter.start <= parameter.upper
        assert parameter.lower <= parameter.usual[0] < parameter.usual[1] <= parameter.upper
        if parameter.scale == "log":
            assert parameter.lower > 0.0
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
def test_every_parameter_but_S0_has_a_compartment_and_a_place_among_the_maps(model):
    own = [model.compartment_of(name) for name in model.names]
    assert own[0] is None
    assert None not in own[1:]
    assert set(model.names) - {"S0"} <= set(model.shown_maps)
    assert model.shown_maps[0] == "ADC"
    decays = model.two_decays()
    if decays is not None:
        assert {"S0", *filter(None, decays)} == set(model.names)


@pytest.mark.parametrize("model", MODELS)
def test_sources_and_documentation(model, repository):
    assert model.references
    for reference in model.references:
        assert re.search(r"doi:10\.\d{4,}/\S+$", reference), reference
    page = (repository / "docs" / "methods.md").read_text(encoding="utf-8")
    assert model.name in page, f"docs/methods.md has no section about model {model.name}"
    assert models.get(model.name) is model
