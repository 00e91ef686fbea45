"""What every signal model promises, whatever it is called."""

import functools
import itertools
import re

import numpy as np
import pytest

from ivimkit import models
from ivimkit.engine import evaluate, gradients
from ivimkit.parameter import ROLES
from ivimkit.testing import RULES
from plain_kernels import plain
from plugins import LARGE, MODELS, box, identifiable, measurements, typical
from tolerances import CLOSED_FORM, DERIVATIVE, ULP

UNITS = {"", "mm^2/s", "mm/s", "a.u.", "ms"}


def over_b(model, b):
    """Return measurements that differ by b alone."""
    x = np.repeat(measurements(model)[:, :1], len(b), axis=1)
    x[model.variables.index("b")] = b
    return x


def steps_of(model, params, x):
    """Steps of differences, shape (n_rows, n, n_par)."""
    lower, upper = box(model)
    steps = np.empty((x.shape[1], *params.shape))
    for j, k in np.ndindex(x.shape[1], len(model.parameters)):
        b, parameter = x[model.variables.index("b"), j], model.parameters[k]
        # A rate changes the signal on the scale 1 / b, what is searched by its logarithm on that
        # of its value, everything else on its own.
        rate = parameter.unit == "mm^2/s" and b > 0.0
        scale = max(1.0 / b, 1e-5) if rate else max(map(abs, parameter.usual))
        scale = np.minimum(scale, params[:, k] if parameter.scale == "log" else np.inf)
        steps[j, :, k] = 0.05 * np.minimum(upper[k] - lower[k], scale)
    return steps


def drawn(model):
    return identifiable(model, 25, seed=1)


@functools.cache
def interpreted(model):
    """Signals with their slopes by the kernel in plain Python: per measurement, of all draws.

    A compiled kernel may add in another order, which is noise to a difference.
    """
    kernel, x = plain(model.kernel), measurements(model)
    return [[kernel(x, j, tuple(p)) for p in drawn(model).tolist()] for j in range(x.shape[1])]


def derivative(signal, params, k, step):
    """Return the derivative by parameter k: central differences, three halvings, Richardson's
    extrapolation, error O(step^8).
    """

    def difference(h):
        up, down = [*params], [*params]
        up[k] += h
        down[k] -= h
        return (signal(tuple(up)) - signal(tuple(down))) / (up[k] - down[k])

    row = [difference(step / 2**n) for n in range(4)]
    for factor in (4.0, 16.0, 64.0):
        row = [(factor * b - a) / (factor - 1.0) for a, b in itertools.pairwise(row)]
    return row[0]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("model", MODELS)
def test_the_model_keeps_what_a_model_of_your_own_has_to_keep(model, rule):
    assert RULES[rule](model) is None


@pytest.mark.parametrize("model", MODELS)
def test_gradient_is_the_derivative_of_the_signal(model):
    kernel, params, x = plain(model.kernel), drawn(model), measurements(model)
    for j, steps in enumerate(steps_of(model, params, x)):

        def signal_of(values, j=j):
            return kernel(x, j, values)[0]

        numbers = np.array([
            [derivative(signal_of, p, k, step) for k, step in enumerate(row)]
            for p, row in zip(params.tolist(), steps.tolist(), strict=True)
        ])  # fmt: skip
        signal = evaluate(model, params, x[:, [j]])
        slopes = gradients(model, params, x[:, [j]])[:, 0]
        assert slopes.shape == numbers.shape == params.shape
        error = np.abs(slopes - numbers) * steps
        limit = DERIVATIVE * np.abs(numbers * steps) + 200 * ULP * np.abs(signal) + 1e-300
        for v, k in np.argwhere(~(error <= limit)):
            pytest.fail(
                f"dS/d{model.names[k]} at {x[:, j]}, {params[v]}: {slopes[v, k]}, and by "
                f"differences {numbers[v, k]}"
            )


@pytest.mark.parametrize("model", MODELS)
def test_signal_is_S0_where_nothing_is_on_and_never_negative(model):
    params = identifiable(model, 50, seed=3)
    nothing = np.zeros((len(model.variables), 1))
    np.testing.assert_allclose(
        evaluate(model, params, nothing)[:, 0], params[:, model.index("S0")], rtol=4 * ULP
    )
    assert (evaluate(model, params, measurements(model)) >= 0.0).all()


@pytest.mark.parametrize("model", MODELS)
def test_signal_falls_with_b_at_typical_values(model):
    """A kurtosis lets it rise beyond b = 3 / (D K), a sum of decays never."""
    found = evaluate(model, typical(model, 50, seed=4), over_b(model, np.linspace(0, 1000, 41)))
    assert (np.diff(found, axis=1) <= 4 * ULP * LARGE).all()
    if model.two_decays():
        wide = identifiable(model, 50, seed=4)
        found = evaluate(model, wide, over_b(model, np.geomspace(1e-3, 1e5, 41)))
        assert (np.diff(found, axis=1) <= 4 * ULP * LARGE).all()


@pytest.mark.parametrize("model", MODELS)
def test_python_without_a_compiler_is_the_compiled_kernel(model):
    params, x = drawn(model), measurements(model)
    signals, slopes = evaluate(model, params, x), gradients(model, params, x)
    for j, rows in enumerate(interpreted(model)):
        plain = np.array([signal for signal, _ in rows])
        plain_slopes = np.array([gradient for _, gradient in rows])
        np.testing.assert_allclose(signals[:, j], plain, rtol=CLOSED_FORM)
        np.testing.assert_allclose(slopes[:, j], plain_slopes, rtol=CLOSED_FORM, atol=1e-300)


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
