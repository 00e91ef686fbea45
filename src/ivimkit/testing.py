"""check_model: what every signal model promises, checked for a model of your own.

The contract tests of ivimkit run the same rules over its own models.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivimkit import io, methods, models
from ivimkit.any_scan import fit
from ivimkit.engine import evaluate, gradients
from ivimkit.errors import AcquisitionError, IvimkitWarning
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.identifiability import require_identifiable
from ivimkit.fitting.result import FitResult
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI
from ivimkit.status import FAILED

__all__ = ["RULES", "check_model", "draws", "measurements"]

Array = NDArray[np.float64]

# Noise-free data give every parameter to this relative error, where the data determine it.
MAX_RELATIVE_ERROR = 1e-5
# Slopes against Richardson's extrapolation of central differences, relative to their size. The
# slopes of an atom that does not give them are central differences themselves.
MAX_SLOPE_ERROR = 1e-6
MAX_DIFFERENCE_SLOPE_ERROR = 1e-4
# Sums of compartments and special cases: two ways of writing one formula.
MAX_ROUNDING_ERROR = 1e-9
# What S0 is in the draws, and what stands for an infinite bound.
_S0 = 1000.0
_N_DRAWS = 25
_MIN_SHARE = 0.05
_MIN_RATE_RATIO = 3.0
_B_VALUES = np.array(
    [0, 5, 10, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1000, 1500, 2000], float
)
# Values of the other variables: three each, so that the draws can be told apart.
_VALUES = {
    "echo_time": (50.0, 75.0, 100.0),
    "diffusion_time": (20.0, 40.0, 70.0),
    "gradient_duration": (5.0, 15.0, 30.0),
    "c": (0.0, 0.4, 1.5),
    "gradient_separation": (40.0,),
    "encoding_time": (150.0, 220.0),
    "gradient_code": (-1.0, 1.0),
}
_OTHER_VALUES = (0.5, 1.0, 1.5)


def measurements(model: SignalModel) -> dict[str, Array]:
    """Return settings that a model can be told from: all b-values with all other variables.

    Parameters
    ----------
    model : SignalModel
        The model.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Values of each variable of the model, in its unit.
    """
    others = [name for name in model.variables if name != "b"]
    valid = _B_VALUES[model.b_valid >= _B_VALUES]
    if {"gx", "gy", "gz"} & set(others):
        return _with_directions(others, valid)
    grid = [_VALUES.get(name, _OTHER_VALUES) for name in others]
    rows = [(b, *rest) for rest in itertools.product(*grid) for b in valid]
    columns = np.array(rows).T
    order = {"b": columns[0], **dict(zip(others, columns[1:], strict=True))}
    return {name: order[name] for name in model.variables}


def _with_directions(others: list[str], valid: Array) -> dict[str, Array]:
    """Return settings in thirteen directions: edges, faces and corners of a cube."""
    cube = [d for d in itertools.product((-1, 0, 1), repeat=3) if d > (0, 0, 0)]
    unit = np.array([np.array(d) / np.linalg.norm(d) for d in cube])
    b = np.concatenate([[0.0], np.tile(valid[1:], len(unit))])
    vectors = np.concatenate([np.zeros((1, 3)), np.repeat(unit, len(valid) - 1, axis=0)])
    columns = {"b": b, **dict(zip(("gx", "gy", "gz"), vectors.T, strict=True))}
    for name in others:
        values = _VALUES.get(name, _OTHER_VALUES)
        columns.setdefault(name, np.resize(np.array(values), b.size))
    return columns


def draws(model: SignalModel, n: int = _N_DRAWS, seed: int = 0) -> Array:
    """Draw parameters where they usually are, and where noise-free data determine them.

    Parameters
    ----------
    model : SignalModel
        The model.
    n : int
        How many.
    seed : int
        The same seed gives the same draws.

    Returns
    -------
    ndarray, shape (n, n_par)
        Fractions of at least 5 %, the reference too; ordered rates three-fold apart; S0 about
        1000.
    """
    rng = np.random.default_rng(seed)
    low, high = np.array([parameter.usual for parameter in model.parameters]).T
    params = rng.uniform(low, high, (n, low.size))
    params[:, 0] *= _S0
    shares = [model.index(name) for name in model.fractions]
    if shares:
        params[:, shares] = np.maximum(params[:, shares], _MIN_SHARE)
        total = params[:, shares].sum(axis=1, keepdims=True)
        params[:, shares] *= np.minimum(1.0, (1.0 - _MIN_SHARE) / total)
    for small, large in reversed(model.ascending):
        k, limit = model.index(small), params[:, model.index(large)] / _MIN_RATE_RATIO
        params[:, k] = np.clip(np.minimum(params[:, k], limit), model[small].lower, None)
    return params


def _x(model: SignalModel) -> Array:
    return np.array(list(measurements(model).values()))


def _box(model: SignalModel) -> tuple[Array, Array]:
    lower = np.array([parameter.lower for parameter in model.parameters])
    upper = np.array([parameter.upper for parameter in model.parameters])
    return np.where(np.isfinite(lower), lower, -_S0), np.where(np.isfinite(upper), upper, _S0)


# Each rule returns what is wrong, or None.


def parameters_are_described(model: SignalModel) -> str | None:
    """Check that every parameter is in the equation, described, and has bounds in order."""
    for parameter in model.parameters:
        name = parameter.name
        if not (parameter.symbol and parameter.description):
            return f"{name} lacks a symbol or a description"
        # What depends on the axes of the image is behind a symbol like that of a tensor.
        if parameter.role != "orientation" and parameter.symbol not in model.equation:
            return f"the equation {model.equation!r} does not contain {parameter.symbol!r}"
        if not parameter.least <= parameter.lower <= parameter.upper <= parameter.most:
            return (
                f"bounds of {name} are {parameter.lower:g} to {parameter.upper:g}, and it can be "
                f"{parameter.least:g} to {parameter.most:g}"
            )
        if not parameter.lower <= parameter.start <= parameter.upper:
            return f"{name} starts at {parameter.start:g}, outside its bounds"
        low, high = parameter.usual
        if not parameter.lower <= low < high <= parameter.upper:
            return f"typical values of {name}, {low:g} to {high:g}, are not inside its bounds"
        if parameter.scale == "log" and parameter.lower <= 0.0:
            return f"{name} has a logarithmic scale and a lower bound of {parameter.lower:g}"
    return None


def signal_is_finite(model: SignalModel) -> str | None:
    """Check that signal and slopes are finite at all corners of the bounds."""
    corners = np.array(list(itertools.product(*zip(*_box(model), strict=True))))
    shares = [model.index(name) for name in model.fractions]
    whole = corners[corners[:, shares].sum(axis=1) <= 1.0]
    x = _x(model)
    for what, values in (("signal", evaluate), ("slope", gradients)):
        found = values(model, whole, x)
        if not np.isfinite(found).all():
            bad = whole[np.argmin(np.isfinite(found).reshape(len(whole), -1).all(axis=1))]
            return f"the {what} is not finite at {_named(model, bad)}"
    return None


def slopes_are_derivatives(model: SignalModel) -> str | None:
    """Check that the slopes of the atoms are the derivatives of their values."""
    params, x = draws(model, 10), _x(model)
    own = gradients(model, params, x)
    lower, upper = _box(model)
    given = all(compartment.has_slopes for compartment in model.compartments)
    limit = MAX_SLOPE_ERROR if given else MAX_DIFFERENCE_SLOPE_ERROR
    for k, parameter in enumerate(model.parameters):
        size = _S0 if k == 0 else max(map(abs, parameter.usual))
        step = 0.02 * min(size, upper[k] - lower[k])
        rows = []
        for halving in range(4):
            h = step / 2**halving
            up, down = params.copy(), params.copy()
            up[:, k] += h
            down[:, k] -= h
            rows.append((evaluate(model, up, x) - evaluate(model, down, x)) / (2.0 * h))
        for order in range(1, 4):
            # Richardson: each pass takes one more even power of the step out of the error.
            factor = 4.0**order
            rows = [(factor * b - a) / (factor - 1.0) for a, b in itertools.pairwise(rows)]
        scale = np.abs(rows[0]).max()
        off = float(np.abs(own[..., k] - rows[0]).max())
        if off > limit * scale:
            return (
                f"the slope by {parameter.name} differs from the derivative by {off / scale:.1e} "
                f"of its size; expected up to {limit:g}"
            )
    return None


def signal_is_proportional_to_S0(model: SignalModel) -> str | None:
    """Check that twice the S0 gives twice the signal."""
    params, x = draws(model), _x(model)
    twice = params.copy()
    twice[:, 0] *= 2.0
    same = np.allclose(
        evaluate(model, twice, x), 2.0 * evaluate(model, params, x), rtol=MAX_ROUNDING_ERROR
    )
    return None if same else "the signal is not proportional to S0"


def ordered_parameters_are_comparable(model: SignalModel) -> str | None:
    """Check that ordered parameters have one unit, two compartments, and bounds that allow it."""
    for small, large in model.ascending:
        one, two = model[small], model[large]
        if one.unit != two.unit:
            return f"{small} is in {one.unit or 'no unit'} and {large} in {two.unit or 'no unit'}"
        if one.lower >= two.upper:
            return f"the bounds leave no {large} above {small}"
        if model.compartment_of(small) is model.compartment_of(large):
            return f"{small} and {large} belong to one compartment"
    return None


def compartments_add_up(model: SignalModel) -> str | None:
    """Check that the signals of the compartments add up to that of the model."""
    x = _x(model)
    for params in draws(model, 5):
        alone = list(model.components(list(params)).values())
        if not alone:
            return None
        total = evaluate(model, np.array(alone), x).sum(axis=0)
        if not np.allclose(total, evaluate(model, params, x), rtol=MAX_ROUNDING_ERROR):
            return f"the compartments do not add up at {_named(model, params)}"
    return None


def special_cases_hold(model: SignalModel) -> str | None:
    """Check that special cases have the signals of the simpler models."""
    x = _x(model)
    for name, values in model.special_cases.items():
        simple = models.get(name)
        params = draws(model, 10)
        for fixed, value in values.items():
            params[:, model.index(fixed)] = min(value, 1e9)
        gone = [c for c in model.compartments if c.fraction and values.get(c.fraction.name) == 0]
        own = [n for n in model.names if n not in values and model.compartment_of(n) not in gone]
        if len(own) != len(simple.names):
            return (
                f"with {_listed(values)} the parameters {', '.join(own)} are left; model {name} "
                f"has {', '.join(simple.names)}"
            )
        expected = evaluate(simple, params[:, [model.index(n) for n in own]], x[:1])
        if not np.allclose(evaluate(model, params, x), expected, rtol=MAX_ROUNDING_ERROR):
            return f"with {_listed(values)} the signal is not that of model {name}"
    return None


def settings_determine_the_parameters(model: SignalModel) -> str | None:
    """Check that a generous protocol determines all parameters."""
    try:
        require_identifiable(model, _acquisition(model))
    except AcquisitionError as error:
        return str(error)
    return None


def truth_is_found(model: SignalModel) -> str | None:
    """Check that noise-free data give the parameters back."""
    truth = draws(model)
    result = _fitted(model, truth)
    if ((result.status & int(FAILED)) != 0).any():
        return f"voxels could not be fitted: {result.counts()}"
    off = np.abs(result.params / truth - 1.0)
    if off.max() > MAX_RELATIVE_ERROR:
        v, k = np.unravel_index(int(np.argmax(off)), off.shape)
        return (
            f"noise-free data of {_named(model, truth[v])} gave {model.names[k]} = "
            f"{result.params[v, k]:g}; expected an error of up to {MAX_RELATIVE_ERROR:g}"
        )
    return None


def results_come_back(model: SignalModel) -> str | None:
    """Check that a result is saved and loaded, and computes signals again."""
    result = _fitted(model, draws(model, 4))
    columns = measurements(model)
    with tempfile.TemporaryDirectory() as folder:
        io.save(result, Path(folder) / "out")
        again = io.load_result(Path(folder) / "out", model=model)
    if list(again.maps) != list(result.maps):
        return f"the maps that came back are {', '.join(again.maps)}"
    # Maps are stored as float32.
    if not np.allclose(again.predict(columns), result.predict(columns), rtol=1e-4):
        return "the result that came back predicts other signals"
    return None


Rule = Callable[[SignalModel], str | None]

RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        parameters_are_described,
        signal_is_finite,
        slopes_are_derivatives,
        signal_is_proportional_to_S0,
        ordered_parameters_are_comparable,
        compartments_add_up,
        special_cases_hold,
        settings_determine_the_parameters,
        truth_is_found,
        results_come_back,
    )
}
"""What every model promises: the name of each rule, and the function that checks it."""


def check_model(model: SignalModel) -> None:
    """Check that a model keeps all promises of `RULES`.

    The model is compiled, so the first call takes some 20 s.

    Parameters
    ----------
    model : SignalModel
        The model, such as one of your own.

    Raises
    ------
    OptionError
        If it is not a model, or its equation is not known.
    AssertionError
        If it breaks promises; the message has a line for each.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.testing import check_model
    >>> check_model(ik.models.get("monoexp"))
    """
    _ = models.get(model).structure
    broken = []
    for name, rule in RULES.items():
        fault = rule(model)
        if fault is not None:
            broken.append(f"{name.replace('_', ' ')}: {fault}")
    if broken:
        raise AssertionError(
            f"model {model.name} breaks {len(broken)} of {len(RULES)} rules:\n"
            + "\n".join(f"- {line}" for line in broken)
        )


def _acquisition(model: SignalModel) -> Acquisition:
    columns = dict(measurements(model))
    b = columns.pop("b")
    axes = [columns.pop(name) for name in ("gx", "gy", "gz") if name in columns]
    return Acquisition(
        b,
        np.array(axes).T if len(axes) == 3 else None,
        variables=columns,
    )


def _fitted(model: SignalModel, truth: Array) -> FitResult:
    """Fit noise-free signals, without the ADC's and the protocol's warnings."""
    signal = evaluate(model, truth, _x(model))
    dwi = DWI(signal, _acquisition(model), average="none")
    with warnings.catch_warnings():
        # What is worth knowing of a scan says nothing about a model.
        warnings.simplefilter("ignore", IvimkitWarning)
        return fit(dwi, model=model, method=methods.get("varpro"), threads=1)


def _named(model: SignalModel, params: Array) -> str:
    return ", ".join(
        f"{name} = {value:g}" for name, value in zip(model.names, params, strict=True)
    )


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())
