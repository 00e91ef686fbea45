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
from ivimkit.testing import RULES
from plugins import LARGE, MODELS, box, identifiable, measurements, typical
from tolerances import CLOSED_FORM, DERIVATIVE, ULP

UNITS = {"", "mm^2/s", "mm/s", "a.u.", "ms"}

# Compares compiled kernels with the same kernels as plain Python, all the way down.
INTERPRETED = """
import json, sys
import numpy as np
from ivimkit import models
found = {}
for name, job in json.load(sys.stdin).items():
    kernel, x = models.get(name).kernel, np.array(job["x"])
    found[name] = [[kernel(x, j, tuple(p)) for j in range(x.shape[1])] for p in job["params"]]
print(json.dumps(found))
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


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("model", MODELS)
def test_the_model_keeps_what_a_model_of_your_own_has_to_keep(model, rule):
    assert RULES[rule](model) is None


@pytest.mark.parametrize("model", MODELS)
def test_gradient_is_the_derivative_of_the_signal(model):
    lower, upper = box(model)
    x = measurements(model)
    for params, j in itertools.product(identifiable(model, 25, seed=1), range(x.shape[1])):
        signal, gradient = compiled(model, x, j, params)
        assert len(gradient) == len(model.parameters)
        b = x[model.variables.index("b"), j]
        for k, parameter in enumerate(model.parameters):
            # A rate changes the signal on the scale 1 / b, what is searched by its logarithm on
            # that of its value, everything else on its own.
            rate = parameter.unit == "mm^2/s" and b > 0.0
            scale = max(1.0 / b, 1e-5) if rate else max(map(abs, parameter.usual))
            if parameter.scale == "log":
                scale = min(scale, params[k])
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
def test_signal_is_S0_where_nothing_is_on_and_never_negative(model):
    params = identifiable(model, 50, seed=3)
    nothing = np.zeros((len(model.variables), 1))
    np.testing.assert_allclose(
        signals(model, params, nothing)[:, 0], params[:, model.index("S0")], rtol=4 * ULP
    )
    assert (signals(model, params, measurements(model)) >= 0.0).all()


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


def drawn(model):
    return identifiable(model, 20, seed=6)


@pytest.fixture(scope="module")
def interpreted():
    """Signals with gradients of all models by name, of one process without a compiler."""
    jobs = {
        model.name: {"x": measurements(model).tolist(), "params": drawn(model).tolist()}
        for (model,) in (param.values for param in MODELS)
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", INTERPRETED],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("model", MODELS)
def test_python_without_a_compiler_is_the_compiled_kernel(model, interpreted):
    x = measurements(model)
    for p, row in zip(drawn(model), interpreted[model.name], strict=True):
        for j, (plain, plain_gradient) in enumerate(row):
            signal, gradient = compiled(model, x, j, p)
            assert plain == pytest.approx(signal, rel=CLOSED_FORM)
            np.testing.assert_allclose(gradient, plain_gradient, rtol=CLOSED_FORM, atol=1e-300)


@pytest.mark.parametrize("model", MODELS)
def test_parameters_have_a_unit_a_role_and_a_range_of_colours(model):
    assert model.names[0] == "S0"
    for parameter in model.parameters:
        assert parameter.unit in UNITS
        assert len(parameter.description) > len(parameter.symbol)
        assert parameter.role in ROLES
        assert parameter.role != "other", "say what it is about"
        low, high = parameter.display
        assert np.isnan([low, high]).all() or low < high


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
    hidden = {p.name for p in model.parameters if p.role == "orientation"}
    assert set(model.names) - {"S0"} - hidden <= set(model.shown_maps)
    assert not hidden & set(model.shown_maps)
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
